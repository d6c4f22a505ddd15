"""Trends: fits, back-test, and chips some years ahead."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files.hardware import accelerator_files, load_accelerator_file
from sim.files.hardware_text import dump_accelerator
from sim.files.lint import lint_file
from sim.horizon.chip_projection import draw, project_chip, renamed
from sim.horizon.trends import (
    Point,
    backtest,
    band_widening,
    coverage,
    decimal_year,
    fit,
    fit_points,
    fits,
    format_step,
    published_scores,
    widening_of,
)
from sim.report.hardware import projection_json, projection_text
from sim.report.trends import backtest_json, backtest_text


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


def test_backtest_sees_only_the_past() -> None:
    """The anchor shipped at least five years before the chip it predicts."""
    rows = backtest()
    assert len({row.target for row in rows}) >= 10
    assert all(row.horizon >= 5.0 for row in rows)


def test_widened_bands_hold_what_nominal_bands_do_not() -> None:
    """Nominal 90 % bands hold less than 90 %; widened on other years' chips they hold about 90 %, out of sample."""
    total = next(row for row in coverage(backtest()) if row.metric == "all")
    assert total.nominal < 0.90
    assert total.widened == pytest.approx(0.90, abs=0.05)


def test_published_backtest_demands_wider_bands() -> None:
    """54 published predictions: 61 % inside the nominal band, and a factor of about two needed."""
    scores = published_scores()
    assert len(scores) == 54
    assert sum(score <= 1 for score in scores) / 54 == pytest.approx(0.61, abs=0.005)
    assert 1.5 <= widening_of(scores) <= 2.2
    assert band_widening() >= widening_of(scores)


def test_widening_is_the_conformal_quantile() -> None:
    """Of 1..9 the ⌈10·0.9⌉ = ninth; never below one."""
    assert widening_of([float(i) for i in range(1, 10)]) == 9.0
    assert widening_of([0.1, 0.2]) == 1.0


def test_a_date_becomes_a_year() -> None:
    """July 2nd is the middle of a year."""
    assert decimal_year("2020-07-02") == pytest.approx(2020.5, abs=0.01)


def test_projection_follows_the_trend_of_its_own_format() -> None:
    """Value = now · growth^years, fp32 by the fp32 trend, bf16 by the 16-bit one."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    trend = fits()
    for metric, name in (("fp32 peak", "fp32"), ("bf16 peak", "matrix16"), ("memory bandwidth", "bandwidth")):
        row = projected.row(metric)
        assert row.value == pytest.approx(row.now * trend[name].growth ** projected.years)
        assert row.low < row.value < row.high


def test_capacity_keeps_the_reading_time_of_the_chip() -> None:
    """Capacity / bandwidth is invariant; drawn together they are correlated."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    capacity, bandwidth = projected.row("memory capacity"), projected.row("memory bandwidth")
    assert capacity.value / bandwidth.value == pytest.approx(capacity.now / bandwidth.now)
    drawn = draw(projected, 2000, seed=1)
    assert np.corrcoef(np.log(drawn["memory bandwidth"]), np.log(drawn["memory capacity"]))[0, 1] > 0.5
    assert np.array_equal(drawn["power"], draw(projected, 2000, seed=1)["power"])


@given(early=st.floats(2026.0, 2030.0), later=st.floats(0.5, 5.0))
@settings(max_examples=15, deadline=None)
def test_bands_widen_with_distance(early: float, later: float) -> None:
    """A year further out is never more certain."""
    file = load_accelerator_file("b200-sxm-180gb")
    near, far = (project_chip(file, year).row("bf16 peak") for year in (early, early + later))
    assert far.high / far.value >= near.high / near.value


def test_a_new_format_is_an_explicit_step() -> None:
    """A100 has no fp8: it takes twice bf16, the median of shipped chips with both, and the step is shown."""
    projected = project_chip(load_accelerator_file("a100-sxm4-80gb"), 2031.0, new_format="fp8")
    (step,) = projected.steps
    assert (step.format, step.like, step.factor) == ("fp8", "bf16", format_step("fp8", "bf16")[0])
    assert projected.row("fp8 peak").value == pytest.approx(step.factor * projected.row("bf16 peak").value)
    assert "format step: fp8 = 2 x bf16" in projection_text(projected)


@given(watts=st.floats(200.0, 5000.0))
@settings(max_examples=20, deadline=None)
def test_power_holds_the_peak(watts: float) -> None:
    """More power never gives less; the peak never exceeds the trend's."""
    file = load_accelerator_file("h100-sxm5-80gb")
    free = project_chip(file, 2031.0).row("bf16 peak").value
    held = project_chip(file, 2031.0, power_w=watts).row("bf16 peak").value
    more = project_chip(file, 2031.0, power_w=1.1 * watts).row("bf16 peak").value
    assert held <= more * (1 + 1e-12)
    assert more <= free * (1 + 1e-12)


def test_price_is_a_constraint_too() -> None:
    """A tenth of the trend's price pays for less of the peak, and says so."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0, price_usd=5000.0)
    assert projected.row("bf16 peak").note == "held by price"
    assert any("price of 5000 USD" in text for text in projected.constraints)


def test_distance_of_extrapolation_is_told() -> None:
    """Years beyond the last fitted chip, in text and JSON."""
    projected = project_chip(load_accelerator_file("h100-sxm5-80gb"), 2031.0)
    payload = projection_json(projected)
    assert payload["extrapolated"] is True
    assert payload["years_beyond_data"] == pytest.approx(2031.0 - max(p.year for p in fit_points()))
    assert "beyond the last chip" in projection_text(projected)


@pytest.mark.parametrize("name", ["h100-sxm5-80gb", "tpu-v5p", "mi300x", "gaudi2"])
def test_projected_chip_is_a_file_that_passes_check(name: str, tmp_path: Path) -> None:
    """Written, it is a hypothetical chip without complaint."""
    projected = project_chip(load_accelerator_file(name), 2030.5, new_format="fp4")
    path = tmp_path / "next.yaml"
    path.write_text(dump_accelerator(renamed(projected.file, "next")))
    assert lint_file(path) == []
    assert load_accelerator_file(path).status == "hypothetical"


@pytest.mark.parametrize(
    ("year", "kwargs"),
    [(2019.0, {}), (2100.0, {}), (2031.0, {"new_format": "fp64"})],
)
def test_impossible_projections_are_refused(year: float, kwargs: dict[str, object]) -> None:
    """Before the chip, a lifetime after it, or a format nothing leads to."""
    with pytest.raises(InputError):
        project_chip(load_accelerator_file("gaudi2"), year, **kwargs)  # type: ignore[arg-type]


def test_report_prints_coverage() -> None:
    """`validate trends`: the text has the coverage, the JSON every row."""
    assert "in 90 % band" in backtest_text()
    payload = backtest_json()
    assert len(payload["rows"]) == payload["coverage"][-1]["n"]
