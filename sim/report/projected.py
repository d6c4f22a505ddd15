"""A projected chip or system in the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sim.horizon import chip_projection
from sim.horizon.chip_projection import ChipProjection
from sim.horizon.projected import Projected
from sim.horizon.system_projection import KEPT, SystemProjection
from sim.horizon.trends import LEVEL
from sim.report.text import percent, table, three
from sim.units import Dimension, format_quantity, si_unit

_DIMENSIONS: Final[Mapping[str, Dimension | None]] = {
    "peak": "flops",
    "bandwidth": "bandwidth",
    "link": "bandwidth",
    "read": "bandwidth",
    "write": "bandwidth",
    "node_read": "bandwidth",
    "node_write": "bandwidth",
    "capacity": "bytes",
    "cache": "bytes",
    "memory": "bytes",
    "power": "watts",
    "price": "usd",
    "overhead": "seconds",
    "issue": "seconds",
    "mtbf": "seconds",
    "energy": "joules_per_byte",
    "FLOP": "joules_per_flop",
    "cores": None,
    "speed": None,
}
"""By the last word of a metric."""


def _dimension(metric: str) -> Dimension | None:
    return _DIMENSIONS[metric.split()[-1]]


def _said(metric: str, value: float) -> str:
    dimension = _dimension(metric)
    return three(value) if dimension is None else format_quantity(value, dimension, digits=3)


def projection_json(projection: ChipProjection | SystemProjection) -> dict[str, Any]:
    """What was projected; `extrapolated` says whether the year lies outside the data."""
    if isinstance(projection, SystemProjection):
        chip = projection_json(projection.chip)
        metrics = {row.metric: _metric(row) for row in projection.rows}
        return {
            **chip,
            "kept": f"{chip_projection.KEPT}; {KEPT}",
            "cluster": projection.base.name,
            "system": metrics,
            "absent": list(projection.absent),
        }
    return {
        "chip": projection.chip,
        "year": projection.year,
        "years_from_chip": projection.years,
        "years_beyond_data": projection.beyond_data_years,
        "data_span_years": projection.span_years,
        "extrapolated": projection.beyond_data_years > 0,
        "warnings": list(projection.warnings),
        "band": LEVEL,
        "metrics": {row.metric: _metric(row) for row in projection.rows},
        "format_steps": [
            {"format": s.format, "from": s.like, "factor": s.factor, "chips": s.chips} for s in projection.steps
        ],
        "constraints": list(projection.constraints),
        "kept": chip_projection.KEPT,
    }


def _metric(row: Projected) -> dict[str, Any]:
    return {
        "unit": si_unit(dimension) if (dimension := _dimension(row.metric)) else "",
        "now": row.now,
        "value": row.value,
        "p10": row.low,
        "p90": row.high,
        "growth_per_year": row.growth,
        "points": row.points,
        "note": row.note,
    }


def projection_text(projection: ChipProjection | SystemProjection) -> str:
    """What was projected, its bands, and how far out it lies."""
    if not isinstance(projection, SystemProjection):
        kept = f"kept: {chip_projection.KEPT}"
        return "\n".join([*_head(projection, projection.chip), *_body(projection, projection.rows), kept])
    rows = (*projection.chip.rows, *projection.rows)
    return "\n".join(
        [
            *_head(projection.chip, projection.base.name),
            *_body(projection.chip, rows),
            f"kept: {chip_projection.KEPT};",
            f"  {KEPT}",
        ]
    )


def _head(p: ChipProjection, name: str) -> list[str]:
    ahead = f"{p.years:.1f} years after {p.chip}" if p.years >= 0 else f"{-p.years:.1f} years before {p.chip}"
    beyond = f"{p.beyond_data_years:.1f} beyond the chips of the fits, which span {p.span_years:.1f}"
    return [f"{name} projected to {p.year:g}: {ahead}, {beyond}", ""]


def _body(p: ChipProjection, rows: Sequence[Projected]) -> list[str]:
    cells = [
        [r.metric, *(_said(r.metric, x) for x in (r.now, r.value, r.low, r.high)), f"x{r.growth:.3g}", r.note]
        for r in rows
    ]
    lines = [
        table(["metric", "now", f"{p.year:g}", f"{percent(LEVEL)} from", "to", "a year", ""], cells, left=1),
        "",
        "bands are what earlier predictions missed by (foretrain hardware trends --backtest)",
    ]
    for step in p.steps:
        lines.append(
            f"format step: {step.format} = {step.factor:g} x {step.like}, the median of {step.chips} shipped chips"
        )
    lines += [f"constraint: {text}" for text in p.constraints]
    if p.beyond_data_years > p.span_years / 2:
        lines.append("far out: beyond half of the span the fits have seen")
    return lines
