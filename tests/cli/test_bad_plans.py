"""Plans that cannot be, in a file and by `--set`: place, rule, nearest valid choices, exit 2."""

from __future__ import annotations

import pytest

SCENARIO = """\
name: bad
workload:
  family: {family}
  numerics: {{compute: bf16, activations: bf16, weights: bf16, gradients: fp32, attention: flash}}
cluster: {{extends: dgx-a100-superpod, devices: 16}}
target: {{steps: 1}}
plan:
  global_batch: 64
  sub_batch: 1
"""

CASES = [
    ("gpt2", "tensor=3", "plan.tensor: ", "must divide the 16 devices", "nearest 2 or 4"),
    ("gpt2", "tensor=8", "plan.tensor: ", "must divide the 12 attention heads", "nearest 2 or 4"),
    ("gpt2", "data=8", "plan.data: ", "got 1·1·8·1 = 8", "data must be 16"),
    ("gpt2", "global_batch=63", "plan.global_batch: ", "a multiple of sub_batch·data = 1·16", "nearest 48 or 64"),
    ("gpt2", "pipeline=16", "plan.pipeline: ", "more stages than layers", "nearest 11 or 12"),
    ("gpt2", "virtual_stages=2", "plan.virtual_stages: ", "needs a pipeline", "virtual_stages: 1, or pipeline: 2"),
    ("gpt2", "expert=4", "plan.expert: ", "no experts", "expert: 1"),
    ("mixtral-8x7b", "expert=16", "plan.expert: ", "has 8 experts", "nearest 4 or 8"),
    ("gpt2", "stage_layers=[6, 7]", "plan.stage_layers: ", "must give 1 numbers", "[12]"),
    ("gpt2", "shard_group=3", "plan.shard_group: ", "must divide the 16 data ranks", "nearest 2 or 4"),
    ("gpt2", "sharding=fully", "plan.sharding: ", "must be one of none, optimizer, gradients, full", 'mean "full"'),
    ("gpt2", "order=[tensor, data]", "plan.order: ", "must name each of", "tensor, data"),
    ("gpt2", "data=0", "plan.data: ", "must be at least 1", "got 0"),
    ("gpt2", "offload=saved_ops", "plan.offload: ", "needs saved_ops", "got saved_ops"),
    ("gpt2", "tensor=two", "plan.tensor: ", "must be a whole number", '"two"'),
]


@pytest.fixture
def write(tmp_path):
    def put(family, extra=""):
        path = tmp_path / "a.yaml"
        path.write_text(SCENARIO.format(family=family) + extra)
        return path

    return put


@pytest.mark.parametrize(("family", "change", "path", "rule", "hint"), CASES)
def test_by_set(run, write, family, change, path, rule, hint):
    """The message begins with the override it comes from."""
    outcome = run("run", write(family), "--set", f"plan.{change}")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"--set plan.{change}: {path}")
    assert rule in outcome.err
    assert hint in outcome.err


@pytest.mark.parametrize(("family", "change", "path", "rule", "hint"), [c for c in CASES if "global" not in c[1]])
def test_in_the_file(run, write, family, change, path, rule, hint):
    """The message begins with file, line and column of the value."""
    key, _, value = change.partition("=")
    file = write(family, f"  {key}: {value}\n")
    outcome = run("run", file)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"{file}:10:{len(key) + 5}: {path}")
    assert rule in outcome.err
    assert hint in outcome.err


@pytest.mark.parametrize("change", ["tensor=3", "pipeline=16", "data=3", "expert=4"])
def test_of_a_searched_plan_what_is_given_must_be_possible(run, write, change):
    """Exit 2, not "infeasible"."""
    outcome = run("run", write("gpt2"), "--set", "plan.search=true", "--set", f"plan.{change}")
    assert outcome.code == 2
    assert f"--set plan.{change}: plan." in outcome.err


def test_a_search_needs_the_global_batch(run, write):
    """It is part of the question."""
    outcome = run("run", write("gpt2"), "--set", "plan.search=true", "--set", "plan.global_batch=null")
    assert outcome.code == 2
    assert "plan.global_batch: is required when the plan is searched" in outcome.err


def test_a_search_in_which_nothing_fits_is_infeasible_with_levers(run, write):
    """Exit 3: what comes closest, and how many devices would do."""
    outcome = run("run", write("gpt3-175b"), "--set", "plan.search=true", "--quiet")
    assert (outcome.code, outcome.out) == (3, "")
    first, *levers = outcome.err.splitlines()
    assert "plans fits 16 devices" in first
    assert any(" devices: fits" in lever for lever in levers)
