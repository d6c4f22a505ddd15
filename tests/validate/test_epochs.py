"""The batch law against points made from one, and its held-out error on MLPerf's ResNet-50."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scaling.batch_fit import fit_batch
from sim.validation.sets import find_set, validate


@settings(max_examples=30, deadline=None)
@given(st.floats(1.0, 1e9), st.floats(100.0, 1e6), st.integers(3, 12))
def test_a_law_is_found_again(least: float, critical: float, number: int) -> None:
    """Points on E_min·(1 + B/B_c) give both constants back."""
    batches = [critical * 2.0 ** (n - number / 2) for n in range(number)]
    law = fit_batch([(b, least * (1.0 + b / critical)) for b in batches])
    assert law.least == pytest.approx(least, rel=1e-3)
    assert law.critical_batch == pytest.approx(critical, rel=1e-3)
    assert law.at(critical) == pytest.approx(2 * least, rel=1e-3)


def test_one_outlier_does_not_bend_the_fit() -> None:
    """Least absolute errors: five points on a law and one at half of it."""
    points = [(b, 35.0 * (1.0 + b / 45e3)) for b in (500.0, 3e3, 8e3, 16e3, 60e3)]
    law = fit_batch([*points, (33e3, 30.0)])
    assert law.least == pytest.approx(35.0, rel=0.01)
    assert law.critical_batch == pytest.approx(45e3, rel=0.03)


def test_without_dependence_the_median_stands() -> None:
    """Fewer epochs with larger batches is not a law of batches."""
    law = fit_batch([(1e3, 40.0), (2e3, 36.0), (4e3, 35.0)])
    assert law.critical_batch is None
    assert law.at(1e6) == 36.0


def test_resnet_epochs_with_each_round_left_out() -> None:
    """MLPerf v0.6-v4.0: within a tenth on average, and at least twice as near as one number for all batches."""
    report = validate(find_set("epochs"))
    resnet = next(s for s in report.summaries if s.name == "resnet")
    assert len(resnet.rows) > 60
    assert resnet.mean_abs_error < 0.10
    assert resnet.skill is not None
    assert resnet.skill > 0.5
    assert any("resnet, all rounds" in note for note in report.notes)
