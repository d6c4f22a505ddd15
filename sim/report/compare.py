"""Results side by side, with the ratio to the first and what causes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sim.report.run import to_json as result_json
from sim.report.tables import Cell, Column, Table
from sim.report.text import percent, three
from sim.result import Result
from sim.study.compare import Case, Comparison, causes, device_seconds

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
    """One row per case; ratios are against the first case that fits, with what causes them."""
    base = _base(found)
    lines = [as_table(found).text()]
    for case in found.cases:
        if case.failure is not None:
            lines.append(f"{case.label}: {case.reason}")
        elif base is not None and case.result is not None and case.result is not base:
            lines.append(f"{case.label}: {_why(base, case.result)}")
    return "\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]])


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
    """`cases`, each with `label`, `result` (as `run --json`) or `infeasible`, `ratio` of rates and `causes`."""
    return {"schema_version": 1, "cases": [_case_json(case, _base(found)) for case in found.cases]}


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
