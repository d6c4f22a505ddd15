"""The back-test of hardware trends, as `foretrain validate trends` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.horizon.trends import (
    HORIZON_YEARS,
    LEVEL,
    METRICS,
    Backtest,
    Coverage,
    Fit,
    backtest,
    band_widening,
    coverage,
    fits,
    published_scores,
    widening_of,
)
from sim.report.text import percent, table


def backtest_json() -> dict[str, Any]:
    """Fits, every back-test row, and the coverage of the 90 % bands."""
    rows = backtest()
    return {
        "quantity": "trends",
        "horizon_years": HORIZON_YEARS,
        "band": LEVEL,
        "widening": band_widening(rows),
        "coverage": [_coverage(row) for row in coverage(rows)],
        "published": _published(),
        "fits": [_fit(found) for found in fits().values()],
        "rows": [_row(row) for row in rows],
    }


def _coverage(row: Coverage) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "n": row.n,
        "coverage_nominal": row.nominal,
        "coverage_widened": row.widened,
        "median_actual_over_predicted": row.median_ratio,
    }


def _published() -> dict[str, Any]:
    scores = published_scores()
    held = sum(score <= 1.0 for score in scores) / len(scores)
    return {"n": len(scores), "coverage_nominal": held, "widening": widening_of(scores)}


def _fit(found: Fit) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "unit": METRICS[found.metric],
        "n": found.n,
        "first_year": found.first,
        "last_year": found.last,
        "growth_per_year": found.growth,
        "doubling_years": found.doubling_years if abs(found.doubling_years) < 1e6 else None,
        "residual_dex": found.deviation,
    }


def _row(row: Backtest) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "from": row.anchor,
        "to": row.target,
        "years": row.horizon,
        "n": row.n,
        "actual": row.actual,
        "predicted": row.predicted,
        "half_width_dex": row.half_width,
        "widening": row.widening,
        "inside_nominal": row.nominal,
        "inside_widened": row.inside,
    }


def backtest_text() -> str:
    """Growth by metric, then how five-years-ahead predictions came out."""
    rows = backtest()
    held = coverage(rows)
    targets = len({row.target for row in rows})
    published = _published()
    parts = [
        "growth of shipped training chips, by metric",
        table(["metric", "n", "a year", "doubling", "scatter"], [_fit_cells(found) for found in fits().values()]),
        "",
        f"back-test: {targets} chips, each predicted from its vendor's best part of {HORIZON_YEARS:g} years before,",
        "by fits on what had shipped then; bands widened by a factor fitted on the chips of other years",
        table(["metric", "n", "in 90 % band", "widened", "actual/predicted"], _cells(held)),
        "",
        f"published back-test ({published['n']} predictions of data-centre parts): "
        f"{percent(published['coverage_nominal'])} in the nominal band, widening {published['widening']:.2f}",
        f"widening used by `hardware project`: {band_widening(rows):.2f}",
    ]
    return "\n".join(parts)


def _fit_cells(found: Fit) -> list[str]:
    doubling = f"{found.doubling_years:.1f} yr" if 0.0 < found.doubling_years < 50.0 else "-"
    return [found.metric, str(found.n), f"x{found.growth:.2f}", doubling, f"{found.deviation:.2f} dex"]


def _cells(held: Sequence[Coverage]) -> list[list[str]]:
    return [[c.metric, str(c.n), percent(c.nominal), percent(c.widened), f"{c.median_ratio:.2f}"] for c in held]
