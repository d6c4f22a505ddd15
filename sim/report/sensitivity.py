"""Elasticities as a tornado, and shares of the variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.report.text import bar, percent, table
from sim.study.sensitivity import Elasticity, Share
from sim.units import format_quantity


def render(found: Sequence[Elasticity]) -> str:
    """One row per property: its value, the metric beside it, the elasticity."""
    most = max((abs(e.elasticity) for e in found if e.elasticity is not None), default=0.0) or 1.0
    header = ["property", "value", "elasticity", "", f"at 1/{found[0].step:g}", f"at {found[0].step:g}x"]
    rows = []
    for e in found:
        low, high = (("does not fit" if v is None else percent(v / e.base - 1.0, signed=True)) for v in (e.low, e.high))
        slope = "-" if e.elasticity is None else f"{e.elasticity:+.3f}"
        rows.append(
            [
                e.prop.label,
                format_quantity(e.value, e.prop.dimension),
                slope,
                bar(abs(e.elasticity or 0.0) / most, 20),
                low,
                high,
            ]
        )
    return table(header, rows, left=1)


def to_json(found: Sequence[Elasticity]) -> dict[str, Any]:
    """`properties`, each with its value (SI), the metric at 1/step and step times of it, and the elasticity."""
    return {
        "schema_version": 1,
        "properties": [
            {
                "property": e.prop.name,
                "value": e.value,
                "step": e.step,
                "metric": e.base,
                "metric_low": e.low,
                "metric_high": e.high,
                "elasticity": e.elasticity,
                "reason": e.reason or None,
            }
            for e in found
        ],
    }


def render_shares(found: Sequence[Share]) -> str:
    """One row per property: the share of the variance it makes alone and with interactions."""
    rows = [[s.prop.label, percent(s.first), percent(s.total), bar(s.total, 20)] for s in found]
    return table(["property", "alone", "with interactions", ""], rows)


def shares_json(found: Sequence[Share]) -> dict[str, Any]:
    """`properties`, each with its first-order and total Sobol index."""
    return {
        "schema_version": 1,
        "properties": [{"property": s.prop.name, "first_order": s.first, "total_order": s.total} for s in found],
    }
