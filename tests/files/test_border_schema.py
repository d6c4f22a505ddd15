"""The JSON Schema: current, and it says what the reader says."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from functools import cache, partial
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sim.axes import Axes
from sim.device.generation import Generation
from sim.engine.feed.request import InputData
from sim.errors import InputError
from sim.files.clusters import read_cluster, read_links
from sim.files.fields import read
from sim.files.hardware import read_accelerator
from sim.files.kinds import kind_of
from sim.files.library import find
from sim.files.loader import load, parse
from sim.files.merge import Resolver
from sim.files.models import read_model
from sim.files.reference import reference
from sim.files.scenario import build, document_of
from sim.files.schema import KINDS, schema_of
from sim.network.surroundings import Host, Storage
from sim.plan.preset import FrameworkFile
from sim.scaling import Domain
from sim.scenario import PlanRequest
from sim.validation.published import SetFile, set_schema
from sim.workload.records import Numerics

ROOT = Path(__file__).parents[2]
ABOVE = {"validation": set_schema}
STUDIES = (
    {
        "axes": {
            "plan.sub_batch": [16, 32],
            "accelerator.memory.bandwidth": {"from": "1 TB/s", "to": "9 TB/s", "scale": "log"},
        }
    },
    {"axes": {"plan.tensor": {"from": 1, "to": 8, "count": 4}}, "combine": "sobol", "samples": 64},
    {"axes": {"plan.data": [1, 2], "plan.tensor": [4, 2]}, "combine": "zip"},
)


def test_the_checked_in_reference_is_current():
    """After a change of fields: `UPDATE_SCHEMA=1 pytest tests/files/test_border_schema.py`."""
    path = ROOT / "docs" / "inputs.md"
    if os.environ.get("UPDATE_SCHEMA"):
        path.write_text(reference(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == reference()


SCHEMAS = ROOT / "scenarios" / "schemas"


@pytest.mark.parametrize("kind", [*KINDS, *ABOVE])
def test_the_schemas_of_the_library_are_current(kind):
    """After a change of fields or a new file of the library: `UPDATE_SCHEMA=1 pytest` of this file."""
    text = json.dumps(schema_of(kind, ABOVE), indent=1) + "\n"
    if os.environ.get("UPDATE_SCHEMA"):
        SCHEMAS.mkdir(exist_ok=True)
        (SCHEMAS / f"{kind}.json").write_text(text, encoding="utf-8")
    assert (SCHEMAS / f"{kind}.json").read_text(encoding="utf-8") == text


def test_hints_of_the_library_lead_to_the_schema_of_the_file():
    """The first line, as the YAML language server reads it: a path relative to the file."""
    hints = {path: re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text()) for path, _ in shipped()}
    assert sum(hint is not None for hint in hints.values()) > 250
    wrong = {
        str(path): hint[1]
        for path, kind in shipped()
        if (hint := hints[path]) and (path.parent / hint[1]).resolve() != SCHEMAS / f"{kind}.json"
    }
    assert wrong == {}


def test_the_reference_has_a_row_for_every_key():
    """Doc, default and unit of each, from the field."""
    text = reference()
    assert (
        "| `sub_batch` | whole number ≥ 1 | `null` | samples per device per pass; empty: smallest near the best time |"
        in text
    )
    assert '| `bucket_bytes` | quantity, as `80 GiB` > 0 | `"25 MB"` | gradients reduced together |' in text


def test_every_field_says_what_it_means():
    """No row of the reference has an empty last cell."""
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 300
    assert [row for row in rows if row.split("|")[-2].strip() == ""] == []


def test_fields_carry_description_unit_and_bounds():
    """Written once, beside the field."""
    plan = schema_of()["$defs"]["PlanRequest"]["properties"]
    assert plan["shard_group"] == {
        "type": ["integer", "null"],
        "minimum": 0,
        "default": 0,
        "description": "ranks one sharded copy is spread over; 0: all",
    }
    framework = schema_of()["$defs"]["Framework"]["properties"]
    assert framework["bucket_bytes"]["type"] == framework["bucket"]["type"] == ["string", "null"]


def shipped():
    """Every YAML file of the library that has a schema, with its kind."""
    kinds = {
        "scaling domain": "scaling",
        "published model": "model",
        "input data": "input",
        "validation set": "validation",
    }
    paths = [*(ROOT / "hardware").rglob("*.yaml"), *(ROOT / "scenarios").rglob("*.yaml")]
    named = ((path, kind_of(path, load(path))) for path in sorted(paths))
    return [(path, kinds.get(kind, kind)) for path, kind in named if kinds.get(kind, kind) in (*KINDS, *ABOVE)]


@cache
def validator(kind):
    """Of one kind of file."""
    Draft202012Validator.check_schema(schema_of(kind, ABOVE))
    return Draft202012Validator(schema_of(kind, ABOVE))


def complaints(kind, text):
    """What the schema finds in YAML, as text."""
    return [error.message for error in validator(kind).iter_errors(parse(text).plain)]


def test_every_shipped_file_answers_to_its_schema():
    """An independent validator (jsonschema) finds nothing."""
    files = shipped()
    assert len(files) > 120
    assert {str(path): found for path, kind in files if (found := complaints(kind, path.read_text()))} == {}


def test_documented_yaml_answers_to_its_schema():
    """What the README and the guides show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)]
    told = {"compute": "accelerator", "levels": "cluster", "graph": "cluster", "workload": "scenario"}
    whole = [(kind, text) for text in blocks for key, kind in told.items() if re.search(rf"^{key}:", text, re.M)]
    assert whole
    assert {text: found for kind, text in whole if (found := complaints(kind, text))} == {}


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("scenario", "{workload: {family: llama9}, cluster: dgx-a100}", "llama9"),
        ("scenario", "{workload: {family: lstm_lm, sizes: {heads: 3}}, cluster: dgx-a100}", "heads"),
        ("scenario", "{workload: gpt3-175b, cluster: dgx-a100, framework: {bucket: 2 furlongs}}", "furlongs"),
        ("scenario", "{workload: gpt3-175b, cluster: dgx-a100, plan: {sharding: ful}}", "ful"),
        ("scenario", "{workload: gpt3-175b, cluster: dgx-a101}", "dgx-a101"),
        ("scenario", "{workload: gpt3-175b}", "cluster"),
        ("accelerator", "{extends: a100-sxm4-80gb, power: {peak: 0 W}}", "0 W"),
        ("accelerator", "{extends: a100-sxm4-80gb, generation: amper}", "amper"),
        (
            "cluster",
            "{name: a, accelerator: a100-sxm4-80gb, levels: [{name: n, topology: ring, link: nv33}]}",
            "nv33",
        ),
        ("links", "{a: {bandwidth: 1 GB/s}}", "1 GB/s"),
    ],
)
def test_the_schema_refuses_what_check_refuses(kind, text, says):
    """Families, units, choices and names of the library are known to editors too."""
    assert says in str(complaints(kind, text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("scenario", "{workload: gpt3-175b, cluster: {extends: dgx-a100, devices: 16}, plan: {tensor: 8}}"),
        (
            "scenario",
            "{extends: mine.yaml, workload: {sizes: {hidden: 5}}, cluster: {accelerator: {memory: {exact: true}}}}",
        ),
        ("accelerator", "{extends: a100-sxm4-80gb, name: mine, memory: {capacity: 96 GiB}}"),
        ("cluster", "{extends: chips/mine.yaml, devices: 24}"),
    ],
)
def test_a_mapping_over_a_name_is_partial(kind, text):
    """What it leaves out stands in the file it is laid over."""
    assert complaints(kind, text) == []


def below(tree, path=()):
    """Every place of a tree, with its value; options are checked by their topology, sizes by their family."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        if key not in ("options", "sizes", "zzz"):
            yield (*path, key), value
            yield from below(value, (*path, key))


def mutated(tree, rng):
    """One thing wrong, most of the time: an unknown key, a unit nobody knows, a negative number, a list, a hole."""
    at, old = rng.choice(list(below(tree)))
    parent = tree
    for step in at[:-1]:
        parent = parent[step]
    kind = rng.choice(["key", "unit", "sign", "list", "hole"])
    if kind == "key" and isinstance(old, dict):
        old["zzz"] = 1
    elif kind == "hole" and isinstance(parent, dict):
        del parent[at[-1]]
    elif kind == "list":
        parent[at[-1]] = [[1]]
    elif kind == "sign" and isinstance(old, int | float) and not isinstance(old, bool):
        parent[at[-1]] = -3
    elif not isinstance(old, dict | list):
        parent[at[-1]] = "2 furlongs"
    return (*at, kind)


def extended(kind, node):
    """A tree over what it extends."""
    resolver = Resolver({(): kind})
    whole = resolver.extended(node, ())
    if resolver.problems:
        raise InputError(*resolver.problems)
    return whole


GIVEN_TOGETHER = ("scaling", "target.steps", "target.units", "target.samples", "accelerator.name", "framework")
TOGETHER = {f"{path}.hole" for path in GIVEN_TOGETHER}  # what another part may say instead
BETWEEN = {"extends", "from", "to", "sources", "standard"}
RECORDS = {
    "framework": (FrameworkFile, None),
    "validation": (SetFile, None),
    "study": (Axes, None),
    "scaling": (Domain, "scaling"),
    "generation": (Generation, "generations"),
    "host": (Host, "hosts"),
    "storage": (Storage, "storage"),
    "input": (InputData, "inputs"),
    "numerics": (Numerics, "numerics"),
    "plan": (PlanRequest, "plans"),
}


def read_parts(node):
    """A cluster with chip, host and storage, each a name or written out in it."""
    name = read_cluster(node).accelerator
    parts = {"accelerator": read_accelerator, "host": partial(read, Host), "storage": partial(read, Storage)}
    for key, reader in parts.items():
        there = node.at(key)
        if there is not None and there.value is not None and not isinstance(there.value, str):
            reader(there, key)
        elif key == "accelerator":
            find("accelerators", str(name))


def read_as(kind, tree):
    """What the reader of a kind of file finds."""
    node = parse(json.dumps(tree))
    try:
        if kind == "scenario":
            build(document_of(tree, "mutant"))
        elif kind == "accelerator":
            read_accelerator(extended("accelerators", node))
        elif kind == "cluster":
            read_parts(extended("clusters", node))
        elif kind == "links":
            read_links(node)
        elif kind == "model":
            read_model(node)
        else:
            cls, folder = RECORDS[kind]
            read(cls, extended(folder, node) if folder else node)
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "kinds",
    [("scenario", "accelerator", "cluster", "links"), ("validation",), ("study",), ("model", *RECORDS)],
)
def test_schema_and_reader_agree_on_200_mutants(kinds):
    """Each finds something where the other does, and nothing where the other does not."""
    rng = random.Random(9)
    trees = [(path.name, kind, load(path).plain) for path, kind in shipped() if kind in kinds]
    trees += [("study", "study", tree) for tree in STUDIES if "study" in kinds]
    wrong = 0
    for name, kind, whole in rng.choices(trees, k=200):
        tree = copy.deepcopy(whole)
        what = mutated(tree, rng)
        if ".".join(map(str, what)) in TOGETHER or not BETWEEN.isdisjoint(map(str, what)):
            continue  # a rule between parts, ends or constants, a file that is there or not: the reader alone knows
        schema, reader = [error.message for error in validator(kind).iter_errors(tree)], read_as(kind, tree)
        assert bool(schema) == bool(reader), (name, what, schema, reader)
        wrong += bool(schema)
    assert wrong > 20
