"""What is known of making chips, figure by figure: value, range, source, confidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from sim.device.silicon import Figure, Process
from sim.fields import statements
from sim.report.tables import Column, Table

COLUMNS = ("of", "figure", "value", "range", "unit", "", "source")


def as_table(process: Process) -> Table:
    """A row per coefficient, in the order of the files."""
    return Table(tuple(Column(name) for name in COLUMNS), tuple(_row(entry) for entry in _entries(process)))


def render(process: Process) -> str:
    """The table, and what its letters are."""
    note = "sources: A vendor or measured, B secondary, C derived, D recalled or assumed; nodes are relative to N7"
    return "\n".join([as_table(process).text(), "", note])


def to_json(process: Process) -> dict[str, Any]:
    """`figures`: one object per coefficient."""
    return {"schema_version": 1, "figures": list(_entries(process))}


def _entries(process: Process) -> Iterator[dict[str, Any]]:
    groups = (process.nodes, process.stacks, process.cores, {"every chip": process.blocks})
    for group in groups:
        for name, record in group.items():
            for stated in statements(cast(Any, type(record))):
                figure = getattr(record, stated.name)
                if isinstance(figure, Figure):
                    yield _entry(name, stated.name, stated.unit, figure)


def _entry(name: str, field: str, unit: str, figure: Figure) -> dict[str, Any]:
    told = {"value": figure.value, "low": figure.low, "high": figure.high, "unit": unit}
    return {"of": name, "figure": field, **told, "confidence": str(figure.confidence), "source": figure.source}


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    span = f"{entry['low']:g} .. {entry['high']:g}"
    return (
        entry["of"], entry["figure"], f"{entry['value']:g}", span, entry["unit"], entry["confidence"], entry["source"]
    )  # fmt: skip
