"""Pictures of several results: when each reaches its target, what a sample costs a device, and what causes it."""

from __future__ import annotations

from collections.abc import Iterator

from sim.report.compare import part_name
from sim.report.figures.kit import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Figure, Trace, axis, bars
from sim.report.tables import Cell, Column, Table, in_one_unit
from sim.report.text import DAY, duration
from sim.result import Result
from sim.study.attribution import Attributed
from sim.study.compare import Comparison


def winner(found: Comparison) -> str:
    """The case that is first, in a sentence."""
    timed = [(seconds, label) for label, result in _results(found) if (seconds := _seconds(result)) is not None]
    if not timed:
        return "No case has a time to its target."
    seconds, label = min(timed)
    others = sorted(timed)[1:]
    ahead = f", {others[0][0] / seconds:.2f} times as early as {others[0][1]}" if others else ""
    return f"First is {label}: {duration(seconds)} to the target{ahead}."


def figures(found: Comparison) -> Iterator[Figure]:
    """Times to the target, and the parts of a sample."""
    timed = [(label, seconds) for label, result in _results(found) if (seconds := _seconds(result)) is not None]
    if timed:
        names, values = [label for label, _ in timed], [seconds for _, seconds in timed]
        trace = bars(names, [seconds / DAY for seconds in values], in_one_unit(values), marker={"color": BLUE})
        table = Table((Column("case"), Column("to target", "seconds")), tuple(timed))
        layout = {"xaxis": axis("days", rangemode="tozero")}
        yield Figure("target", "Time to the target", winner(found), (trace,), layout, table, 110 + 42 * len(timed))
    if found.cases and any(case.result for case in found.cases):
        yield _parts(found)
    for number, each in enumerate(found.attributions):
        yield from _causes(each, f"causes-{number}")


def _causes(found: Attributed, key: str) -> Iterator[Figure]:
    """What each part makes of the difference in the time to the target."""
    for figure in found.figures:
        if figure.metric.name != "time_to_target_s":
            continue
        names, values = [part_name(each.part) for each in figure.shares], [each.share for each in figure.shares]
        trace = bars(names, [value / DAY for value in values], in_one_unit(values), marker={"color": BLUE})
        rows = tuple((name, each.share, each.alone) for name, each in zip(names, figure.shares, strict=True))
        table = Table((Column("part"), Column("share", "seconds"), Column("alone", "seconds")), rows)
        text = (
            f"{duration(figure.first)} of the first becomes {duration(figure.second)}: the Shapley share of every part "
            f"in which they differ; the shares add up. Alone: that part exchanged by itself."
        )
        title = f"What makes the difference: {found.label}"
        yield Figure(key, title, text, (trace,), {"xaxis": axis("days")}, table, 110 + 42 * len(names))


def _parts(found: Comparison) -> Figure:
    """Device-seconds per sample, part by part: they add up to the whole."""
    shown = _results(found)
    names = [label for label, _ in shown][::-1]
    columns = {name: [_per_sample(result, name) for _, result in shown] for name in PARTS}
    traces: list[Trace] = []
    for (name, colour), values in zip(PARTS.items(), columns.values(), strict=True):
        if not any(value > 0.0 for value in values):
            continue
        texts = [f"{name}: {text} of a device" for text in in_one_unit(values)]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": names,
                "x": [1e3 * value for value in values][::-1],
                "hovertext": texts[::-1],
                "hoverinfo": "text",
                "marker": {"color": colour},
            }
        )
    rows: list[tuple[Cell, ...]] = []
    rows += ((label, *(columns[name][i] for name in PARTS)) for i, (label, _) in enumerate(shown))
    table = Table((Column("case"), *(Column(name, "seconds") for name in PARTS)), tuple(rows))
    layout = {"barmode": "stack", "legend": {"traceorder": "normal"}, "xaxis": axis("ms of a device per sample")}
    text = "What a sample costs one device: arithmetic, memory-bound work, launches, communication, waiting."
    return Figure("parts", "Where the time of a sample goes", text, tuple(traces), layout, table, 150 + 46 * len(names))


PARTS = {
    "arithmetic": BLUE,
    "memory-bound": PURPLE,
    "launches": GREY,
    "communication": ORANGE,
    "bubbles": RED,
    "input": GREEN,
}


def _per_sample(result: Result, part: str) -> float:
    step = result.step
    seconds = {
        "arithmetic": step.compute_s - step.memory_bound_s - step.overhead_s,
        "memory-bound": step.memory_bound_s,
        "launches": step.overhead_s,
        "communication": step.exposed_communication_s,
        "bubbles": step.bubble_s,
        "input": step.input_stall_s,
    }
    return max(0.0, seconds[part]) * result.devices / result.plan.global_batch


def _results(found: Comparison) -> list[tuple[str, Result]]:
    return [(case.label, case.result) for case in found.cases if case.result is not None]


def _seconds(result: Result) -> float | None:
    return None if result.time_to_target is None else result.time_to_target.seconds
