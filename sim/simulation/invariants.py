"""What holds of every result, whatever went in: checked before it leaves."""

from __future__ import annotations

import math

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.ops import Collective, Op, executed_flops
from sim.plan.step_record import Stage, StepRecord
from sim.result import Result
from sim.scenario import PublishedInput, Scenario

ROUNDING = 1e-9


def check_published(scenario: Scenario, sub_batch: int) -> None:
    """A published time of compute belongs to the chip and the sub-batch it was measured with."""
    published = scenario.training.compute_s
    if published is None:
        return
    chip = scenario.accelerator
    peak = chip.compute[scenario.workload.numerics.compute].peak_flops
    found = [
        _belongs("sub_batch", "plan.sub_batch", published.sub_batch, sub_batch, published),
        _belongs("peak_flops", "accelerator.compute", published.peak_flops, peak, published),
        _belongs("bandwidth", "accelerator.memory.bandwidth", published.bandwidth, chip.memory.bandwidth, published),
    ]
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise InputError(*problems)


def _belongs(name: str, path: str, theirs: float, ours: float, published: PublishedInput) -> Problem | None:
    if math.isclose(theirs, ours, rel_tol=1e-6):
        return None
    rule = f"training.compute_s of {published.value:g} s was published for a {name} of {theirs:g}"
    return Problem(rule, path, f"{ours:g}", hint="leave training.compute_s out: the device model computes the time")


def check_result(result: Result, record: StepRecord, chip: Accelerator) -> None:
    """Raise InputError where a time is negative or not finite, or a device executes more than its peaks."""
    step = result.step
    times = {
        "time_s": step.time_s,
        "compute_s": step.compute_s,
        "exposed_communication_s": step.exposed_communication_s,
        "bubble_s": step.bubble_s,
        "seconds": result.time_to_target.seconds if result.time_to_target else 0.0,
        "energy": result.energy.step_j if result.energy else 0.0,
    }
    for name, value in times.items():
        if not math.isfinite(value) or value < 0.0:
            raise InputError(
                Problem(f"the {name} of the result would be {value:g}: sizes beyond arithmetic", "workload")
            )
    faster = chip.sparsity if result.speedups else 1.0  # products on structured-sparse operands
    known: dict[int, float] = {}
    stages = {id(stage): stage for stage in record.stages}
    least = max(_least_s(record, stage, chip, known) for stage in stages.values()) / faster
    if least > step.time_s * (1.0 + ROUNDING):
        rule = f"too short: at their peaks the units need {least:.4g} s for what a step executes"
        where = "training.compute_s" if result.provenance.inputs else "accelerator"
        raise InputError(Problem(rule, where, f"{step.time_s:.4g} s"))


def _least_s(record: StepRecord, stage: Stage, chip: Accelerator, known: dict[int, float]) -> float:
    """Seconds a device of a stage computes with every op at the peak of its format; `known`: of passes before."""

    def least(ops: tuple[Op, ...]) -> float:
        if id(ops) not in known:  # the record keeps the ops alive
            known[id(ops)] = sum(op.count * executed_flops(op) / _peak(op, chip) for op in ops if _computes(op))
        return known[id(ops)]

    passes = sum(least(work.ops) * block.count * work.share for block, work in stage.passes())
    return passes * record.passes + least(stage.update.ops)


def _computes(op: Op) -> bool:
    return not isinstance(op, Collective) and op.flops > 0.0 and getattr(op, "duration_s", None) is None


def _peak(op: Op, chip: Accelerator) -> float:
    entry = chip.compute.get(op.format)
    return entry.peak_flops if entry else max(entry.peak_flops for entry in chip.compute.values())
