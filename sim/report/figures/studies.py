"""Pictures of many results: scaling, batch, tornado, what a sweep found and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sim.report.figures.kit import BLUE, GREEN, GREY, INK, ORANGE, Figure, Trace, axis
from sim.report.tables import Column, Kind, Table
from sim.report.text import DAY, duration, percent, three
from sim.study.metrics import METRICS, Metric
from sim.study.sensitivity import Sensitivity
from sim.study.store import Outcome
from sim.study.sweep import Outcomes
from sim.units import format_quantity

SCALE: Final = {"time_to_target_s": (DAY, "days"), "memory_bytes": (2.0**30, "GiB"), "energy_j": (3.6e9, "MWh")}
KINDS: Final[dict[str, Kind]] = {
    "time_to_target_s": "seconds",
    "step_s": "seconds",
    "memory_bytes": "bytes",
    "mfu": "share",
}
MOST_POINTS: Final = 5000
MOST_LINES: Final = 6


def figure_of(outcome: Outcome, metric: Metric) -> float | None:
    """A stored figure in the unit its axis has."""
    value = outcome.metrics[list(METRICS).index(metric.name)]
    return None if value is None else value / SCALE.get(metric.name, (1.0, ""))[0]


def label(metric: Metric) -> str:
    """What an axis of a metric is called."""
    unit = SCALE.get(metric.name, (1.0, "s" if metric.name.endswith("_s") and metric.name != "samples_per_s" else ""))[
        1
    ]
    return f"{metric.label}, {unit}" if unit else metric.label


def along(
    key: str, title: str, found: Outcomes, metric: Metric, here: float, ideal: bool = False, name: str = ""
) -> Figure:
    """A metric along one numeric axis, the value of the run marked; `ideal`: what perfect scaling would give."""
    points = [(float(str(found.designs[o.number][0])), o) for o in found.outcomes]
    pairs = [(x, y) for x, o in points if (y := figure_of(o, metric)) is not None]
    traces: list[Trace] = [_line("simulated", pairs, BLUE)]
    marked = [pair for pair in pairs if pair[0] == here]
    if ideal and pairs:
        x0, y0 = pairs[0]
        traces.append({**_line("ideal", [(x, y0 * x0 / x) for x, _ in pairs], INK), "mode": "lines"})
        traces[-1]["line"] = {"color": INK, "dash": "dash", "width": 1.5}
    if marked:
        traces.append({**_line("this run", marked, ORANGE), "mode": "markers", "marker": {"color": ORANGE, "size": 12}})
    missing = [f"{x:,.0f}: {o.reason}" for x, o in points if o.reason]
    text = f"{metric.label.capitalize()} against {name or found.designs.axes[0].path}."
    if pairs:
        best = min(pairs, key=lambda pair: pair[1])
        unit = label(metric).removeprefix(metric.label).lstrip(", ")
        text += f" The least is {three(best[1])} {unit} at {best[0]:,.0f}."
    text += f" Without a result: {'; '.join(missing)}." if missing else ""
    rows = tuple((x, o.metrics[list(METRICS).index(metric.name)], o.reason or None) for x, o in points)
    columns = (
        Column(name or "value", "count"),
        Column(metric.label, KINDS.get(metric.name, "number")),
        Column("reason"),
    )
    layout = {
        "xaxis": {**axis(name or found.designs.axes[0].path, log=True), "tickvals": [x for x, _ in points],
                  "ticktext": [f"{x:,.0f}" for x, _ in points]},
        "yaxis": axis(label(metric), log=_wide([y for trace in traces for y in trace["y"]]), rangemode="tozero"),
    }  # fmt: skip
    return Figure(key, title, text, tuple(traces), layout, Table(columns, rows))


def _wide(values: Sequence[float]) -> bool:
    """Whether values of more than a decade ask for a logarithmic axis."""
    return bool(values) and min(values) > 0.0 and max(values) > 10.0 * min(values)


def _line(name: str, pairs: Sequence[tuple[float, float]], colour: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _ in pairs],
        "y": [y for _, y in pairs],
        "hovertext": [f"{name}\n{x:,.0f}: {three(y)}" for x, y in pairs],
        "hoverinfo": "text",
        "line": {"color": colour},
    }


def tornado(found: Sensitivity) -> Figure:
    """How a metric moves with each hardware property a step worse and a step better."""
    rows = [e for e in found.elasticities if e.elasticity is not None and e.low is not None and e.high is not None]
    rows = [e for e in rows if abs(e.elasticity or 0.0) > 1e-4]
    names = [e.prop.label for e in rows][::-1]
    traces: list[Trace] = []
    for less, colour in ((True, ORANGE), (False, GREEN)):
        factor = "1/" * less + f"{found.elasticities[0].step:g}"
        changes = [((e.low if less else e.high) or e.base) / e.base - 1.0 for e in rows][::-1]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": f"at {factor}x the property",
                "y": names,
                "x": [100.0 * change for change in changes],
                "hovertext": [
                    f"{n} at {factor}x: {percent(c, signed=True)}" for n, c in zip(names, changes, strict=True)
                ],
                "hoverinfo": "text",
                "marker": {"color": colour},
            }
        )
    metric = METRICS[found.metric]
    table = Table(
        (Column("property"), Column("value"), Column("elasticity", "number")),
        tuple((e.prop.label, format_quantity(e.value, e.prop.dimension), e.elasticity) for e in found.elasticities),
    )
    most = f" The most telling: {rows[0].prop.label}, elasticity {rows[0].elasticity:+.3f}." if rows else ""
    text = f"How {metric.label} changes when one hardware property is better or worse.{most}"
    layout = {"barmode": "overlay", "xaxis": axis(f"change of {metric.label}, %")}
    return Figure("tornado", "What each property is worth", text, tuple(traces), layout, table, 130 + 34 * len(rows))


def pareto(found: Outcomes, best: Sequence[Outcome], metrics: tuple[Metric, Metric]) -> Figure:
    """Every design by two metrics, those that nothing beats joined."""
    across, up = metrics
    fronted = {o.number for o in best}
    others = [o for o in found.outcomes if o.number not in fronted][:MOST_POINTS]
    cloud = _designs("designs", found, others, metrics, {"color": GREY, "size": 6, "opacity": 0.6})
    front = _designs("nothing beats these", found, best, metrics, {"color": ORANGE, "size": 10})
    traces = (cloud, {**front, "mode": "lines+markers", "line": {"color": ORANGE, "shape": "hv", "width": 1.2}})
    text = f"{len(found.outcomes):,} designs by {across.label} and {up.label}; {len(best)} are beaten by none in both."
    pairs = [(figure_of(o, across), figure_of(o, up)) for o in found.outcomes]
    wide = [_wide([value for pair in pairs if (value := pair[i]) is not None]) for i in (0, 1)]
    layout = {
        name: axis(label(metric), log=log, rangemode="tozero")
        for name, metric, log in zip(("xaxis", "yaxis"), metrics, wide, strict=True)
    }
    return Figure("pareto", f"{up.label.capitalize()} against {across.label}", text, traces, layout, None, 480)


def _designs(
    name: str, found: Outcomes, chosen: Sequence[Outcome], metrics: tuple[Metric, Metric], marker: dict[str, Any]
) -> Trace:
    points = [(o, [figure_of(o, metric) for metric in metrics]) for o in chosen]
    points = [(o, pair) for o, pair in points if None not in pair]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [pair[0] for _, pair in points],
        "y": [pair[1] for _, pair in points],
        "hovertext": [_about(found, o) for o, _ in points],
        "hoverinfo": "text",
        "marker": marker,
    }


def _about(found: Outcomes, outcome: Outcome) -> str:
    """A design in full, for hovering."""
    lines = [f"design {outcome.number}", *(f"{k} = {v}" for k, v in found.designs.overrides(outcome.number).items())]
    for metric, value in zip(METRICS.values(), outcome.metrics, strict=True):
        if value is not None:
            text = duration(value) if KINDS.get(metric.name) == "seconds" else three(value)
            lines.append(f"{metric.label}: {text}")
    return "\n".join(lines)


def lines(found: Outcomes, metric: Metric) -> Figure | None:
    """A metric along one axis, a line per value of the other; a heat map where both have many; None for more axes."""
    paths = [axis.path for axis in found.designs.axes]
    if len(paths) > 2 or not found.outcomes:
        return None
    designs = [tuple(map(str, found.designs[o.number])) for o in found.outcomes]
    if len(paths) == 2 and len({d[1] for d in designs}) > len({d[0] for d in designs}):  # fewer lines, each longer
        paths, designs = paths[::-1], [design[::-1] for design in designs]
    table: dict[str, dict[str, float | None]] = {}
    for design, outcome in zip(designs, found.outcomes, strict=True):
        table.setdefault(design[1] if len(paths) == 2 else metric.label, {})[design[0]] = figure_of(outcome, metric)
    if len(table) > MOST_LINES:
        return _heat_map(table, paths, metric)
    traces = tuple(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{paths[1]} = {name}" if len(paths) == 2 else name,
            "x": list(line),
            "y": list(line.values()),
            "hovertext": [f"{x}: {'no result' if y is None else three(y)}" for x, y in line.items()],
            "hoverinfo": "text+name",
        }
        for name, line in table.items()
    )
    text = f"{metric.label.capitalize()} against {paths[0]}" + (f", a line per {paths[1]}." if paths[1:] else ".")
    layout = {"xaxis": axis(paths[0], type="category"), "yaxis": axis(label(metric), rangemode="tozero")}
    return Figure("sweep", f"{metric.label.capitalize()} over the designs", text, traces, layout, None, 440)


def _heat_map(table: Mapping[str, Mapping[str, float | None]], paths: Sequence[str], metric: Metric) -> Figure:
    across = list(dict.fromkeys(x for line in table.values() for x in line))
    trace: Trace = {
        "type": "heatmap",
        "x": across,
        "y": list(table),
        "z": [[line.get(x) for x in across] for line in table.values()],
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": label(metric)}},
    }
    text = f"{label(metric).capitalize()}, for each pair of {paths[0]} and {paths[1]}."
    layout = {"xaxis": axis(paths[0], type="category"), "yaxis": axis(paths[1], type="category")}
    return Figure("sweep", f"{metric.label.capitalize()} over the designs", text, (trace,), layout, None, 480)
