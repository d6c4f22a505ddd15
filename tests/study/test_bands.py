"""Bands in studies are those of `run`, drawn only where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files import load_scenario
from sim.report.study import render
from sim.simulation import run as simulation
from sim.simulation import simulate
from sim.simulation.uncertainty import quantiles
from sim.study.explore import explore, figure
from sim.study.metrics import BANDS, METRICS, SPENT
from sim.study.sweep import sweep

SCENARIO, AXIS = "paper/frontier-image", {"plan.sub_batch": [16, 32]}
SETS = ("plan.global_batch=8192", "accelerator=h100-sxm5-80gb")


def test_bands_are_those_of_a_run() -> None:
    """Of time, energy and cost, both ends."""
    found = sweep(SCENARIO, AXIS, sets=SETS, jobs=1, bands=True)
    run = simulate(load_scenario(SCENARIO, (*SETS, "plan.sub_batch=32"))).uncertainty
    assert run is not None
    for metric in SPENT:
        what, unit = metric.name.rsplit("_", 1)
        ends = [figure(found.outcomes[1], METRICS[f"{what}_{end}_{unit}"]) for end in ("p05", "p95")]
        assert ends == [run.bands[metric.name].p05, run.bands[metric.name].p95]
        assert run.bands[metric.name].p05 < run.bands[metric.name].p95
    assert "cost to target p95" in render(found)


def test_bands_cost_nothing_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn; what is drawn changes no other figure."""
    banded = sweep(SCENARIO, AXIS, sets=SETS, jobs=1, bands=True)
    monkeypatch.setattr(simulation, "uncertainty_of", None)
    plain = sweep(SCENARIO, AXIS, sets=SETS, jobs=1)
    for one, other in zip(plain.outcomes, banded.outcomes, strict=True):
        assert [figure(one, metric) for metric in BANDS] == [None] * 6
        assert one.key == other.key
        assert [figure(one, m) for m in METRICS.values() if not m.band] == [
            figure(other, m) for m in METRICS.values() if not m.band
        ]
    assert "p95" not in render(plain)


def test_the_end_of_a_band_is_an_objective_and_a_constraint() -> None:
    """Naming it is asking for it."""
    bands = sweep(SCENARIO, AXIS, sets=SETS, jobs=1, bands=True).outcomes
    late = METRICS["time_to_target_p95_s"]
    best = min(bands, key=lambda outcome: figure(outcome, late) or 0.0)
    assert [o.number for o in explore(SCENARIO, AXIS, sets=SETS, jobs=1, objectives=[late.name]).outcomes] == [
        best.number
    ]
    bound = f"{late.name}<={figure(best, late)} s"
    kept = explore(SCENARIO, AXIS, sets=SETS, jobs=1, objectives=["devices"], constraints=[bound])
    assert best.number in {outcome.number for outcome in kept.outcomes}


def test_studies_with_and_without_bands_are_two(tmp_path: Path) -> None:
    """A file of the one is not gone on with as the other; screened designs have none."""
    sweep(SCENARIO, AXIS, sets=SETS, jobs=1, file=tmp_path / "s.db", bands=True)
    with pytest.raises(InputError, match="belongs to another study"):
        sweep(SCENARIO, AXIS, sets=SETS, jobs=1, file=tmp_path / "s.db")
    with pytest.raises(InputError, match="not drawn for designs that are screened"):
        sweep(SCENARIO, {"peak": ["1 PFLOP/s"]}, sets=SETS, jobs=1, screen=True, bands=True)


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e30), min_size=1, max_size=40), st.lists(st.floats(0.0, 1.0), max_size=5))
def test_quantiles_are_numpy_s(values: list[float], shares: list[float]) -> None:
    """To the last bit: numpy.quantile is the oracle."""
    assert quantiles(np.array(values), shares) == np.quantile(values, shares).tolist()
