"""Figures that once drifted from each other, each against arithmetic or the law it is said to follow."""

from __future__ import annotations

import json

import pytest

from sim.device.cached import cache_aware
from sim.errors import InfeasibleError
from sim.files import load_scenario
from sim.files.scenario import build, document_of
from sim.report.run import to_json
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import choose_plan, model_of, project_target, simulate
from sim.simulation.stepping import record_of

BOARD_W = 400.0  # A100 SXM, its data sheet
DLRM = {"workload": {"family": "dlrm"}, "cluster": "dgx-a100", "target": {"samples": 4.2e9}}


def dlrm(**changes: object) -> Scenario:
    return build(document_of({**DLRM, **changes}, "dlrm"))


def simulated(scenario: Scenario) -> Result:
    return simulate(scenario, must_fit=False, levers=False)


@pytest.mark.parametrize(
    ("optimizer", "plan"),
    [
        ("adam", {"expert": 1}),  # 360 GiB of 80: priced all the same
        ("adam", {"sub_batch": 2048}),  # tables spread over the node: this one fits
        ("sgd", {"sub_batch": 2048}),
        ("sgd", {"sub_batch": 2048, "sparse_embeddings": True}),
    ],
)
def test_dlrm_on_eight_a100s_draws_no_more_than_the_board_may(optimizer: str, plan: dict[str, object]) -> None:
    """DLRM, the default plan and such that fit: at most 400 W a device, at least what it idles at."""
    scenario = dlrm(plan=plan, workload={"family": "dlrm", "numerics": {"optimizer": optimizer}})
    found = simulated(scenario).energy
    assert found is not None
    assert scenario.accelerator.power.idle_w <= found.mean_device_w <= BOARD_W


def test_memory_energy_of_dlrm_is_that_of_the_bytes_its_step_moves() -> None:
    """J/byte · every DRAM byte of the step, update and sparse gradients among them."""
    scenario = dlrm(plan={"expert": 8, "sub_batch": 2048})
    result, model = simulated(scenario), model_of(scenario, None)
    stage = record_of(scenario, model, result.plan).stages[0]
    moved = sum(work.dram_bytes * block.count for block, work in stage.passes()) + stage.update.dram_bytes
    joules = moved * scenario.accelerator.power.dram_byte_j * 8
    assert result.energy.by_kind["memory"] == pytest.approx(joules, rel=1e-9)


def test_tables_lie_over_the_node_unless_copies_are_asked_for() -> None:
    """24 G weights with Adam, 16 B each: 45 GiB on each of eight devices; 360 GiB where every device has a copy."""
    spread = simulate(dlrm(), levers=False)
    assert spread.plan.expert == 8
    kept = sum(spread.memory[0].bytes_by_kind[kind] for kind in ("weights", "gradients", "optimizer", "master"))
    assert kept == pytest.approx(24.037e9 * 16 / 8, rel=0.01)
    with pytest.raises(InfeasibleError) as caught:
        simulate(dlrm(plan={"expert": 1}), levers=False)
    assert caught.value.reason.need_bytes > 80 * 2**30


def test_the_first_order_step_is_the_law_alone() -> None:
    """Table 2's NMT, b = 96, on Table 4's chip: max(149·p·b/(0.8·15.67 T), (533·p + 22,653·b·√p)/(0.7·898 G)) =
    21.66 s, its update included."""
    result = simulate(load_scenario("paper/frontier-nmt"), levers=False)
    p, b = result.parameters, result.plan.sub_batch
    compute, moved = 149 * p * b / (0.8 * 15.67e12), (533 * p + 22653 * b * p**0.5) / (0.7 * 898e9)
    assert result.step.time_s == pytest.approx(max(compute, moved), rel=1e-9)
    assert result.step.time_s == pytest.approx(21.66, abs=0.005)


@pytest.mark.parametrize(("capacity", "seconds"), [(1e3, 74.2), (6e6, 12.7), (600e6, 12.7)])
def test_run_and_ops_see_the_same_cache(capacity: float, seconds: float) -> None:
    """The case study on caches of 1 kB, 6 MB and 600 MB: `run` and `ops` print one time, the roofline op by op where
    blocking costs nothing, more where each product is loaded again and again."""
    scenario = load_scenario("paper/case-study-1-roofline", [f"accelerator.cache.capacity={capacity} B"])
    result, model = simulate(scenario, levers=False), model_of(scenario, project_target(scenario))
    record = record_of(scenario, model, choose_plan(scenario, model)[0])
    blocked = cache_aware(record.executed(), scenario.accelerator)
    assert result.step.time_s == pytest.approx(blocked.cache_aware_s, rel=1e-9)
    assert result.step.time_s == pytest.approx(seconds, abs=0.05)
    assert (result.step.time_s > 1.01 * blocked.op_roofline_s) == (capacity < 6e6)


def test_dense_gradients_are_a_lever_where_rows_cost_more() -> None:
    """Every rank's rows, duplicates and all, are 10,240 · 1,024 rows of a table of 10,004: whole it is cheaper."""
    result = simulate(load_scenario("paper/word-lm", ["framework.duplicate_rows=true"]))
    lever = next(lever for lever in result.bottleneck.levers if "not as rows" in lever.change)
    assert 0 < lever.effect < result.step.time_s


def test_what_is_not_modelled_is_null_with_its_reason() -> None:
    """No input pipeline is given: no stall is told."""
    step = to_json(simulate(load_scenario("paper/frontier-nmt"), levers=False))["step"]
    assert step["input_stall_s"] is None
    assert "training.input" in step["input_stall_s_reason"]
    json.dumps(step, allow_nan=False)


def test_both_utilisations_say_what_they_count() -> None:
    """A causal kernel runs half of the square that model FLOPs count: hfu may lie below mfu, and each says why."""
    result = simulate(load_scenario("paper/word-lm"), levers=False)
    body, peak = to_json(result)["step"], 15.67e12 * result.step.time_s * result.devices
    assert "attention counted full" in body["mfu_definition"]
    assert "causal attention as run" in body["hfu_definition"]
    assert body["mfu"] == pytest.approx(result.step.model_flops / peak)
    assert body["hfu"] == pytest.approx(result.step.executed_flops / peak)
