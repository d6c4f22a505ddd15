"""Known chips beside what their budgets give back."""

from __future__ import annotations

from typing import Any, Final

from sim.horizon.chip_check import ChipCheck, Returned
from sim.report.tables import Column, Table
from sim.report.text import percent, si

_UNITS: Final = {"peak": "FLOP/s", "bandwidth": "B/s", "power": "W"}
_COLUMNS: Final = ("chip", "figure", "published", "from its budget", "error", "range", "null model", "fitted on it")


def render(check: ChipCheck) -> str:
    """A row per figure, the largest error of a held-out chip, and what the model leaves out."""
    inside, figures = check.inside
    notes = dict.fromkeys(f"{row.chip}: {row.note}" for row in check.rows if row.note)
    lines = [
        f"held-out chips: largest error {percent(check.largest)}, {inside} of {figures} figures inside the range",
        "range: what those of the coefficients leave open",
        "null model: error of area times the mean per mm2 of the fitted chips on the nearest node",
        "power: of a large product with memory streaming, at the share of the clock that the chip's own steps keep",
        *notes,
    ]
    return "\n".join([as_table(check).text(), "", *lines])


def as_table(check: ChipCheck) -> Table:
    """The same rows."""
    columns = tuple(Column(name) for name in _COLUMNS)
    return Table(columns, tuple(_row(row) for row in check.rows))


def _row(row: Returned) -> tuple[str, ...]:
    unit, band = _UNITS[row.figure], row.band
    span = f"{si(band.low, unit)} .. {si(band.high, unit)}"
    found = (si(row.published, unit), si(band.value, unit), percent(row.error, True), span)
    return (row.chip, row.figure, *found, percent(row.null_error, True), ", ".join(row.fit) or "held out")


def to_json(check: ChipCheck) -> dict[str, Any]:
    """`chips`: each figure in SI with its errors."""
    return {
        "schema_version": 1,
        "largest_held_out_error": check.largest,
        "chips": [
            {
                "chip": row.chip,
                "figure": row.figure,
                "unit": _UNITS[row.figure],
                "published": row.published,
                "budget": row.band.value,
                "low": row.band.low,
                "high": row.band.high,
                "error": row.error,
                "null": row.null,
                "null_error": row.null_error,
                "fitted": list(row.fit),
                "note": row.note or None,
            }
            for row in check.rows
        ],
    }
