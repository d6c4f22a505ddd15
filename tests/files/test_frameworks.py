"""Frameworks by name: what a release decides, what a user's key overrides, what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sim.cli.frameworks import command
from sim.errors import InputError
from sim.files.conditions import holds
from sim.files.frameworks import framework_files, list_frameworks, load_framework, read_framework
from sim.files.scenario import Document, build, document_of
from sim.plan.framework import Framework
from sim.report.run import render
from sim.simulation import simulate


def document(framework: object, sets: Sequence[str] = (), **parts: object) -> Document:
    """A small GPT on two nodes, trained by a framework."""
    base: dict[str, object] = {
        "workload": {"family": "gpt3-6.7b"},
        "target": {"steps": 1},
        "cluster": {"extends": "dgx-a100-superpod", "devices": 16},
        "plan": {"global_batch": 64},
        "framework": framework,
    }
    return document_of(base | parts, "test", sets)


def leaf(found: Document, path: str) -> tuple[object, str]:
    """Value and place of one leaf."""
    return next((one.value, str(one.mark)) for one in found.leaves if one.path == path)


def test_sequence_overlap_and_timers_follow_the_release() -> None:
    """Megatron-LM 2.0 waits at every pass and exposes the input gradient's all-reduce; 3.0 hides it (commit 3f65246911,
    2021-09-02); 23.04 has leveled timers (commit 77efcccb93, 2022-08-10)."""
    found = {}
    for release in ("2.0", "3.0", "23.04"):
        scenario = build(document(f"megatron-lm@{release}"))
        found[release] = (scenario.framework.overlap_tensor, scenario.workload.numerics.launch)
    assert found == {"2.0": ("none", "waited"), "3.0": ("gradients", "waited"), "23.04": ("gradients", "eager")}


def test_each_value_says_where_it_comes_from() -> None:
    """The framework's file and line; the user's own key wins; what nobody states is the default and says so."""
    found = document({"name": "megatron-lm@3.0", "overlap_sends": True})
    value, place = leaf(found, "framework.overlap_tensor")
    assert value == "gradients"
    assert place.startswith("scenarios/frameworks/megatron-lm.yaml:")
    line = int(place.split(":")[1])
    text = (Path(__file__).parents[2] / "scenarios/frameworks/megatron-lm.yaml").read_text().splitlines()
    assert "key: framework.overlap_tensor, value: gradients" in text[line - 1]
    assert leaf(found, "framework.overlap_sends")[0] is True
    assert leaf(found, "framework.reserve_bytes") == (0.0, "default, unknown in the framework")


def test_a_habit_with_a_condition_holds_only_where_it_does() -> None:
    """Megatron-Core overlaps sends in the interleaved schedule only (commit f9283c5a8a)."""
    for chunks in (1, 2):
        plan = {"global_batch": 64, "pipeline": 4, "virtual_stages": chunks}
        assert build(document("megatron-core@0.8", plan=plan)).framework.overlap_sends is (chunks > 1)


def test_a_bucket_counts_weights() -> None:
    """40,000,000 weights are 160 MB in fp32, which --bf16 forces, and 80 MB in fp16."""
    assert build(document("megatron-core@0.8")).framework.bucket_bytes == 160e6
    half = {"family": "gpt3-6.7b", "numerics": {"weights": "fp16", "gradients": "fp16"}}
    assert build(document("megatron-core@0.8", workload=half)).framework.bucket_bytes == 80e6


def test_a_date_chooses_the_newest_release_out() -> None:
    """2024-09 lies between r0.8 (2024-08-12) and r0.9 (2024-10-24)."""
    assert load_framework("megatron-core", "2024-09").release == "0.8"
    assert load_framework("megatron-core").release == "0.14"
    scenario = build(document("megatron-lm", software_date="2021-02"))
    assert scenario.framework.gradient_passes == 3


def test_a_name_and_what_is_laid_over_it() -> None:
    """`--set framework=NAME` keeps what the scenario states of the framework; a field alone needs no name."""
    stated = {"name": "megatron-lm@3.0", "bucket": "40 MB"}
    found = build(document(stated)).framework
    assert (found.bucket_bytes, found.overlap_tensor) == (40e6, "gradients")
    assert build(document({"overlap_gradients": False})).framework == Framework(overlap_gradients=False)
    other = build(document(stated, sets=["framework=megatron-lm@2.0"])).framework
    assert (other.bucket_bytes, other.overlap_tensor) == (40e6, "none")


@pytest.mark.parametrize("key", ["overlap_gradients", "bucket", "reserve_bytes"])
def test_what_a_framework_decides_is_no_field_of_a_plan(key: str) -> None:
    """The old place is refused with the new one."""
    with pytest.raises(InputError, match=rf"plan.{key}: is decided by the framework.*\(write framework.{key}\)"):
        build(document("ddp@2.0", plan={"global_batch": 64, key: 1}))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"framework": "megatron-cor"}, 'framework.name: unknown framework, got megatron-cor .*"megatron-core"'),
        ({"framework": "megatron-core@0.81"}, "framework.name: unknown release of megatron-core.*0.8"),
        ({"framework": "ddp", "plan": {"pipeline": 2, "global_batch": 64}}, "plan.pipeline: ddp@.* can only do 1"),
        ({"framework": "ddp@2.0", "plan": {"sharding": "full"}}, "plan.sharding: ddp@2.0 can only do none"),
        ({"framework": "", "software_date": "2024-01"}, "software_date: is the date of a framework"),
        ({"framework": "ddp@2.0", "software_date": "2024-01"}, "software_date: is told by the release"),
        ({"framework": "ddp", "software_date": "soon"}, "software_date: must be year"),
        ({"framework": "ddp", "software_date": "2024-13"}, "software_date: must be year"),
        ({"framework": "ddp", "software_date": "2001"}, "software_date: ddp has no release before 2022-10"),
        ({"framework": "ddp", "software_date": 2001}, r"software_date: ddp has no release before 2022-10[^\n]*$"),
    ],
)
def test_what_is_refused(parts: dict[str, object], message: str) -> None:
    """Unknown names with their neighbours, what a framework cannot do, dates without a use; each with its place."""
    with pytest.raises(InputError, match=message) as caught:
        document(parts.pop("framework"), **parts)
    assert all(problem.file for problem in caught.value.problems)


@pytest.mark.parametrize("name", list_frameworks())
def test_every_release_makes_a_scenario(name: str) -> None:
    """Each habit's value is one the field takes."""
    file = next(file for file in framework_files() if file.name == name)
    assert list(file.releases) != []
    assert [r.date for r in file.releases.values()] == sorted(r.date for r in file.releases.values())
    for release in file.releases:
        build(document(f"{name}@{release}"))


def test_list_and_show() -> None:
    """A release inherits what earlier ones set; JSON carries evidence."""
    listed = CliRunner().invoke(command, ["list", "--json"])
    assert {one["name"] for one in json.loads(listed.output)["frameworks"]} == set(list_frameworks())
    shown = json.loads(CliRunner().invoke(command, ["show", "megatron-core@0.12", "--json"]).output)
    habits = {(habit["key"], str(habit["when"])): habit for habit in shown["habits"]}
    assert habits["numerics.attention", "{}"]["value"] == "flash"
    assert all(habit["source"] and habit["confidence"] in "ABCD" for habit in shown["habits"])
    text = CliRunner().invoke(command, ["show", "ddp"]).output
    assert "only plan.pipeline 1" in text


def test_conditions() -> None:
    """A value, a list, a comparison of numbers."""
    assert holds("> 1", 2)
    assert not holds("> 1", 1)
    assert not holds("> 1", "many")
    assert holds([1, "none"], "none")
    assert holds("<= 1e3", 1000.0)
    assert not holds("fp16", "bf16")


def test_the_printed_framework_is_read_back() -> None:
    """`run` prints the fields that are not their default as YAML with units: the same framework again."""
    plan = {"global_batch": 64, "sub_batch": 1, "tensor": 4, "sharding": "optimizer"}
    scenario = build(document({"name": "megatron-core@0.8", "bucket": "33 MB"}, plan=plan))
    result = simulate(scenario, levers=False, engine="recursion")
    line = next(line for line in render(result).splitlines() if line.strip().startswith("framework: "))
    again = build(document(yaml.safe_load(line.strip())["framework"]))
    assert again.framework == scenario.framework


def test_what_is_no_mapping_is_told_although_a_framework_has_settings_there() -> None:
    """They were laid over it, and it was lost."""
    with pytest.raises(InputError, match=r"workload\.numerics: must be a mapping, got a list"):
        build(document("megatron-lm", workload={"family": "gpt2", "numerics": [[1]]}))


def test_a_file_tells_keys_values_and_conditions_that_cannot_be(tmp_path) -> None:
    """All at once, each where it stands."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\n"
        "releases:\n"
        '  "1":\n'
        "    date: 2024-01\n"
        "    habits:\n"
        "      - {key: plan.recompte, value: full, source: x, confidence: A}\n"
        "      - {key: plan.recompute, value: fulll, source: x, confidence: A}\n"
        "      - {key: plan.recompute, value: full, source: x, confidence: A, when: {numerics.attention: flash.*}}\n"
        "      - {key: plan.recompute, value: none, source: x, confidence: A, when: {plan.foo: 3, plan.data: 1}}\n"
        "limits:\n"
        "  - {key: plan.sharding, allowed: [none, ful], source: x, confidence: A}\n"
    )
    with pytest.raises(InputError) as refused:
        read_framework(path)
    told = [(p.line, p.path, p.rule.split(",")[0]) for p in refused.value.problems]
    assert told == [
        (6, "releases.1.habits.0.key", "is nothing a framework decides: no field of a framework"),
        (7, "releases.1.habits.1.value", "must be one of none"),
        (8, "releases.1.habits.2.when.numerics.attention", "must be one of plain"),
        (9, "releases.1.habits.3.when.plan.foo", "is no field of a scenario"),
        (11, "limits.0.allowed", "must be one of none"),
    ]


def test_a_search_keeps_to_what_the_framework_can_do() -> None:
    """DDP has one way: no tensor, no pipeline, nothing sharded; without a search the defaults say so."""
    asked = build(document("ddp", plan={"search": True, "global_batch": 64})).plan
    assert (asked.tensor, asked.pipeline, asked.sharding) == (1, 1, "none")
    assert build(document("megatron-lm", plan={"search": True, "global_batch": 64})).plan.tensor is None
