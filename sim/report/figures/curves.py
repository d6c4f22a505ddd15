"""Curves: bus bandwidth of a collective, a fitted learning curve, predicted against measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.errors import InputError, Problem
from sim.report.figures.kit import BLUE, GREY, INK, ORANGE, PALETTE, Figure, Trace, axis
from sim.report.tables import Column, Table
from sim.report.text import size_text
from sim.study.collective_sweep import Sweep
from sim.study.fit import AHEAD, Fitted
from sim.validation.sets import Report


def bus_bandwidth(found: Sweep) -> Figure:
    """Bus bandwidth against the size of the buffer: the winner, and every algorithm where several were asked for."""
    if found.kind == "barrier":
        raise InputError(Problem("a barrier has no bytes to draw", "--plot"))
    lines = algorithm_lines(found)
    traces: list[Trace] = []
    for place, (name, points) in enumerate(lines.items()):
        style = {"color": PALETTE[(place - 1) % len(PALETTE)], "width": 1.6}
        if name == "winner":
            style = {"color": INK, "width": 3.5, "dash": "dot" if len(lines) > 1 else "solid"}
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(points) < 40 else "lines",
                "name": name.replace("_", " "),
                "x": [x for x, _ in points],
                "y": [y for _, y in points],
                "hovertext": [f"{name}\n{size_text(x)}: {y:.4g} GB/s" for x, y in points],
                "hoverinfo": "text",
                "line": style,
            }
        )
    rows = tuple((size_text(r.nbytes), r.time_s, r.busbw_bytes_per_s / 1e9, r.algorithm) for r in found.rows)
    table = Table(
        (Column("size"), Column("time", "seconds"), Column("busbw GB/s", "number"), Column("algorithm")), rows
    )
    shown = [row.nbytes for row in found.rows][:: max(1, math.ceil(len(found.rows) / 8))]
    layout = {
        "xaxis": {**axis("size of the buffer", log=True), "tickvals": shown, "ticktext": [*map(size_text, shown)]},
        "yaxis": axis("bus bandwidth, GB/s", rangemode="tozero"),
    }
    title = f"{found.kind.replace('_', '-')} on {found.cluster}, {found.ranks} ranks"
    best = max(found.rows, key=lambda row: row.busbw_bytes_per_s)
    text = f"Up to {best.busbw_bytes_per_s / 1e9:.4g} GB/s, at {size_text(best.nbytes)} by {best.algorithm}."
    return Figure("busbw", title, text, tuple(traces), layout, table, 480)


def algorithm_lines(found: Sweep) -> dict[str, list[tuple[float, float]]]:
    """(bytes, busbw in GB/s) of the winner, and of every algorithm where several were asked for."""
    lines = {"winner": [(row.nbytes, row.busbw_bytes_per_s / 1e9) for row in found.rows]}
    if len({name.partition("/")[0] for row in found.rows for name in row.times_s}) == 1:
        return lines
    for row in found.rows:
        best: dict[str, float] = {}
        for name, seconds in row.times_s.items():
            short = name.partition("/")[0]
            best[short] = min(best.get(short, math.inf), seconds)
        for name, seconds in best.items():
            bus = row.busbw_bytes_per_s * row.time_s / seconds / 1e9 if seconds else 0.0
            lines.setdefault(name, []).append((row.nbytes, bus))
    return lines


def learning_curve(fitted: Fitted) -> Figure:
    """The shards, the curve through them and its 90 % band."""
    found, domain = fitted.curve, fitted.domain
    if found is None:
        raise InputError(Problem("only a learning curve is drawn", "--plot"))
    shards = [*found.used, *(d.shard for d in found.dropped)]
    low, high = math.log(min(s.units for s in shards)), math.log(max(AHEAD[:-1]) * found.used[-1].units)
    sizes = [math.exp(low + k * (high - low) / 80) for k in range(81)]
    bands = [found.band(m) for m in sizes]
    line = {"type": "scatter", "mode": "lines", "x": sizes, "hoverinfo": "skip"}
    hidden = {**line, "line": {"width": 0}, "showlegend": False}
    traces: tuple[Trace, ...] = (
        {**hidden, "y": [float(band[0]) for band in bands]},
        {**hidden, "y": [float(band[1]) for band in bands], "fill": "tonexty", "fillcolor": "rgba(63,127,191,0.22)",
         "showlegend": True, "name": "90 % band"},
        {**line, "y": [float(found.at(m)) for m in sizes], "hoverinfo": "x+y", "line": {"color": BLUE},
         "name": "curve"},
        _shards("shards", [(s.units, s.error) for s in found.used], "circle"),
        _shards("left out", [(d.shard.units, d.shard.error) for d in found.dropped], "circle-open"),
    )  # fmt: skip
    table = Table(
        (Column(f"{domain.unit}s", "number"), Column(domain.error_unit, "number")),
        tuple((s.units, s.error) for s in shards),
    )
    layout = {"xaxis": axis(f"{domain.unit}s", log=True), "yaxis": axis(domain.error_unit, log=True)}
    text = f"Error against data of {domain.name}: {len(found.used)} shards, the fitted curve and its 90 % band."
    return Figure("curve", f"Learning curve of {domain.name}", text, traces, layout, table, 480)


def _shards(name: str, points: Sequence[tuple[float, float]], symbol: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": {"color": ORANGE, "symbol": symbol, "size": 8},
        "hoverinfo": "x+y",
        "showlegend": bool(points),
    }


def predicted(reports: Sequence[Report]) -> Figure:
    """Every published row as a point, a colour per set; on the line is exact, the dotted lines are 10 % off."""
    traces: list[Trace] = []
    values: list[float] = []
    count = 0
    for summary in (summary for report in reports for summary in report.summaries):
        rows = [row for row in summary.rows if math.isfinite(row.error) and row.status == "ok"]
        if not rows:
            continue
        count += len(rows)
        values += [v for row in rows for v in (row.measured, row.predicted)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [row.measured for row in rows],
                "y": [row.predicted for row in rows],
                "hovertext": [f"{summary.name}, {row.id}: {100 * row.error:+.1f} % in time" for row in rows],
                "hoverinfo": "text+x+y",
                "name": f"{summary.name} ({len(rows)}, mean {100 * summary.mean_abs_error:.1f} %)",
                "marker": {"opacity": 0.8, "size": 6},
            }
        )
    low, high = (min(values), max(values)) if values else (0.1, 10.0)
    for factor, dash in ((1.0, "solid"), (1.1, "dot"), (1 / 1.1, "dot")):
        line = {"dash": dash, "color": GREY, "width": 1}
        traces.append(
            {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low * factor, high * factor], "line": line,
             "showlegend": False, "hoverinfo": "skip"}
        )  # fmt: skip
    layout = {
        "xaxis": axis("measured (in the unit of its source)", log=True),
        "yaxis": axis("predicted", log=True),
    }
    text = f"{count:,} published rows; those on the line are exact, the dotted lines are 10 % off."
    return Figure("scatter", "Predicted against measured", text, tuple(traces), layout, None, 760)
