"""The answer of `foretrain collective`: table, JSON, and busbw against size as SVG or HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Final

from sim.errors import InputError, Problem
from sim.report.text import duration, percent, si, table
from sim.study.collective_levels import Detail
from sim.study.collective_sweep import Sweep

_BINARY: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_COLOURS: Final = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#34495e")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 500, 80, 46, 190, 60


def size_text(nbytes: float) -> str:
    """1048576 → "1 MiB"."""
    for unit, name in _BINARY:
        if nbytes >= unit:
            return f"{nbytes / unit:.4g} {name}"
    return f"{nbytes:.4g} B"


def render(found: Sweep) -> str:
    """Terminal table, as nccl-tests orders its columns, and the busiest links of the largest size."""
    several = len({name for row in found.rows for name in row.times_s}) > 1
    written = found.detail != Detail.CLOSED
    header = ["size", "time", *(["closed form"] if written else []), "algbw", "busbw", "algorithm"]
    header += ["runner-up"] if several else []
    rows = []
    for row in found.rows:
        label = row.algorithm if row.protocol == "normal" else f"{row.algorithm} ({row.protocol})"
        closed = [duration(row.closed_s)] if row.closed_s is not None else []
        cells = [size_text(row.nbytes), duration(row.time_s), *closed, si(row.algbw_bytes_per_s, "B/s"),
                 si(row.busbw_bytes_per_s, "B/s"), label]  # fmt: skip
        if several:
            cells.append(_runner_up(row.times_s, row.algorithm))
        rows.append(cells)
    whole = f"{found.devices:,} device{'s' * (found.devices > 1)}"
    span = f"{found.ranks:,} of {whole}" if found.ranks < found.devices else whole
    level = f", {found.detail} by {found.detail}" if written else ""
    lines = [f"{found.kind.replace('_', '-')} on {found.cluster}, {span}{level}", "", table(header, rows, left=0)]
    if found.busiest:
        lines += ["", f"busiest links at {size_text(found.rows[-1].nbytes)}:"]
        lines += [
            f"  {link.source} → {link.target}"
            + (f" and {link.count - 1} more" if link.count > 1 else "")
            + f": {si(link.nbytes, 'B')}, busy {percent(link.busy)} of the time"
            for link in found.busiest
        ]
    return "\n".join(lines)


def _runner_up(times: dict[str, float], winner: str) -> str:
    others = sorted((t, name) for name, t in times.items() if name.partition("/")[0] != winner)
    return f"{others[0][1].partition('/')[0]} {duration(others[0][0])}" if others else ""


def to_json(found: Sweep) -> dict[str, object]:
    """One object with `rows`; sizes in bytes, times in seconds."""
    return {
        "cluster": found.cluster,
        "devices": found.devices,
        "collective": found.kind,
        "group": {"ranks": found.ranks, "stride": found.group.stride, "list": list(found.group.ranks)},
        "level": str(found.detail),
        "rows": [
            {
                "bytes": int(row.nbytes) if float(row.nbytes).is_integer() else row.nbytes,
                "time_s": row.time_s,
                "algorithm": row.algorithm,
                "protocol": row.protocol,
                "algbw_bytes_per_s": row.algbw_bytes_per_s,
                "busbw_bytes_per_s": row.busbw_bytes_per_s,
                "times_s": row.times_s,
                **({} if row.closed_s is None else {"closed_s": row.closed_s}),
            }
            for row in found.rows
        ],
        "busiest_links": [
            {"source": x.source, "target": x.target, "count": x.count, "bytes": x.nbytes, "busy": x.busy}
            for x in found.busiest
        ],
    }


def curves(found: Sweep) -> dict[str, list[tuple[float, float]]]:
    """(bytes, busbw in GB/s) of the winner, and of every algorithm where several were asked for."""
    lines: dict[str, list[tuple[float, float]]] = {
        "winner": [(row.nbytes, row.busbw_bytes_per_s / 1e9) for row in found.rows]
    }
    if len({name.partition("/")[0] for row in found.rows for name in row.times_s}) > 1:
        for row in found.rows:
            best: dict[str, float] = {}
            for name, seconds in row.times_s.items():
                short = name.partition("/")[0]
                best[short] = min(best.get(short, math.inf), seconds)
            for name, seconds in best.items():
                bus = row.busbw_bytes_per_s * row.time_s / seconds / 1e9 if seconds else 0.0
                lines.setdefault(name, []).append((row.nbytes, bus))
    return lines


def plot(found: Sweep, path: Path) -> str:
    """busbw against size for a file of that name: `.svg` (plain) or `.html` (interactive, works offline)."""
    if found.kind == "barrier":
        raise InputError(Problem("a barrier has no bytes to draw", "--plot", str(path)))
    if path.suffix == ".svg":
        return plot_svg(found) + "\n"
    if path.suffix in (".html", ".htm"):
        return plot_html(found)
    raise InputError(Problem("must end in .svg or .html", "--plot", str(path)))


def plot_html(found: Sweep) -> str:
    """A plotly page with everything inside."""
    go = import_module("plotly.graph_objects")  # 115 ms of start-up, needed only here

    figure = go.Figure()
    for i, (name, points) in enumerate(curves(found).items()):
        width = 4 if name == "winner" else 1.5
        figure.add_scatter(
            x=[p[0] for p in points], y=[p[1] for p in points], name=name, mode="lines+markers",
            line={"width": width, "color": _COLOURS[i % len(_COLOURS)]},
        )  # fmt: skip
    figure.update_xaxes(type="log", title="bytes", exponentformat="SI")
    figure.update_yaxes(title="bus bandwidth, GB/s", rangemode="tozero")
    figure.update_layout(title=_title(found), template="plotly_white")
    return str(figure.to_html(include_plotlyjs=True, full_html=True, div_id="busbw"))


def _title(found: Sweep) -> str:
    return f"{found.kind.replace('_', '-')} on {found.cluster}, {found.ranks} ranks"


def plot_svg(found: Sweep) -> str:
    """Size on a logarithmic axis, GB/s on a linear one."""
    lines = curves(found)
    xs = [math.log2(row.nbytes) for row in found.rows]
    low, high = min(xs), max(max(xs), min(xs) + 1.0)
    top, step = _nice(max(y for points in lines.values() for _, y in points))

    def x(nbytes: float) -> float:
        return LEFT + (math.log2(nbytes) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="26" font-size="16">{escape(_title(found))}</text>',
        f'<text transform="translate(22 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">bus bandwidth, GB/s</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">size of the buffer</text>',
    ]
    for k in range(round(top / step) + 1):
        parts.append(f'<path d="M{LEFT} {y(k * step):.1f}H{WIDTH - RIGHT}" stroke="#e3e6ea"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(k * step) + 4:.1f}" text-anchor="end">{k * step:g}</text>')
    stride = max(1, math.ceil(len(found.rows) / 8))
    for row in found.rows[::stride]:
        at = x(row.nbytes)
        parts.append(f'<path d="M{at:.1f} {HEIGHT - BOTTOM}v5" stroke="#555"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{size_text(row.nbytes)}</text>'
        )
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#555"/>')
    ordered = [(n, p) for n, p in lines.items() if n != "winner"] + [("winner", lines["winner"])]
    for i, (name, points) in enumerate(ordered):
        parts += _curve(name, [(x(a), y(b)) for a, b in points], i, len(ordered) - 1)
    return "\n".join([*parts, "</svg>"])


def _curve(name: str, points: Sequence[tuple[float, float]], index: int, last: int) -> list[str]:
    """One line and its entry in the legend; the winner is thick and dark."""
    bold = name == "winner"
    colour = "#1d2733" if bold else _COLOURS[index % len(_COLOURS)]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    style = f'stroke="{colour}" stroke-width="{3 if bold else 1.6}"' + (
        ' stroke-dasharray="1 5" stroke-linecap="round"' if bold and last else ""
    )
    at = TOP + 12 + 20 * index
    dots = (
        [f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="4" fill="{colour}"/>'] if len(points) == 1 else []
    )
    return [
        f'<path d="{path}" fill="none" {style}/>',
        *dots,
        f'<path d="M{WIDTH - RIGHT + 18} {at}h24" {style}/>',
        f'<text x="{WIDTH - RIGHT + 50}" y="{at + 4}">{escape(name.replace("_", " "))}</text>',
    ]


def _nice(largest: float) -> tuple[float, float]:
    """(top, step) of an axis from 0 that holds `largest` in about five steps."""
    if largest <= 0:
        return 1.0, 0.2
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return math.ceil(largest / step - 1e-9) * step, step
