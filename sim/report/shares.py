"""Shares of the variance of a metric, per hardware property."""

from __future__ import annotations

from typing import Any

from sim.report.tables import Column, Table
from sim.report.text import bar, percent, table
from sim.study.sensitivity import Shares


def render(found: Shares) -> str:
    """One row per property: the share of the variance it makes alone and with interactions."""
    rows = [[s.prop.label, percent(s.first), percent(s.total), bar(s.total, 20)] for s in found.shares]
    return table(["property", "alone", "with interactions", ""], rows)


def as_table(found: Shares) -> Table:
    """The same with the indices as shares."""
    columns = (Column("property"), Column("first_order", "share"), Column("total_order", "share"))
    return Table(columns, tuple((s.prop.name, s.first, s.total) for s in found.shares))


def to_json(found: Shares) -> dict[str, Any]:
    """`properties`, each with its first-order and total Sobol index."""
    return {
        "schema_version": 1,
        "properties": [{"property": s.prop.name, "first_order": s.first, "total_order": s.total} for s in found.shares],
    }
