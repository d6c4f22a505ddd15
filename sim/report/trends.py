"""Hardware trends and their back-test, as `foretrain hardware trends` and `validate trends` print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.horizon.backtest import (
    TESTED_YEARS,
    Backtest,
    Coverage,
    backtest,
    band,
    coverage,
    known_walk,
    published_coverage,
)
from sim.horizon.points import METRICS, SERIES
from sim.horizon.projected import Band
from sim.horizon.steps import StepRatio
from sim.horizon.trends import LEVEL, Fit, known_fits
from sim.report.text import percent, table


def fits_json() -> dict[str, Any]:
    """Every trend: data, slope, scatter, and the step of its band."""
    return {"band": LEVEL, "fits": [_fit(found) for found in known_fits().values()]}


def _fit(found: Fit) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "unit": {**METRICS, **SERIES}[found.metric],
        "data": _data(found.metric),
        "n": found.n,
        "first_year": found.first,
        "last_year": found.last,
        "growth_per_year": found.growth,
        "doubling_years": found.doubling_years if abs(found.doubling_years) < 1e6 else None,
        "slope_error_dex_per_year": found.slope_error,
        "residual_dex": found.deviation,
        "trend": found.distinguishable,
        "band_step_dex": known_walk(found.metric),
    }


def _data(metric: str) -> str:
    return "hardware/trends.csv" if metric in SERIES else "hardware/accelerators, hardware/trends_chips.csv"


def fits_text() -> str:
    """The table of fits, and how to read it."""
    cells = [_fit_cells(found) for found in known_fits().values()]
    return "\n".join(
        [
            table(["metric", "n", "years", "a year", "doubling", "scatter", "band in 5 years", ""], cells, left=1),
            "",
            "chips: hardware/accelerators and hardware/trends_chips.csv; the rest: hardware/trends.csv",
            "a slope that its own error does not tell from zero is no trend: a projection keeps the value",
        ]
    )


def _fit_cells(found: Fit) -> list[str]:
    doubling = f"{found.doubling_years:.1f} yr" if 0.0 < found.doubling_years < 50.0 else "-"
    years, wide = f"{int(found.first)}-{int(found.last)}", 10.0 ** band(found.metric, found, 5.0)
    kept = "" if found.distinguishable else "no trend"
    scatter = f"{found.deviation:.2f} dex"
    return [found.metric, str(found.n), years, f"x{found.growth:.2f}", doubling, scatter, f"x/÷ {wide:.1f}", kept]


def backtest_json() -> dict[str, Any]:
    """Fits, every back-test row, and what the bands held."""
    rows = backtest()
    count, nominal, ours = published_coverage()
    return {
        "quantity": "trends",
        "longest_years": TESTED_YEARS,
        "band": LEVEL,
        "coverage": [_coverage(row) for row in coverage(rows)],
        "coverage_by_cutoff": [_coverage(row) for row in coverage(rows, "cutoff")],
        "published": {"n": count, "own_nominal_90": nominal, "our_80": ours},
        "fits": fits_json()["fits"],
        "rows": [_row(row) for row in rows],
    }


def _coverage(row: Coverage) -> dict[str, Any]:
    return {"group": row.group, "n": row.n, "inside": row.inside, "median_actual_over_predicted": row.median_ratio}


def _row(row: Backtest) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "cutoff": row.cutoff,
        "from": row.anchor,
        "to": row.target,
        "years": row.horizon,
        "n": row.n,
        "actual": row.actual,
        "predicted": row.predicted,
        "half_width_dex": row.half_width,
        "inside": row.inside,
    }


def backtest_text() -> str:
    """Growth by metric, then what bands stated at each cut-off held."""
    rows = backtest()
    count, nominal, ours = published_coverage()
    head = [f"in {percent(LEVEL)} band", "actual/predicted"]
    return "\n".join(
        [
            fits_text(),
            "",
            "back-test: at the start of every year each later figure, up to "
            f"{TESTED_YEARS:g} years on, from its vendor's best part and the fits and bands of that day",
            table(["metric", "n", *head], _cells(coverage(rows))),
            "",
            table(["cut-off", "n", *head], _cells(coverage(rows, "cutoff"))),
            "",
            f"{count} published predictions of another collection: {percent(nominal)} in their own nominal 90 % bands, "
            f"{percent(ours)} in our 80 % ones",
        ]
    )


def _cells(held: Sequence[Coverage]) -> list[list[str]]:
    return [[c.group, str(c.n), percent(c.inside), f"{c.median_ratio:.2f}"] for c in held]


def predictions(cutoff: int, target: str | None) -> tuple[Backtest, ...]:
    """Every prediction made at a cut-off, of one chip if it is named."""
    made = [row for row in backtest() if row.cutoff == cutoff]
    if not made:
        years = sorted({row.cutoff for row in backtest()})
        raise InputError(Problem(f"must be a year from {years[0]} to {years[-1]}", "--cutoff", str(cutoff)))
    found = tuple(row for row in made if target in (None, row.target))
    if not found:
        names = sorted({row.target for row in made})
        rule = f"nothing of it is predicted at {cutoff}"
        raise InputError(Problem(rule, "--target", str(target), hint=did_you_mean(target, names)))
    return found


def predictions_text(rows: Sequence[Backtest]) -> str:
    """What was predicted at one cut-off, and what came."""
    cells = [
        [
            row.target,
            row.metric,
            row.anchor,
            f"{row.predicted:.3g}",
            f"{row.predicted / 10**row.half_width:.3g} .. {row.predicted * 10**row.half_width:.3g}",
            f"{row.actual:.3g}",
            "yes" if row.inside else "NO",
        ]
        for row in rows
    ]
    held = coverage(rows)[-1]
    return "\n".join(
        [
            table(["of", "metric", "from", "predicted", "band", "actual", "inside"], cells, left=3),
            "",
            f"{percent(held.inside)} of {held.n} inside their {percent(LEVEL)} bands",
        ]
    )


def predictions_json(rows: Sequence[Backtest]) -> dict[str, Any]:
    """The same."""
    return {"band": LEVEL, "inside": coverage(rows)[-1].inside, "rows": [_row(row) for row in rows]}


def step_text(found: StepRatio) -> str:
    """The ratio foreseen and the one that came."""
    low, central, high = (f"{found.foreseen[band]:.2f}" for band in Band)
    return "\n".join(
        [
            f"step of {found.base} over the step of {found.target}, links, plan and software the same",
            f"foreseen at the start of {found.cutoff}: {central}, from {low} to {high}",
            f"came: {found.actual:.2f}, {'inside' if found.inside else 'OUTSIDE'}",
        ]
    )


def step_json(found: StepRatio) -> dict[str, Any]:
    """The same."""
    return {
        "base": found.base,
        "target": found.target,
        "cutoff": found.cutoff,
        "actual": found.actual,
        "foreseen": {str(band): ratio for band, ratio in found.foreseen.items()},
        "inside": found.inside,
    }
