"""Results side by side, with the ratio to the first and what causes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sim.report.run import to_json as result_json
from sim.report.tables import Cell, Column, Kind, Table
from sim.report.text import duration, percent, si, three
from sim.result import Result
from sim.study.attribution import Attributed, Attribution, Part
from sim.study.compare import Case, Comparison, causes, device_seconds, winners
from sim.study.crossover import Along
from sim.study.metrics import METRICS, SPENT, Metric

COLUMNS: Final = (
    Column("case"),
    Column("devices"),
    Column("to target", "seconds"),
    Column("target x", "ratio"),
    Column("step", "seconds"),
    Column("batch", "count"),
    Column("samples/s", "number"),
    Column("rate x", "ratio"),
    Column("on device", "share"),
    Column("exposed", "share"),
    Column("mfu", "share"),
    Column("memory", "bytes"),
    Column("limit"),
)


def render(found: Comparison) -> str:
    """One row per case; ratios are against the first case that fits, with what causes them; the best of each figure;
    where asked for, the shares of the parts that differ and the order along an axis.
    """
    blocks = [as_table(found).text(), "\n".join(reasons(found)), *map(_attributed, found.attributions)]
    blocks += [] if found.along is None else [_along(found.along)]
    return "\n\n".join(block for block in blocks if block)


def reasons(found: Comparison) -> list[str]:
    """A sentence a case: why it has no result, or what makes its ratio to the first; then the best of each figure."""
    base, told = _base(found), []
    for case in found.cases:
        if case.failure is not None:
            told.append(f"{case.label}: {case.reason}")
        elif base is not None and case.result is not None and case.result is not base:
            told.append(f"{case.label}: {_why(base, case.result)}")
    told += [f"{case.label}: {bands}" for case in found.cases if case.result and (bands := _bands(case.result))]
    return [*told, _best(found)] if winners(found) else told


def _bands(result: Result) -> str:
    """`time to target 2.07 years to 7.85 years (5th to 95th percentile); …` of time, cost and energy."""
    found = result.uncertainty.bands if result.uncertainty else {}
    each = [(m, found[m.name]) for m in SPENT if m.name in found]
    spans = [f"{m.label} {_value(m, band.p05)} to {_value(m, band.p95)}" for m, band in each]
    return "; ".join(spans) + " (5th to 95th percentile)" if spans else ""


def _best(found: Comparison) -> str:
    """`least time to target: A (4.1 years); …`."""
    each = [f"{m.label}: {case.label} ({_value(m, value)})" for m, case, value in winners(found)]
    return f"least {'; '.join(each)}"


def _value(metric: Metric, value: float) -> str:
    if metric.name.endswith("_usd"):
        return si(value, "USD")
    if metric.name.endswith("_j"):
        return si(value / 3600.0, "Wh")
    return duration(value)


def _kind(metric: str) -> tuple[Kind, str]:
    """How a column shows a metric."""
    kinds: dict[str, tuple[Kind, str]] = {
        "_bytes": ("bytes", ""), "_j": ("si", "J"), "_w": ("si", "W"), "_usd": ("si", "USD"), "mfu": ("share", "")
    }  # fmt: skip
    if metric.endswith("_s"):
        return ("number", "") if metric.endswith("_per_s") else ("seconds", "")
    return next((kind for end, kind in kinds.items() if metric.endswith(end)), ("number", ""))


def _attributed(found: Attributed) -> str:
    """One row per part in which the case differs from the first, for every figure both have."""
    if not found.parts:
        return f"{found.label}: differs in nothing from the first"
    lines = [f"{found.label}: shares of the difference to the first (Shapley values; alone: exchanged by itself)"]
    for figure in found.figures:
        values = (_value(figure.metric, value) for value in (figure.first, figure.second))
        lines += ["", f"  {figure.metric.label}: {' to '.join(values)}", _shares(figure).text("  ")]
    if found.joined:
        lines += ["", f"  exchanged together, near ones or those no mixture of which runs: {_joined(found)}"]
    if found.missing:
        lines += ["", *(f"  {m.label}: {found.missing[m.name]}" for m in SPENT if m.name in found.missing)]
    return "\n".join(lines)


def _joined(found: Attributed) -> str:
    return "; ".join(map(part_name, found.joined))


def part_name(part: Part) -> str:
    """`accelerator compute + memory`: a first word is said once."""
    first, *others = part
    return " + ".join((first, *(name.removeprefix("accelerator ") for name in others)))


def _shares(figure: Attribution) -> Table:
    """Shares of the difference, and in parts of the first scenario's figure."""
    columns = (Column("part"), Column("share", "share"), Column("of the first", "share"), Column("alone", "share"))
    change, first = figure.second - figure.first, figure.first

    def over(value: float, whole: float) -> float | None:
        return value / whole + 0.0 if whole else None  # + 0.0: a zero has no sign

    rows = (
        (part_name(each.part), over(each.share, change), over(each.share, first), over(each.alone, first))
        for each in figure.shares
    )
    return Table(columns, tuple(rows))


def _along(found: Along) -> str:
    """One row per value of the axis, one column per case, and where their order changes."""
    kind, unit = _kind(found.metric)
    columns = (Column(found.path), *(Column(label, kind, unit) for label in found.labels))
    rows = tuple(
        (str(point), *each) for point, each in zip(found.points, zip(*found.figures, strict=True), strict=True)
    )
    lines = [f"{METRICS[found.metric].label} along {found.path}", Table(columns, rows).text()]
    for label, reasons in zip(found.labels, found.reasons, strict=True):
        lines += [f"{label} at {point}: {why}" for point, why in zip(found.points, reasons, strict=True) if why]
    for change in found.crossovers:
        at = "" if change.at is None else f", about {three(change.at)}"
        lines.append(f"{change.ahead} is ahead at {change.last}, {change.behind} at {change.first}{at}")
    if not found.crossovers:
        lines.append("the order does not change")
    return "\n".join(lines)


def as_table(found: Comparison) -> Table:
    """One row per case; `rate x` and `target x` are ratios to the first that has a result."""
    return Table(COLUMNS, tuple(_row(case, _base(found)) for case in found.cases))


def _base(found: Comparison) -> Result | None:
    return next((case.result for case in found.cases if case.result), None)


def rate(result: Result) -> float:
    """Samples per second of the whole cluster."""
    return result.plan.global_batch / result.step.time_s


def _row(case: Case, base: Result | None) -> tuple[Cell, ...]:
    result = case.result
    if result is None or base is None:
        return (case.label, case.verdict, *[None] * (len(COLUMNS) - 2))
    step = result.step
    return (
        case.label,
        f"{result.devices:,} x {result.accelerator}",
        result.time_to_target.seconds if result.time_to_target else None,
        _target_ratio(base, result),
        step.time_s,
        result.plan.global_batch,
        rate(result),
        rate(result) / rate(base),
        step.compute_s / step.time_s,
        step.exposed_communication_s / step.time_s,
        result.mfu,
        result.fullest.total_bytes,
        result.bottleneck.limit,
    )


def _target_ratio(base: Result, other: Result) -> float | None:
    first, second = base.time_to_target, other.time_to_target
    return second.seconds / first.seconds if first and second and first.seconds else None


def _why(base: Result, other: Result) -> str:
    """The time to the target as samples needed over rate, the ratio of rates as devices times rate of one device,
    and which parts of the step make the latter.
    """
    ratio = rate(other) / rate(base)
    parts = [*_samples(base, other), f"{three(ratio)}x the rate of the first"]
    if other.devices != base.devices:
        parts.append(f"{three(other.devices / base.devices)}x the devices")
    change = device_seconds(other) - device_seconds(base)
    if abs(change) > 1e-9 * device_seconds(base):
        each = device_seconds(base) / device_seconds(other)
        shares = [
            f"{cause.part} {percent(cause.device_seconds / device_seconds(base), signed=True)}"
            for cause in causes(base, other)
            if abs(cause.device_seconds) > 5e-4 * device_seconds(base)
        ]
        parts.append(f"each device at {three(each)}x (time per sample: {', '.join(shares)})")
    return "; ".join(parts)


def _samples(base: Result, other: Result) -> list[str]:
    """Where the samples to the target differ: by how much, and the batches that make it so."""
    first, second = base.time_to_target, other.time_to_target
    if first is None or second is None or abs(second.samples / first.samples - 1.0) < 5e-3:
        return []
    batches = f"{other.plan.global_batch:,} instead of {base.plan.global_batch:,}"
    why = "" if other.plan.global_batch == base.plan.global_batch else f" (global batch {batches})"
    return [
        f"{three(second.seconds / first.seconds)}x the time to the target with "
        f"{three(second.samples / first.samples)}x the samples{why}"
    ]


def to_json(found: Comparison) -> dict[str, Any]:
    """`cases`, each with `label`, `result` (as `run --json`) or `infeasible`, `ratio` of rates and `causes`; `winners`
    by figure; `attributions` and `along` where asked for.
    """
    return {
        "schema_version": 1,
        "cases": [_case_json(case, _base(found)) for case in found.cases],
        "winners": {metric.name: case.label for metric, case, _ in winners(found)},
        "attributions": [_attributed_json(each) for each in found.attributions],
        "along": None if found.along is None else asdict(found.along),
    }


def _attributed_json(found: Attributed) -> dict[str, Any]:
    """Shares of every figure in its unit; they add up to `second` less `first`."""
    figures = {
        figure.metric.name: {
            "first": figure.first,
            "second": figure.second,
            "shares": [{"part": list(s.part), "share": s.share, "alone": s.alone} for s in figure.shares],
        }
        for figure in found.figures
    }
    return {"label": found.label, "parts": [list(p) for p in found.parts], "figures": figures, "missing": found.missing}


def _case_json(case: Case, base: Result | None) -> dict[str, Any]:
    if case.result is None or base is None:
        return {
            "label": case.label,
            "result": None,
            "infeasible": asdict(case.infeasible) if case.infeasible else None,
            "error": None if case.infeasible else case.reason,
        }
    return {
        "label": case.label,
        "ratio": rate(case.result) / rate(base),
        "causes": {
            f"{c.part.replace(' ', '_')}_device_s_per_sample": c.device_seconds for c in causes(base, case.result)
        },
        "result": result_json(case.result),
    }
