"""Designs screened in columns: what simulating each of them answers."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files import build, document_of
from sim.scenario import Scenario
from sim.search.hardware import Hardware, _Rows
from sim.search.paths import LEAST, Paths
from sim.simulation import simulate
from sim.simulation.properties import PROPERTIES
from sim.study.metrics import METRICS, values
from sim.study.screening import SCREENED, DesignScreen
from sim.study.sweep import sweep

PLANS = {
    "tensor": ("llama2-7b", {"tensor": 8, "data": 2, "sub_batch": 1, "global_batch": 8, "sequence_parallel": True}),
    "fully sharded": ("llama2-7b", {"data": 16, "sub_batch": 1, "global_batch": 32, "sharding": "full"}),
    "data": ("resnet50", {"data": 16, "sub_batch": 32, "global_batch": 512}),
    "pipeline": ("llama2-7b", {"tensor": 2, "pipeline": 4, "data": 2, "sub_batch": 1, "global_batch": 32}),
}
FACTORS = st.fixed_dictionaries({name: st.floats(-1.0, 1.2) for name in SCREENED if name != "memory_capacity"})


def scenario(name: str, **more: object) -> Scenario:
    """On two DGX H100; collectives of the pipeline after its passes."""
    family, plan = PLANS[name]
    stated = {
        "workload": {"family": family},
        "cluster": {"extends": "dgx-h100-superpod", "devices": 16},
        "target": {"steps": 1000},
        "plan": plan,
        "framework": {"overlap_gradients": name != "pipeline"},
    }
    return build(document_of(stated | more, "test"))


@cache
def screen(name: str) -> DesignScreen:
    return DesignScreen(scenario(name))


@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=6, deadline=None)
@given(logs=FACTORS, others=FACTORS)
def test_a_screened_design_is_the_simulated_one(name: str, logs: dict[str, float], others: dict[str, float]) -> None:
    """Every metric to 1e-12 (power, energy, its price to 1e-4: of tilings that tie, another may be counted), at the
    clock the power limit leaves."""
    assert screen(name).exact
    pair = {key: np.exp([value, others[key]]) for key, value in logs.items()}
    changed = scenario(name)
    for key, column in pair.items():
        changed = PROPERTIES[key].scaled(changed, float(column[0]))
    found = screen(name).run(pair)
    for metric, simulated in zip(METRICS, values(simulate(changed, levers=False)), strict=True):
        column = found.columns[metric]
        screened = column[0] if isinstance(column, np.ndarray) else column
        close = 1e-4 if metric in ("energy_j", "device_power_w", "cost_usd") else 1e-12
        assert screened == (None if simulated is None else pytest.approx(simulated, rel=close)), metric


@settings(max_examples=5, deadline=None)
@given(FACTORS)
def test_where_collectives_run_beside_a_pipeline_the_screen_is_a_bound(logs: dict[str, float]) -> None:
    """Below the engine's step, and within 10 % of it here."""
    base = scenario("pipeline", framework={"overlap_gradients": True})
    bound = DesignScreen(base)
    assert not bound.exact
    factors = {name: np.exp([value]) for name, value in logs.items()}
    for name, column in factors.items():
        base = PROPERTIES[name].scaled(base, float(column[0]))
    step_s = bound.run(factors).columns["step_s"]
    assert isinstance(step_s, np.ndarray)
    assert 0.9 <= step_s[0] / simulate(base, levers=False).step.time_s <= 1.0 + 1e-12


AXES = {
    "peak": {"from": "500 TFLOP/s", "to": "2000 TFLOP/s", "count": 3, "scale": "log"},
    "memory_capacity": ["16 GiB", "80 GiB"],
}


def test_a_screened_study_is_the_simulated_one(tmp_path: Path) -> None:
    """The same rows, those that do not fit with their reason; the file is gone on with, and is not the other's."""
    base, file = scenario("tensor"), tmp_path / "screened.db"
    screened, simulated = sweep(base, AXES, screen=True, file=file), sweep(base, AXES, jobs=1)
    for one, other in zip(screened.outcomes, simulated.outcomes, strict=True):
        assert one.code == other.code
        if one.code == 0:
            assert one.metrics[:4] == pytest.approx(other.metrics[:4], rel=1e-12)
    assert {o.code for o in screened.outcomes} == {0, 3}
    assert len({o.key for o in screened.outcomes}) == 6
    assert sweep(base, AXES, screen=True, file=file).outcomes == screened.outcomes
    with pytest.raises(InputError, match="belongs to another study"):
        sweep(base, AXES, file=file, jobs=1)


def test_a_file_that_changed_is_screened_as_it_stands(tmp_path: Path) -> None:
    """In one process: the second study's steps are of its own batch."""
    file, found = tmp_path / "a.yaml", []
    for batch in (1, 2):
        plan = f"plan: {{tensor: 8, data: 2, sub_batch: {batch}, global_batch: {8 * batch}}}"
        cluster = "cluster: {extends: dgx-h100-superpod, devices: 16}"
        file.write_text(f"workload: {{family: llama2-7b}}\n{cluster}\n{plan}\ntarget: {{steps: 9}}\n")
        peak = {"peak": ["1 PFLOP/s"]}
        one, other = (sweep(str(file), peak, screen=screened).outcomes[0] for screened in (True, False))
        assert one.metrics[1] == pytest.approx(other.metrics[1], rel=1e-12)
        found.append(one.metrics[1])
    assert found[0] < found[1]


def test_what_cannot_be_screened_is_said_at_once() -> None:
    """Every reason together: an axis that is no rate; a plan that is not fixed, jitter, slow devices."""
    with pytest.raises(InputError, match="no rate of the hardware") as caught:
        sweep(scenario("tensor"), {"plan.sub_batch": [1, 2], "peak": [1e15], "cache_capacity": ["1 MiB"]}, screen=True)
    assert [p.path for p in caught.value.problems] == ["study.axes.plan.sub_batch", "study.axes.cache_capacity"]
    loose = {"tensor": 8, "sub_batch": 1}
    uneven = {"jitter": 0.1, "slow_devices": [{"rank": 0, "factor": 2}]}
    with pytest.raises(InputError) as caught:
        DesignScreen(scenario("tensor", plan=loose, training=uneven))
    assert [p.path for p in caught.value.problems] == ["plan", "training.slow_devices", "training.jitter"]


def test_rows_are_given_up_only_when_nothing_waits_for_them() -> None:
    """The program of 4 stages: ends of all tasks in a fraction of as many rows, its end that of the recursion."""
    held = screen("pipeline").screen
    assert held.program is not None
    rows = _Rows(held.program)
    assert rows.count < len(held.program) / 4
    end = rows.end([np.array(seconds) for seconds in held.program.seconds])
    assert end == pytest.approx(simulate(scenario("pipeline"), levers=False, engine="recursion").step.time_s, rel=1e-12)


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_longest_chains_of_many_designs_end_as_their_tasks_do(spread: float) -> None:
    """Parts of random durations, near each other and far apart: each design as when all its tasks are followed."""
    held = screen("pipeline").screen
    counts, parts = held._parts(held.record)
    columns = np.exp(np.random.default_rng(1).uniform(-spread, spread, (len(parts), 2 * LEAST)))
    slots = [sum(times * columns[part] for part, times in found.items()) for found in counts]
    tasks = _Rows(held.program).end([slots[slot] for slot in held._tasks.filled_by])
    followed: list[int] = []

    def otherwise(chosen: np.ndarray) -> np.ndarray:
        followed.append(len(chosen))
        return tasks[chosen]

    chains = Paths(held.program, held._paths.counts)
    assert chains.end(list(columns), otherwise) == pytest.approx(tasks, rel=1e-12)
    assert bool(followed) == (spread > 1.0)


def test_a_property_is_an_axis_of_every_study() -> None:
    """Twice the peak by name is twice the peak; a value of another dimension is refused."""
    peak = PROPERTIES["peak"].value(scenario("data")) or math.nan
    once, twice = sweep(scenario("data"), {"peak": [peak, 2 * peak]}, jobs=1).outcomes
    changed = PROPERTIES["peak"].scaled(scenario("data"), 2.0)
    assert twice.metrics == values(simulate(changed, levers=False))
    assert once.metrics == values(simulate(scenario("data"), levers=False))
    (wrong,) = sweep(scenario("data"), {"peak": ["2 GB/s"]}, jobs=1).outcomes
    assert wrong.code == 2
    assert "peak" in wrong.reason


def test_hardware_takes_rows() -> None:
    """Columns are cut, factors for all stay."""
    some = Hardware(peak=np.arange(4.0), clock=0.5).rows(np.array([1, 3]))
    assert (some.peak == np.array([1.0, 3.0])).all() and some.clock == 0.5  # noqa: PT018
