"""The JSON Schema: current, and it says what the reader says."""

from __future__ import annotations

import json
import os
import random
import re
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sim.errors import InputError
from sim.files.checking import kind_of
from sim.files.clusters import read_cluster, read_links
from sim.files.hardware import read_accelerator
from sim.files.library import find
from sim.files.loader import load, parse
from sim.files.merge import Resolver
from sim.files.reference import reference
from sim.files.scenario import build, document_of
from sim.files.schema import KINDS, schema_of

ROOT = Path(__file__).parents[2]


def test_the_checked_in_reference_is_current():
    """After a change of fields: `UPDATE_SCHEMA=1 pytest tests/files/test_border_schema.py`."""
    path = ROOT / "docs" / "inputs.md"
    if os.environ.get("UPDATE_SCHEMA"):
        path.write_text(reference(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == reference()


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
    kinds = {"scaling domain": "scaling"}
    paths = [*(ROOT / "hardware").rglob("*.yaml"), *(ROOT / "scenarios").rglob("*.yaml")]
    named = ((path, kind_of(path, load(path))) for path in sorted(paths))
    return [(path, kinds.get(kind, kind)) for path, kind in named if kinds.get(kind, kind) in KINDS]


@cache
def validator(kind):
    """Of one kind of file."""
    Draft202012Validator.check_schema(schema_of(kind))
    return Draft202012Validator(schema_of(kind))


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


def read_as(kind, tree):
    """What the reader of a kind of file finds."""
    node = parse(json.dumps(tree))
    try:
        if kind == "scenario":
            build(document_of(tree, "mutant"))
        elif kind == "accelerator":
            read_accelerator(extended("accelerators", node))
        elif kind == "cluster":
            find("accelerators", str(read_cluster(extended("clusters", node)).accelerator))
        else:
            read_links(node)
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_schema_and_reader_agree_on_200_mutants():
    """Each finds something where the other does, and nothing where the other does not."""
    rng, kinds = random.Random(9), ("scenario", "accelerator", "cluster", "links")
    files = [(path, kind) for path, kind in shipped() if kind in kinds]
    wrong = 0
    for path, kind in rng.choices(files, k=200):
        tree = load(path).plain
        what = mutated(tree, rng)
        if what == ("scaling", "hole") or what[-2] == "extends":
            continue  # what a target needs is a rule between parts, a file is there or not: the reader alone knows
        schema, reader = [error.message for error in validator(kind).iter_errors(tree)], read_as(kind, tree)
        assert bool(schema) == bool(reader), (path.name, what, schema, reader)
        wrong += bool(schema)
    assert wrong > 100
