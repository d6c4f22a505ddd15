"""What the hardware must be to meet a deadline."""

from __future__ import annotations

import math
from typing import Any

from sim.horizon.reach import reached, years
from sim.report.tables import Column, Table
from sim.report.text import duration, table
from sim.study.require import Requirement
from sim.units import format_quantity, si_unit


def render(found: Requirement) -> str:
    """The answer in a sentence, the properties, and the proof."""
    today = "the plan does not fit" if found.today_s is None else f"{duration(found.today_s)} to the target"
    lines = [f"as it stands: {today}; deadline {duration(found.deadline_s)}"]
    if not found.feasible:
        best = "nothing fits" if math.isinf(found.seconds) else f"at best {duration(found.seconds)}"
        return "\n".join([*lines, f"no factor up to a million meets it: {best}. {found.reason}"])
    by = years(found)
    rows = [
        [
            n.prop.label,
            format_quantity(n.have, n.prop.dimension),
            format_quantity(n.need, n.prop.dimension),
            f"{n.need / n.have:.3g}x",
            "binding" if n.binding else "slack",
            "-" if year is None else f"{year:.1f}",
        ]
        for n, year in zip(found.needed, by, strict=True)
    ]
    lines.append(table(["property", "has", "needs", "ratio", "", "by trend"], rows))
    lines.append(f"run forward: {duration(found.seconds)} to the target")
    if found.probability is not None:
        lines.append(f"probability of meeting the deadline, by the errors of the constants: {found.probability:.0%}")
    if (last := reached(by)) is not None:
        lines.append(f"the trends of shipped chips reach all of it in {last:.1f}")
    return "\n".join(lines)


def as_table(found: Requirement) -> Table:
    """The properties with SI numbers."""
    columns = (
        Column("property"),
        Column("has", "number"),
        Column("needs", "number"),
        Column("unit"),
        Column("binding"),
    )
    rows = (
        (n.prop.name, n.have, n.need, si_unit(n.prop.dimension), "yes" if n.binding else "no") for n in found.needed
    )
    return Table(columns, tuple(rows))


def to_json(found: Requirement) -> dict[str, Any]:
    """Deadline, the time as it stands and run forward (s), the probability of meeting it, the year in which trends
    reach it (null: a property without a trend, a chip without a date), and what `properties` have and need (SI)."""
    by = years(found)
    return {
        "schema_version": 1,
        "deadline_s": found.deadline_s,
        "feasible": found.feasible,
        "today_s": found.today_s,
        "seconds": None if math.isinf(found.seconds) else found.seconds,
        "reason": found.reason or None,
        "probability": found.probability,
        "year": reached(by) if found.feasible else None,
        "properties": [
            {"property": n.prop.name, "have": n.have, "need": n.need, "binding": n.binding, "year": year}
            for n, year in zip(found.needed, by, strict=True)
        ],
    }
