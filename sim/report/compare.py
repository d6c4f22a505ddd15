"""Results side by side, with the ratio to the first and what causes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sim.report.run import to_json as result_json
from sim.report.text import duration, gib, percent, table, three
from sim.result import Result
from sim.study.compare import Case, causes, device_seconds

PARTS: Final = ("compute", "exposed", "mfu", "memory", "limit")


def render(cases: Sequence[Case], causes_too: bool = True) -> str:
    """One row per case; ratios are against the first case that fits, with what causes them."""
    base = next((case.result for case in cases if case.result), None)
    header = ["", "devices", "to target", "step", "batch", "samples/s", "ratio", *PARTS]
    lines = [table(header, [_row(case, base) for case in cases], left=2)]
    for case in cases:
        if case.failure is not None:
            lines.append(f"{case.label}: {case.reason}")
        elif causes_too and base is not None and case.result is not None and case.result is not base:
            lines.append(f"{case.label}: {_why(base, case.result)}")
    return "\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]])


def rate(result: Result) -> float:
    """Samples per second of the whole cluster."""
    return result.plan.global_batch / result.step.time_s


def _row(case: Case, base: Result | None) -> list[str]:
    result = case.result
    if result is None or base is None:
        return [case.label, case.verdict, *["-"] * 10]
    goal, step = result.time_to_target, result.step
    return [
        case.label,
        f"{result.devices:,} x {result.accelerator}",
        duration(goal.seconds) if goal else "-",
        duration(step.time_s),
        f"{result.plan.global_batch:,}",
        three(rate(result)),
        f"{rate(result) / rate(base):.2f}x",
        percent(step.compute_s / step.time_s),
        percent(step.exposed_communication_s / step.time_s),
        percent(result.mfu),
        gib(result.fullest.total_bytes),
        result.bottleneck.limit,
    ]


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
            if abs(cause.device_seconds) > 1e-4 * device_seconds(base)
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


def to_json(cases: Sequence[Case]) -> dict[str, Any]:
    """`cases`, each with `label`, `result` (as `run --json`) or `infeasible`, `ratio` of rates and `causes`."""
    base = next((case.result for case in cases if case.result), None)
    return {"schema_version": 1, "cases": [_case_json(case, base) for case in cases]}


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
