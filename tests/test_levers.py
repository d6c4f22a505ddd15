"""What would help most: every lever run forward gives the step it promises; what limits and what helps agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import sim
from sim.engine import Step
from sim.files.loader import parse
from sim.simulation.limits import CO_LIMITED, bottleneck_of
from sim.simulation.planning import model_of
from sim.workload.records import Launch

PIPELINE = """
workload: {family: llama2-7b}
target: {units: 1e11}
cluster: {extends: dgx-h100-superpod, devices: 64}
plan: {tensor: 4, pipeline: 2, sub_batch: 1, global_batch: 64, recompute: full}
"""
SMALL = "{workload: {family: gpt2}, target: {steps: 10}, cluster: dgx-h100, plan: {sub_batch: 1, global_batch: 8}}"


def load(folder: Path, text: str) -> sim.Scenario:
    file = folder / "s.yaml"
    file.write_text(text, encoding="utf-8")
    return sim.load_scenario(file)


def promised(result: sim.Result, change: str) -> tuple[float, str]:
    """Step time (s) and note of a lever."""
    lever = next(lever for lever in result.bottleneck.levers if lever.change == change)
    assert lever.quantity == "step_time_s"
    assert lever.effect is not None
    return lever.effect, lever.note


def test_a_plan_among_the_levers_gives_the_step_it_promises(tmp_path: Path) -> None:
    """Recomputing nothing, said with the memory it needs where that is more than there is."""
    scenario = load(tmp_path, PIPELINE)
    seconds, note = promised(sim.simulate(scenario), "recompute: none")
    forward = sim.simulate(scenario.with_("plan.recompute", "none"), levers=False)
    assert seconds == pytest.approx(forward.step.time_s, rel=1e-9)
    assert note == ""
    tight = scenario.with_("accelerator.memory.capacity", forward.fullest.total_bytes * 0.99)
    assert promised(sim.simulate(tight), "recompute: none")[1].startswith("needs ")


def test_small_kernels_are_helped_by_graphs(tmp_path: Path) -> None:
    """GPT-2 with one sequence a pass is issued slower than it runs; captured, the host issues nothing."""
    scenario = load(tmp_path, SMALL)
    seconds, _ = promised(sim.simulate(scenario), "launch: graph")
    captured = sim.simulate(scenario.with_("workload.numerics.launch", Launch.GRAPH), levers=False)
    assert seconds == pytest.approx(captured.step.time_s, rel=1e-9)


def test_two_parts_of_a_size_limit_together(tmp_path: Path) -> None:
    """40 % arithmetic and 35 % communication: both are said; at 29 % the first alone."""
    scenario = load(tmp_path, SMALL)
    model, plan = model_of(scenario, None), sim.simulate(scenario, levers=False).plan
    base = Step(1.0, 0.4, 0.0, 0.0, 0.35, 0.25, 0.0, 0.0, {}, 1.0, 1.0, 1)
    assert 0.35 > CO_LIMITED * 0.4 > 0.29
    both = bottleneck_of(scenario, model, plan, base, levers=False)
    assert both.limit == "compute"
    assert both.statement.endswith("35 % collectives that no computation hides: co-limited.")
    alone = bottleneck_of(scenario, model, plan, replace(base, exposed_communication_s=0.29), levers=False)
    assert "co-limited" not in alone.statement


def test_another_plan_is_searched_among_the_levers(tmp_path: Path) -> None:
    """What the lever says, written into the scenario, takes the time it says; nothing single of the plan is better."""
    scenario = load(tmp_path, PIPELINE)
    plain, found = sim.simulate(scenario), sim.simulate(scenario, searched=True)
    (lever,) = [each for each in found.bottleneck.levers if each.change.startswith("plan: ")]
    again = scenario
    for name, value in parse(lever.change).plain["plan"].items():
        again = again.with_(f"plan.{name}", value)
    assert sim.simulate(again, levers=False).step.time_s == pytest.approx(lever.effect, rel=1e-9)
    single = [each.effect for each in plain.bottleneck.levers if ":" in each.change and each.effect and not each.note]
    assert single
    assert lever.effect is not None
    assert lever.effect <= 1.01 * min(single)  # plans within 1 % are as good as each other, the plainest is named
    assert not [each for each in plain.bottleneck.levers if each.change.startswith("plan: ")]
