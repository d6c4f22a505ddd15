"""The roofs of a chip, and every op where its intensity and rate put it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from sim.device.records import Accelerator
from sim.device.table import OpRow
from sim.report.figures.kit import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, Figure, Trace, axis
from sim.report.tables import Column, Table
from sim.report.text import duration, percent, si, three

COLOURS: Final = {"compute": BLUE, "memory": ORANGE, "cache": PURPLE, "overhead": GREY, "replay": GREEN}
LISTED: Final = 30


def roofline(rows: Sequence[OpRow], chip: Accelerator) -> Figure:
    """Ops as discs: area by share of the time, colour by limit; those without FLOPs or DRAM bytes have no place."""
    placed = [row for row in rows if row.flops > 0 and row.dram_bytes > 0 and row.seconds > 0]
    total = sum(row.seconds for row in rows)
    traces = [*_roofs(placed, chip), *(_ops(limit, placed, total) for limit in dict.fromkeys(r.limit for r in placed))]
    left_out = len(rows) - len(placed)
    text = f"Every op of a step on {chip.name}: the area of a disc is its share of {duration(total)}."
    text += f" {left_out} ops without FLOPs or DRAM traffic have no place here." if left_out else ""
    cells = tuple(
        (f"{r.part} {r.name}", r.seconds, r.seconds / total, r.limit, r.intensity, si(r.rate, "FLOP/s"))
        for r in rows[:LISTED]
    )
    columns = (Column("op"), Column("time", "seconds"), Column("share", "share"), Column("limit"))
    table = Table((*columns, Column("FLOP per byte", "number"), Column("rate")), _finite(cells))
    layout = {
        "xaxis": axis("FLOP per byte of DRAM traffic", log=True),
        "yaxis": axis("FLOP/s reached", log=True),
    }
    return Figure("roofline", f"Roofline of {chip.name}", text, tuple(traces), layout, table, 520)


def _finite(cells: tuple[tuple[str, float, float, str, float, str], ...]) -> tuple[tuple[str | float | None, ...], ...]:
    return tuple(tuple(None if c == math.inf else c for c in row) for row in cells)


def _roofs(rows: Sequence[OpRow], chip: Accelerator) -> list[Trace]:
    """Peak (dotted) and achievable (solid) roof of each format in use."""
    formats = [f for f in dict.fromkeys(row.format for row in rows) if f in chip.compute] or list(chip.compute)[:1]
    ridges = [entry.peak_flops / chip.memory.bandwidth for entry in chip.compute.values()]
    left = min([*(row.intensity for row in rows), *ridges]) / 3.0
    right = max([*(row.intensity for row in rows), *ridges]) * 3.0
    traces: list[Trace] = []
    for name in formats:
        entry = next(entry for known, entry in chip.compute.items() if known == name)
        for share, reach, dash in ((1.0, 1.0, "dot"), (entry.achievable, chip.memory.achievable, "solid")):
            peak, bandwidth = entry.peak_flops * share, chip.memory.bandwidth * reach
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [left, peak / bandwidth, right],
                    "y": [left * bandwidth, peak, peak],
                    "line": {"color": INK, "width": 1.5, "dash": dash},
                    "name": f"{name}: {'peak' if dash == 'dot' else 'achievable'} {si(peak, 'FLOP/s')}",
                    "hoverinfo": "name",
                    "showlegend": dash == "solid",
                }
            )
    return traces


def _ops(limit: str, placed: Sequence[OpRow], total: float) -> Trace:
    rows = [row for row in placed if row.limit == limit]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"limited by {limit}",
        "x": [row.intensity for row in rows],
        "y": [row.rate for row in rows],
        "hovertext": [_about(row, total) for row in rows],
        "hoverinfo": "text",
        "marker": {
            "size": [6.0 + 44.0 * math.sqrt(row.seconds / total) for row in rows],
            "color": COLOURS[limit],
            "opacity": 0.55,
            "line": {"color": COLOURS[limit], "width": 1},
        },
    }


def _about(row: OpRow, total: float) -> str:
    return (
        f"{row.part} {row.name}\n{duration(row.seconds)} ({percent(row.seconds / total)}), limit {row.limit}\n"
        f"{three(row.intensity)} FLOP/B, {si(row.rate, 'FLOP/s')}"
    )
