"""Elasticities as a tornado."""

from __future__ import annotations

from typing import Any

from sim.report.tables import Column, Table
from sim.report.text import bar, percent, table
from sim.study.sensitivity import Sensitivity
from sim.units import format_quantity, si_unit


def render(answer: Sensitivity) -> str:
    """One row per property: its value, the metric beside it, the elasticity."""
    found = answer.elasticities
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


def as_table(answer: Sensitivity) -> Table:
    """The same with SI numbers: the metric as it is, at 1/step and at step times of the property."""
    figures = ("elasticity", *(f"{answer.metric}{where}" for where in ("", "_low", "_high")))
    columns = (Column("property"), Column("value", "number"), Column("unit"), *(Column(n, "number") for n in figures))
    rows = tuple(
        (e.prop.name, e.value, si_unit(e.prop.dimension), e.elasticity, e.base, e.low, e.high)
        for e in answer.elasticities
    )
    return Table(columns, rows)


def to_json(answer: Sensitivity) -> dict[str, Any]:
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
            for e in answer.elasticities
        ],
    }
