"""What is stated and not read is told once, at its line, on stderr; what is read is not. Oracle: the answer itself."""

from __future__ import annotations

import json

import pytest

from tests.files.conftest import SCENARIO

IDLE = [
    ("plan.shard_group=4", "nothing is sharded"),
    ("plan.recompute_layers=2", "nothing is recomputed"),
    ("plan.sparse_embeddings=true", "the model has no embedding"),
    ("training.batch_tolerance=0.1", "chosen for the objective"),
    ("campaign.seeds=64", "no failures"),
    ("campaign.nodes_per_rack=8", "no failure of a rack"),
    ("framework.overlap_sends=false", "plan.pipeline is 1"),
    ("framework.recompute_stop=true", "plan.recompute is not full"),
    ("framework.reshard_after_forward=false", "parameters are not sharded"),
    ("framework.duplicate_rows=true", "plan.sparse_embeddings is false"),
]
AMOUNT = [
    ("training.units_per_sample=2", "the target is a number of steps"),
    ("training.passes=3", "the target is a number of steps"),
    ("training.critical_batch=100 samples", "the target is a number of steps"),
    ("training.step_error=0.1", "the target is a number of steps"),
    ("target.metric=furlong", "the target is a number of steps"),
]
READ = [
    ("today/resnet50", "training.step_error=0.1"),
    ("today/resnet50", "objective=cost"),
    ("today/llama2-70b", "plan.sparse_embeddings=true"),
    ("paper/frontier-image", "training.units_per_sample=1"),
]


def answer(run, *arguments):
    outcome = run("run", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    body = json.loads(outcome.out)
    told = [line for line in outcome.err.splitlines() if line.startswith("advice: ")]
    plan = {key: value for key, value in body.pop("plan").items() if key.endswith(("parallel", "batch"))}
    body["provenance"] = None
    return body | {"plan": plan}, told


@pytest.mark.parametrize(("change", "why"), IDLE)
def test_a_field_that_is_not_read_is_told(run, change, why):
    """The answer stays the same, and one line says so."""
    before, told = answer(run, "today/resnet50")
    assert told == []
    after, told = answer(run, "today/resnet50", "--set", change)
    assert after == before
    assert len(told) == 1
    assert f"--set {change}: {change.partition('=')[0]}: is not read: " in told[0]
    assert why in told[0]


@pytest.mark.parametrize(("change", "why"), AMOUNT)
def test_a_plain_amount_reads_nothing_of_an_error(run, change, why):
    """Passes, critical batch and units belong to the way from an error to steps."""
    base = ("today/llama2-70b", "--set", "target.units=null", "--set", "target.steps=10")
    before, told = answer(run, *base)
    assert told == []
    after, told = answer(run, *base, "--set", change)
    assert after["time_to_target"] == before["time_to_target"]
    assert len(told) == 1
    assert why in told[0]


@pytest.mark.parametrize(("scenario", "change"), READ)
def test_a_field_that_is_read_is_not_told(run, scenario, change):
    """No advice where the field has its part in the answer."""
    assert answer(run, scenario, "--set", change)[1] == []


def test_an_objective_with_nothing_to_choose_is_told(run):
    """Batch, sub-batch and devices are given."""
    (told,) = answer(run, "today/llama2-70b", "--set", "objective=cost")[1]
    assert "nothing is left to choose for it" in told


def test_advice_has_its_line_and_check_gives_it_too(run, tmp_path):
    """In a file: its line; `check` stays at exit 0, `run --quiet` says nothing."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO.replace("sub_batch: 128", "sub_batch: 128\n  shard_group: 1\n  recompute_layers: 2"))
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "recompute_layers" in text)
    for command in ("run", "check"):
        outcome = run(command, path)
        assert outcome.code == 0, outcome.err
        assert f"advice: {path}:{line}:21: plan.recompute_layers: is not read: nothing is recomputed" in outcome.err
    assert run("run", path, "--quiet").err == ""


def test_a_present_belongs_to_a_learning_curve(run):
    """A loss law has no present state: refused."""
    outcome = run("run", "today/chinchilla", "--set", "scaling.current_error=3")
    assert outcome.code == 2
    assert "scaling.current_error: belongs to a learning curve" in outcome.err
