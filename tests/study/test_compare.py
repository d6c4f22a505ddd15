"""Scenarios side by side, and over one key."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sim.cli.compare import command
from sim.cli.process import FailedItemsError, tell
from sim.errors import InputError
from sim.files import load_scenario
from sim.report.compare import rate
from sim.study.compare import causes, compare, device_seconds
from sim.study.executors import Here
from sim.study.metrics import METRICS
from sim.study.runner import run
from sim.study.store import outcomes
from sim.study.sweep import axis_of_text, study_of

PAIR = ("paper/case-study-4-data-parallel-512", "paper/case-study-3-data-parallel-1024")


def cases():
    """Two stages of the case study."""
    return [case.result for case in compare(*PAIR).cases]


def test_causes_add_up_to_the_difference():
    """The parts of the step explain the whole change of device time per sample."""
    base, other = cases()
    assert base is not None
    assert other is not None
    total = sum(cause.device_seconds for cause in causes(base, other))
    assert total == pytest.approx(device_seconds(other) - device_seconds(base), rel=1e-9)


def test_more_workers_cost_communication():
    """512 → 1,024 workers: compute per sample is the same, exposed communication makes the whole difference."""
    base, other = cases()
    assert base is not None
    assert other is not None
    assert causes(base, other)[0].part == "exposed communication"
    assert 1.5 < rate(other) / rate(base) < 2.0


def test_an_infeasible_case_does_not_stop_the_others():
    """It keeps its row with the reason."""
    large = load_scenario(PAIR[0])
    found = compare(large.with_("accelerator.memory.capacity", "32 GB"), large, labels=["small"])
    assert [case.label for case in found.cases] == ["small", large.name]
    assert found.cases[0].result is None
    assert found.cases[0].infeasible is not None
    assert "does not fit" in str(found)
    assert found.to_dict()["cases"][1]["ratio"] == 1.0


def test_a_study_is_the_scenario_s_own(tmp_path):
    """Figure 12 is a sweep over the number of workers: utilisation falls all the way."""
    study = study_of("paper/figure-12")
    assert [a.path for a in study.designs.axes] == ["cluster.devices"]
    run(study, tmp_path / "study.db", Here, 1)
    place = list(METRICS).index("mfu")
    mfu = [outcome.metrics[place] for outcome in outcomes(tmp_path / "study.db")]
    assert len(mfu) == 16
    assert mfu == sorted(mfu, reverse=True)


def test_axes_of_one_s_own_replace_the_study():
    """As the command line gives them."""
    study = study_of("paper/figure-11", axes=[axis_of_text("plan.sub_batch=64,128")])
    assert [study.designs.overrides(i) for i in range(2)] == [{"plan.sub_batch": 64}, {"plan.sub_batch": 128}]


def test_a_sweep_without_a_study_says_what_is_missing():
    """A hint shows how to write one."""
    with pytest.raises(InputError, match="is required for a sweep"):
        study_of("paper/word-lm")


def test_the_time_to_the_target_is_explained_by_the_samples_it_needs():
    """Twice the workers at one sub-batch: twice the batch, 1 + B/Bc times the samples (Bc = 3,945)."""
    first, second = cases()
    assert first is not None
    assert second is not None
    ratio = (1 + second.plan.global_batch / 3945) / (1 + first.plan.global_batch / 3945)
    assert f"with {ratio:.2f}x the samples (global batch 131,072 instead of 65,536)" in str(compare(*PAIR))


def test_overrides_of_the_accelerator_hold_for_every_accelerator():
    """`--set accelerator.memory.capacity` is laid over each chip named, not replaced by it."""
    runner = CliRunner()
    options = ["--accelerator", "paper-2019", "--accelerator", "v100-sxm2-32gb", "--json"]
    outcome = runner.invoke(command, ["paper/word-lm", *options, "--set", "accelerator.memory.capacity=512 GiB"])
    results = [case["result"] for case in json.loads(outcome.output)["cases"]]
    assert [r["scenario"]["accelerator"] for r in results] == ["paper-2019", "v100-sxm2-32gb"]
    assert {r["memory"]["per_device"]["capacity_bytes"] for r in results} == {512 * 2**30}


def test_nothing_that_fits_is_infeasible():
    """Every case is printed with its reason, and the command ends as `run` would."""
    outcome = CliRunner().invoke(command, ["paper/word-lm", "--accelerator", "t4", "--accelerator", "v100-sxm2-32gb"])
    assert outcome.output.count("does not fit") == 2
    assert isinstance(outcome.exception, FailedItemsError)
    assert tell(outcome.exception) == 3
