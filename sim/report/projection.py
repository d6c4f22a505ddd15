"""Projections as a table: recomputed beside printed, with the known mismatches named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sim.report.tables import Cell, Column, Table
from sim.report.text import percent, table, three
from sim.study.projection import Projected


def render(rows: Sequence[Projected]) -> str:
    """Table 1 and the data and model columns of table 3, ours beside printed."""
    laws = [_law(row) for row in rows if row.domain.curve is not None]
    law_header = [
        *("domain", "error now", "target", "alpha", "beta", "sigma", "beta_p"),
        *("data x", "printed", "diff", "model x", "printed", "diff"),
    ]
    parts = [
        *([table(law_header, laws)] if laws else []),
        Table(SIZES, tuple(map(_size, rows))).text(),
    ]
    notes = [f"{row.domain.name}: {text}" for row in rows for text in row.domain.printed.mismatches]
    notes += [
        f"{row.domain.name}: units per sample {row.domain.units_per_sample:g}: {row.domain.units_per_sample_source}"
        for row in rows
        if row.domain.units_per_sample is not None
    ]
    notes += [_passes(row) for row in rows]
    beyond = [row.domain.name for row in rows if row.projection.extrapolated]
    if len(beyond) == len(rows):
        notes.append("every target lies beyond the data the laws were fitted on: these are extrapolations")
    elif beyond:
        notes.append(f"beyond the data their laws were fitted on, extrapolated: {', '.join(beyond)}")
    return "\n\n".join(parts) + "\n\n" + "\n".join(notes)


def _passes(row: Projected) -> str:
    """Passes over the data, or that they are not known."""
    known = row.projection.passes
    told = f"{known:.3g} passes at small batch ({row.projection.passes_source})" if known else "at least one pass"
    return f"{row.domain.name}: {told}"


def _law(row: Projected) -> list[str]:
    d, p = row.domain, row.projection
    if d.curve is None or p.data_scale is None:
        raise LookupError(f"the domain {d.name} has no learning curve")
    data = d.printed.data_scale if _own(row) else None
    model = d.printed.model_scale if _own(row) else None
    return [
        d.name,
        f"{d.current_error:g} {d.error_unit}",
        f"{p.target_error:g}",
        f"{d.curve.alpha:g}",
        f"{d.curve.beta:g}",
        f"{d.size.sigma:g}" if d.size else "-",
        f"{d.size.beta:g}" if d.size else "-",
        three(p.data_scale),
        *_beside(p.data_scale, data),
        three(p.model_scale) if p.model_scale else "-",
        *_beside(p.model_scale, model),
    ]


SIZES = (
    Column("domain"),
    Column("unit"),
    Column("data", "si"),
    Column("printed", "si"),
    Column("diff"),
    Column("samples", "si"),
    Column("parameters", "si"),
    Column("printed", "si"),
    Column("diff"),
    Column("region"),
)


def _size(row: Projected) -> tuple[Cell, ...]:
    d, p = row.domain, row.projection
    units = d.printed.dataset_units if _own(row) else None
    size = d.printed.parameters if _own(row) else None
    data = (p.dataset_units, units, _difference(p.dataset_units, units))
    return (d.name, d.unit, *data, p.samples, p.parameters, size, _difference(p.parameters, size), p.region or None)


def _difference(ours: float | None, printed: float | None) -> str | None:
    return None if printed is None or ours is None else percent(ours / printed - 1.0, signed=True)


def _own(row: Projected) -> bool:
    """Whether the target is the domain's own, so that printed figures apply."""
    return row.projection.target_error == row.domain.target_error


def _beside(ours: float | None, printed: float | None) -> tuple[str, str]:
    return "-" if printed is None else three(printed), _difference(ours, printed) or "-"


def as_table(rows: Sequence[Projected]) -> Table:
    """Data and model size at the target of each domain."""
    names = ("data", "samples", "parameters")
    columns = (Column("domain"), Column("target error", "number"), Column("unit"), *(Column(n, "si") for n in names))
    cells = (
        (r.domain.name, p.target_error, r.domain.unit, p.dataset_units, p.samples, p.parameters)
        for r in rows
        for p in (r.projection,)
    )
    return Table(columns, tuple(cells))


def to_json(rows: Sequence[Projected]) -> dict[str, Any]:
    """`domains`: the projection of each, and `printed` beside it."""
    return {
        "schema_version": 1,
        "domains": [
            {
                "name": row.domain.name,
                "unit": row.domain.unit,
                "units_per_sample": row.domain.units_per_sample,
                **asdict(row.projection),
                "printed": asdict(row.domain.printed),
            }
            for row in rows
        ],
    }
