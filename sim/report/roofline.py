"""A roofline as one SVG: the roofs of the chip, and every op where its intensity and rate put it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from sim.device.records import Accelerator
from sim.device.table import OpRow
from sim.report.text import duration, percent, si, three

WIDTH: Final = 880
HEIGHT: Final = 520
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 24, 56
COLOURS: Final = {
    "compute": "#1b6ca8",
    "memory": "#c4461f",
    "cache": "#8a5fb0",
    "overhead": "#7a7a7a",
    "replay": "#3a8f5c",
}


@dataclass(frozen=True, slots=True)
class Axes:
    """Decades shown: x = FLOP per byte, y = FLOP/s."""

    x0: int
    x1: int
    y0: int
    y1: int

    def x(self, intensity: float) -> float:
        place = (math.log10(intensity) - self.x0) / (self.x1 - self.x0)
        return LEFT + min(1.0, max(0.0, place)) * (WIDTH - LEFT - RIGHT)

    def y(self, rate: float) -> float:
        place = (math.log10(rate) - self.y0) / (self.y1 - self.y0)
        return HEIGHT - BOTTOM - min(1.0, max(0.0, place)) * (HEIGHT - TOP - BOTTOM)


def roofline_svg(rows: Sequence[OpRow], accelerator: Accelerator) -> str:
    """The picture; ops without FLOPs or DRAM bytes have no place on it and are counted in the caption."""
    placed = [row for row in rows if row.flops > 0 and row.dram_bytes > 0 and row.seconds > 0]
    axes = _axes(placed, accelerator)
    formats = list(dict.fromkeys(row.format for row in placed if row.format in accelerator.compute))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>Roofline of {escape(accelerator.name)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        *_grid(axes),
        *_roofs(axes, accelerator, formats),
        *_points(axes, placed, sum(row.seconds for row in rows)),
        *_legend(placed, len(rows) - len(placed)),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(rows: Iterable[OpRow], accelerator: Accelerator) -> Axes:
    peak = max(entry.peak_flops for entry in accelerator.compute.values())
    ridge = peak / accelerator.memory.bandwidth
    xs = [row.intensity for row in rows] + [ridge]
    ys = [row.rate for row in rows] + [peak]
    y1 = math.ceil(math.log10(max(ys)) + 0.05)
    y0 = max(math.floor(math.log10(min(ys))), y1 - 7)
    x0 = max(math.floor(math.log10(min(xs))), -4)
    return Axes(x0, max(x0 + 2, math.ceil(math.log10(max(xs)) + 0.3)), y0, y1)


def _grid(axes: Axes) -> list[str]:
    parts = []
    for decade in range(axes.x0, axes.x1 + 1):
        x = axes.x(10.0**decade)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM, "#e4e4e4"))
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{10.0**decade:g}", "middle"))
    for decade in range(axes.y0, axes.y1 + 1):
        y = axes.y(10.0**decade)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "#e4e4e4"))
        parts.append(_text(LEFT - 8, y + 4, si(10.0**decade), "end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "FLOP per byte of DRAM traffic", "middle"))
    turned = f'transform="rotate(-90 18 {middle})"'
    parts.append(f'<text x="18" y="{middle}" text-anchor="middle" {turned}>FLOP/s reached</text>')
    return parts


def _roofs(axes: Axes, accelerator: Accelerator, formats: Sequence[str]) -> list[str]:
    """Peak (thin) and achievable (thick) roof of each format in use."""
    parts = []
    memory = accelerator.memory
    entries = [(name, entry) for name, entry in accelerator.compute.items() if name in formats]
    for name, entry in entries or list(accelerator.compute.items())[:1]:
        for share, bandwidth_share, stroke in ((1.0, 1.0, 1.0), (entry.achievable, memory.achievable, 2.0)):
            peak, bandwidth = entry.peak_flops * share, memory.bandwidth * bandwidth_share
            low = max(10.0**axes.x0, 10.0**axes.y0 / bandwidth)
            points = [(low, low * bandwidth), (peak / bandwidth, peak), (10.0**axes.x1, peak)]
            path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="#333" stroke-width="{stroke}"/>')
        parts.append(
            _text(WIDTH - RIGHT - 4, axes.y(entry.peak_flops) - 6, f"{name} {si(entry.peak_flops, 'FLOP/s')}", "end")
        )
    return parts


def _points(axes: Axes, rows: Iterable[OpRow], total: float) -> list[str]:
    """A disc per op: area by its share of the time, colour by its limit."""
    parts = []
    for row in rows:
        radius = 3.0 + 22.0 * math.sqrt(row.seconds / total)
        title = (
            f"{row.part} {row.name}: {duration(row.seconds)} ({percent(row.seconds / total)}), limit {row.limit}, "
            f"{three(row.intensity)} FLOP/B, {si(row.rate, 'FLOP/s')}"
        )
        parts.append(
            f'<circle cx="{axes.x(row.intensity):.1f}" cy="{axes.y(row.rate):.1f}" r="{radius:.1f}" '
            f'fill="{COLOURS[row.limit]}" fill-opacity="0.45" stroke="{COLOURS[row.limit]}">'
            f"<title>{escape(title)}</title></circle>"
        )
    return parts


def _legend(rows: Iterable[OpRow], unplaced: int) -> list[str]:
    limits = dict.fromkeys(row.limit for row in rows)
    parts = []
    for index, limit in enumerate(limits):
        y = TOP + 14 + 18 * index
        parts.append(
            f'<circle cx="{LEFT + 16}" cy="{y}" r="6" fill="{COLOURS[limit]}" fill-opacity="0.45" '
            f'stroke="{COLOURS[limit]}"/>'
        )
        parts.append(_text(LEFT + 28, y + 4, f"limited by {limit}", "start"))
    if unplaced:
        parts.append(
            _text(LEFT + 28, TOP + 18 + 18 * len(limits), f"{unplaced} ops without FLOPs or DRAM traffic", "start")
        )
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
