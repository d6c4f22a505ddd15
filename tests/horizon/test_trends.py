"""Trends: what they are fitted to, and the fits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.files.hardware import accelerator_files
from sim.horizon.points import SERIES, Point, decimal_year, fit_points, series_points
from sim.horizon.trends import factor_of, fit, fits


def line(growth: float, years: range, scatter: float = 0.0) -> list[Point]:
    """Chips on 10·growth^(year − 2010), alternately above and below by `scatter` dex."""
    return [
        Point(f"c{y}", "V", float(y), "shipped", {"fp32": 10 * growth ** (y - 2010) * 10 ** (scatter * (-1) ** y)})
        for y in years
    ]


@given(growth=st.floats(1.01, 3.0))
@settings(max_examples=20, deadline=None)
def test_an_exact_exponential_is_recovered(growth: float) -> None:
    """Growth per year is found, without scatter."""
    found = fit(line(growth, range(2010, 2020)), "fp32")
    assert found is not None
    assert found.growth == pytest.approx(growth)
    assert found.deviation == pytest.approx(0.0, abs=1e-9)
    assert found.doubling_years == pytest.approx(math.log(2) / math.log(growth))


def test_fit_agrees_with_numpy() -> None:
    """Slope and residual deviation equal those of numpy.polyfit."""
    points = line(1.4, range(2010, 2020), 0.1)
    found = fit(points, "fp32")
    assert found is not None
    x = np.array([p.year for p in points])
    y = np.log10([p.values["fp32"] for p in points])
    (slope, _), residuals, *_ = np.polyfit(x - x.mean(), y, 1, full=True)
    assert found.slope == pytest.approx(slope)
    assert found.deviation == pytest.approx(math.sqrt(residuals[0] / 8))


def test_too_few_points_are_no_trend() -> None:
    """Four chips, or chips of one date, fit nothing."""
    assert fit(line(1.4, range(2010, 2014)), "fp32") is None
    assert fit([replace(p, year=2015.0) for p in line(1.4, range(2010, 2020))], "fp32") is None


def test_capacity_over_bandwidth_has_not_moved() -> None:
    """Time to read all memory: 19-60 ms on shipped parts, growth 1.007 a year (reference fits, n = 35)."""
    found = fits()["read_all"]
    assert found.growth == pytest.approx(1.007, abs=0.02)


@pytest.mark.parametrize(
    ("metric", "growth"),
    [("fp32", 1.35), ("matrix16", 1.53), ("bandwidth", 1.265), ("capacity", 1.274), ("power", 1.144)],
)
def test_growth_agrees_with_an_independent_fit(metric: str, growth: float) -> None:
    """Within 6 % a year of ordinary least squares on the same sources with another choice of chips."""
    assert fits()[metric].growth == pytest.approx(growth, rel=0.06)


def test_only_shipped_training_chips_are_fitted() -> None:
    """No announced part, no hypothetical one, no wafer, no inference card."""
    names = {point.name for point in fit_points()}
    assert not names & {"rubin", "mi455x", "paper-2019", "wse-3", "tpu-v1", "t4"}
    assert {"h100-sxm5-80gb", "tpu-v4", "k80"} <= names


def test_adding_an_announced_chip_changes_no_fit() -> None:
    """Whatever Rubin claims, the fits stay."""
    files = list(accelerator_files().values())
    rubin = replace(accelerator_files()["rubin"], name="other")
    assert fits(fit_points([*files, rubin])) == fits(fit_points(files))


def test_a_slope_that_its_error_hides_is_no_trend() -> None:
    """Scatter of 0.3 dex over growth of 1 % a year: kept, factor 1, the same band at any distance."""
    found = fit(line(1.01, range(2010, 2020), 0.3), "fp32")
    assert found is not None
    assert not found.distinguishable
    assert found.factor(5.0) == 1.0
    assert found.half_width(1.0) == found.half_width(9.0)


def test_band_of_a_fit_is_a_random_walk_of_the_residual() -> None:
    """t₀.₉₀(8)·√(s²·(1 + h) + (se·h)²), t from a table: 1.397; se = s / √Σ(x − x̄)², Σ = 82.5 for ten years."""
    found = fit(line(1.5, range(2010, 2020), 0.1), "fp32")
    assert found is not None
    s, h = found.deviation, 5.0
    assert found.half_width(h) == pytest.approx(1.397 * math.sqrt(s**2 * 6.0 + s**2 / 82.5 * h**2), rel=1e-3)


def test_a_new_matrix_unit_follows_fp32_and_capacity_bandwidth() -> None:
    """Fewer than five chips with one: the trend of vector units; capacity grows as bandwidth does."""
    points = [replace(p, values={**p.values, "bandwidth": p.values["fp32"] ** 2}) for p in line(1.4, range(2010, 2020))]
    trends = fits(points)
    assert factor_of(trends, "matrix16", 3.0) == pytest.approx(1.4**3)
    assert factor_of(trends, "capacity", 3.0) == pytest.approx(1.4**6)
    assert factor_of(trends, "link", 3.0) is None


def test_a_date_becomes_a_year() -> None:
    """July 2nd is the middle of a year."""
    assert decimal_year("2020-07-02") == pytest.approx(2020.5, abs=0.01)


def test_every_row_of_a_series_is_one_of_a_known_metric() -> None:
    """hardware/trends.csv has no metric that nothing projects, and every series is fitted."""
    assert {metric for point in series_points() for metric in point.values} == set(SERIES)
    assert set(SERIES) <= set(fits())
    assert all(point.year < 2027 for point in series_points())


def test_network_ports_double_as_their_generations_do() -> None:
    """EDR to XDR, 12.5 to 100 GB/s in eleven years, is a factor of 1.208 a year; the fit has all ports."""
    assert fits()["scale_out"].growth == pytest.approx((100 / 12.5) ** (1 / 11), rel=0.02)
