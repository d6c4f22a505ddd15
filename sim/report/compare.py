"""Results side by side, with the ratio to the first and what causes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sim.report.run import to_json as result_json
from sim.report.text import duration, gib, percent, table, three
from sim.result import Result
from sim.study.compare import Case, causes


def render(cases: Sequence[Case]) -> str:
    """One row per case; ratios are against the first case that fits."""
    base = next((case.result for case in cases if case.result), None)
    header = ["", "devices", "to target", "step", "samples/s", "ratio", "compute", "exposed", "mfu", "memory", "limit"]
    lines = [table(header, [_row(case, base) for case in cases], left=2)]
    for case in cases:
        if case.infeasible:
            lines.append(f"{case.label}: {case.infeasible.statement}")
        elif base is not None and case.result is not None and case.result is not base:
            lines.append(f"{case.label}: {_why(base, case.result)}")
    return "\n".join([lines[0], "", *lines[1:]])


def rate(result: Result) -> float:
    """Samples per second of the whole cluster."""
    return result.plan.global_batch / result.step.time_s


def _row(case: Case, base: Result | None) -> list[str]:
    result = case.result
    if result is None or base is None:
        return [case.label, "does not fit", *["-"] * 9]
    goal, step = result.time_to_target, result.step
    return [
        case.label,
        f"{result.devices:,} x {result.accelerator}",
        duration(goal.seconds) if goal else "-",
        duration(step.time_s),
        three(rate(result)),
        f"{rate(result) / rate(base):.2f}x",
        percent(step.compute_s / step.time_s),
        percent(step.exposed_communication_s / step.time_s),
        percent(result.mfu),
        gib(result.fullest.total_bytes),
        result.bottleneck.limit,
    ]


def _why(base: Result, other: Result) -> str:
    change = other.step.time_s / other.plan.global_batch - base.step.time_s / base.plan.global_batch
    if abs(change) < 1e-12 * base.step.time_s:
        return "the same time per sample"
    shares = [f"{c.part} {percent(c.seconds_per_sample / change)}" for c in causes(base, other) if c.seconds_per_sample]
    word = "slower" if change > 0 else "faster"
    factor = max(rate(base) / rate(other), rate(other) / rate(base))
    return f"{three(factor)}x {word} per sample, of which {', '.join(shares)}"


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
        }
    return {
        "label": case.label,
        "ratio": rate(case.result) / rate(base),
        "causes": {c.part.replace(" ", "_") + "_s_per_sample": c.seconds_per_sample for c in causes(base, case.result)},
        "result": result_json(case.result),
    }
