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
    ("framework.recompute_stop=true", "not all of a block is run again"),
    ("framework.context_exchange=all_gather", "plan.context is 1"),
    ("framework.reshard_after_forward=false", "parameters are not sharded"),
    ("framework.duplicate_rows=true", "plan.sparse_embeddings is false"),
    ("workload.numerics.attention=flash2", "the model has the same ops"),
    ("workload.numerics.loss=chunked", "the model has the same ops"),
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
    ("today/llama2-70b", "workload.numerics.attention=flash1"),
    ("today/llama2-70b", "workload.numerics.loss=chunked"),
    ("today/llama2-70b", "workload.sizes.window=1024"),
    ("today/resnet50", "workload.numerics.memory_format=nchw"),
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


def test_passes_of_unfused_kernels_are_told_where_kernels_are_fused(run):
    """And read where they are not."""
    before, fused = answer(run, "today/bert")
    after, told = answer(run, "today/bert", "--set", "workload.numerics.shape_ops=true")
    assert (fused, after) == ([], before)
    assert "workload.numerics.shape_ops: is not read: workload.numerics.fused is true" in told[0]
    changes = ("--set", "workload.numerics.fused=false", "--set", "workload.numerics.shape_ops=true")
    assert answer(run, "today/bert", *changes)[1] == []


def test_what_a_language_model_has_no_op_for_is_told(run):
    """No image to store, and a window twice its 4,096 tokens: each with and without the other."""
    before, _ = answer(run, "today/llama2-70b")
    changes = ("workload.numerics.memory_format=nchw", "workload.sizes.window=8192", "workload.sizes.chunked=true")
    after, told = answer(run, "today/llama2-70b", *(part for change in changes for part in ("--set", change)))
    assert after == before
    assert ["the model has the same ops" in told[0], *("4096 lies within 8192" in line for line in told[1:])] == [
        True
    ] * 3


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


def told_by(run, *arguments):
    outcome = run(*arguments)
    assert outcome.code == 0, outcome.err
    return [line for line in outcome.err.splitlines() if line.startswith("advice: ")]


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "today/resnet50", "today/bert"),
        ("compare", "today/resnet50", "today/bert", "--json"),
        ("sweep", "today/resnet50", "--axis", "plan.sub_batch=16,32"),
        ("explore", "today/resnet50", "--axis", "plan.sub_batch=16,32"),
        ("require", "today/resnet50", "--deadline", "2 h", "--property", "memory_bandwidth"),
        ("sensitivity", "today/resnet50", "--property", "memory_bandwidth"),
        ("report", "today/resnet50", "today/bert", "-o", "page.html"),
    ],
)
def test_every_command_that_simulates_tells_it_once(run, command, tmp_path, monkeypatch):
    """However many runs it takes; `--quiet` says nothing."""
    monkeypatch.chdir(tmp_path)
    assert told_by(run, *command) == []
    change = ("--set", "plan.shard_group=4", "--force") if command[0] == "report" else ("--set", "plan.shard_group=4")
    told = told_by(run, *command, *change)
    assert told == ["advice: --set plan.shard_group=4: plan.shard_group: is not read: nothing is sharded, got 4"]
    assert run(*command, *change, "--quiet").err == ""


def test_a_sweep_tells_what_none_of_its_designs_reads(run, tmp_path):
    """An axis too; not what one of the designs reads."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    assert told_by(run, "sweep", path, "--axis", "plan.shard_group=2,4") == [
        "advice: --axis: plan.shard_group: is not read: nothing is sharded"
    ]
    group = ("--set", "plan.shard_group=2")
    assert told_by(run, "sweep", path, "--axis", "plan.sharding=none,full", *group) == []


def test_parts_that_nothing_reads_are_told_where_they_are_named(run, tmp_path):
    """A domain beside a number of steps, a storage nobody reads from, axes that `run` does not go along."""
    path, idle = tmp_path / "a.yaml", tmp_path / "b.yaml"
    path.write_text(SCENARIO + "target: {steps: 10}\n")
    axes = "study: {axes: {plan.data: [2, 4]}}\n"
    idle.write_text(f"extends: a.yaml\ncluster: {{storage: bloom-gpfs}}\nscaling: char-lm\n{axes}")
    told = "\n".join(told_by(run, "run", idle))
    for start in ("2:11: cluster.storage: is not read: ", "3:1: scaling: is not read: ", "4:1: study: is not read: "):
        assert f"{idle}:{start}" in told
    used = idle.with_name("c.yaml")
    used.write_text(f"extends: a.yaml\ncluster: {{storage: bloom-gpfs}}\n{CHECKPOINTS}")
    assert not any("cluster.storage" in line for line in told_by(run, "run", used))


CHECKPOINTS = "campaign: {checkpoints: {interval: 1 h}}\n"


def test_one_rank_reduces_no_gradients(run):
    """With or without overlap the step is the same; on two ranks it is not."""
    one = ("today/resnet50", "--set", "cluster.devices=1")
    before, _ = answer(run, *one)
    after, told = answer(run, *one, "--set", "framework.overlap_gradients=false")
    assert before["step"] == after["step"]
    assert [line for line in told if "framework.overlap_gradients: is not read: one rank has all gradients" in line]
    assert answer(run, "today/resnet50", "--set", "framework.overlap_gradients=false")[1] == []
