"""The op report: which ops a step spends its time on, and what limits each; terminal, JSON and offline HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from sim.device.cached import CacheAware
from sim.device.records import Accelerator
from sim.device.table import OpRow
from sim.report.figures import kit
from sim.report.figures.roofline import roofline
from sim.report.tables import Cell, Column, Table, in_one_unit
from sim.report.text import bar, duration, percent, si, three
from sim.result import SCHEMA_VERSION

COLUMNS = (
    Column("op"),
    Column("part"),
    Column("times", "count"),
    Column("time", "seconds"),
    Column("share", "share"),
    Column("limit"),
    Column("rate", "si", "FLOP/s"),
    Column("FLOP/B", "number"),
    Column("traffic", "si", "B"),
    Column("energy", "si", "J"),
)


def render(
    title: str, rows: Sequence[OpRow], accelerator: Accelerator, top: int = 25, blocked: CacheAware | None = None
) -> str:
    """Totals, time by limit, then the ops by time."""
    total = sum(row.seconds for row in rows)
    shown = rows[:top] if top else rows
    parts = [_head(title, rows, accelerator, total), _by_limit(rows, total)]
    if blocked is not None:
        parts.append(_blocked(blocked, accelerator))
    parts.append(as_table(shown, total).text())
    if len(shown) < len(rows):
        rest = sum(row.seconds for row in rows[len(shown) :])
        parts.append(f"and {len(rows) - len(shown)} more ops, {percent(rest / total)} of the time (--top 0 lists all)")
    return "\n\n".join(parts)


def _head(title: str, rows: Sequence[OpRow], accelerator: Accelerator, total: float) -> str:
    flops, moved = sum(row.flops for row in rows), sum(row.dram_bytes for row in rows)
    lines = [f"{title}: {duration(total)} of device time on {accelerator.name}, communication apart"]
    lines.append(
        f"  {si(flops, 'FLOP')} executed at {si(flops / total if total else 0.0, 'FLOP/s')}, "
        f"{si(moved, 'B')} of DRAM traffic, {three(flops / moved) if moved else 'no'} FLOP/B"
    )
    arithmetic, movement = sum(row.arithmetic_j for row in rows), sum(row.movement_j for row in rows)
    if accelerator.power is not None:
        idle = accelerator.power.running_w(accelerator.clock) * total
        lines.append(
            f"  energy {si(arithmetic + movement + idle, 'J')}: arithmetic {si(arithmetic, 'J')}, "
            f"movement {si(movement, 'J')}, idle power {si(idle, 'J')}"
        )
    return "\n".join(lines)


def _blocked(blocked: CacheAware, accelerator: Accelerator) -> str:
    """What the finite cache costs on an ideal roofline; the paper's own cache model gives its word LM 1.73."""
    cache = si(accelerator.cache.capacity_bytes, "B")
    return "\n".join(
        (
            f"Products blocked for the {cache} cache",
            f"  step roofline {duration(blocked.step_roofline_s)}, op by op {duration(blocked.op_roofline_s)}, "
            f"cache-aware {duration(blocked.cache_aware_s)}: {three(blocked.slowdown)} times the step roofline",
            f"  DRAM traffic {si(blocked.compulsory_bytes, 'B')} with every operand moved once, "
            f"{si(blocked.cache_aware_bytes, 'B')} blocked",
        )
    )


def _by_limit(rows: Sequence[OpRow], total: float) -> str:
    seconds: dict[str, float] = {}
    for row in rows:
        seconds[row.limit] = seconds.get(row.limit, 0.0) + row.seconds
    found = sorted(seconds.items(), key=lambda item: -item[1])
    lines = ["Time by limit"]
    for (limit, value), time in zip(found, in_one_unit([value for _, value in found]), strict=True):
        share = value / total if total else 0.0
        lines.append(f"  {limit:<10} {time:>10} {percent(share):>7}  {bar(share)}")
    return "\n".join(lines)


def as_table(rows: Sequence[OpRow], total: float) -> Table:
    """A row per op; work without FLOPs or DRAM traffic has no rate or intensity."""
    return Table(COLUMNS, tuple(_cells(row, total) for row in rows))


def _cells(row: OpRow, total: float) -> tuple[Cell, ...]:
    energy = row.arithmetic_j + row.movement_j
    return (
        row.name,
        row.part,
        row.count,
        row.seconds,
        row.seconds / total if total else 0.0,
        row.limit,
        row.rate or None,
        row.intensity if math.isfinite(row.intensity) else "cache",
        row.dram_bytes,
        energy if energy >= 1e-3 else None,
    )


def to_json(
    title: str, rows: Sequence[OpRow], accelerator: Accelerator, blocked: CacheAware | None = None
) -> dict[str, Any]:
    """The object `ops --json` prints; an intensity without DRAM traffic is null."""
    total = sum(row.seconds for row in rows)
    entries = []
    for row in rows:
        body = asdict(row)
        intensity = row.intensity if math.isfinite(row.intensity) else None
        entries.append(
            body
            | {
                "share": row.seconds / total if total else 0.0,
                "flops_per_byte": intensity,
                "flops_per_s": row.rate,
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": title,
        "accelerator": accelerator.name,
        "time_s": total,
        "flops": sum(row.flops for row in rows),
        "dram_bytes": sum(row.dram_bytes for row in rows),
        "energy_j": {
            "arithmetic": sum(row.arithmetic_j for row in rows),
            "movement": sum(row.movement_j for row in rows),
            "idle": accelerator.power.running_w(accelerator.clock) * total if accelerator.power else None,
        },
        "cache_aware": asdict(blocked) | {"slowdown": blocked.slowdown} if blocked else None,
        "ops": entries,
    }


def page(title: str, rows: Sequence[OpRow], accelerator: Accelerator) -> str:
    """One offline page: totals, the roofline with every op, and the whole table."""
    total = sum(row.seconds for row in rows)
    summary = _head(title, rows, accelerator, total) + "\n\n" + _by_limit(rows, total)
    table = as_table(rows, total)
    heading = f"{title} on {accelerator.name}"
    body = f"<h1>{escape(heading)}</h1>\n<pre>{escape(summary)}</pre>\n{kit.shown(roofline(rows, accelerator))}\n"
    return kit.document(heading, body + "<h2>Every op</h2>\n" + table.html(heading))
