"""One optimiser step, simulated: `simulate_step(record) -> Step`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from sim.engine import recurrent, recursion, streams
from sim.engine.accounting import account
from sim.engine.program import Program, Times
from sim.engine.records import Step
from sim.engine.stages import Builder
from sim.plan.step_record import StepRecord

Engine = Literal["simpy", "recursion"]

_STEADY_PASSES = 5  # micro-batches simulated before their period is tested
_STEADY = 1e-9  # largest relative change of the period of a steady state


def simulate_step(record: StepRecord, engine: Engine = "simpy", trace: bool = False) -> Step:
    """One step in steady state (parameters updated in the step before are gathered in this one).

    `trace` keeps every slice of the timeline. Where fully sharded blocks repeat the same work for many micro-batches
    the period is measured, and the rest extrapolated only if it no longer changes.
    """
    if not trace:
        steady = _steady(record, engine)
        if steady is not None:
            return steady
    program = build(record, detail=trace)
    return account(record, program, _solve(program, engine), trace=trace)


def build(record: StepRecord, *, detail: bool = False) -> Program:
    """The program of one step."""
    if record.plan.layer_schedule != "none" and len(record.stages) > 1:
        return recurrent.build(record, detail=detail)
    return Builder(record, detail=detail).build()


def _solve(program: Program, engine: Engine) -> Times:
    return streams.run(program) if engine == "simpy" else recursion.run(program)


def _steady(record: StepRecord, engine: Engine) -> Step | None:
    """A step of many equal micro-batches from the period of the first few; None where they have no steady period."""
    many = record.micro_batches
    if many <= _STEADY_PASSES + 1 or len(record.stages) > 1 or not _repeats(record):
        return None
    few = []
    for passes in range(_STEADY_PASSES - 2, _STEADY_PASSES + 1):
        part = record.with_micro_batches(passes)
        program = build(part)
        few.append(account(part, program, _solve(program, engine)))
    period, before = few[2].time_s - few[1].time_s, few[1].time_s - few[0].time_s
    if abs(period - before) > _STEADY * abs(few[2].time_s):
        return None
    return _extended(few[1], few[2], many - _STEADY_PASSES, record.model_flops, sum(s.events for s in few))


def _repeats(record: StepRecord) -> bool:
    """Whether micro-batches involve streams, so that simulating each is not cheap already."""
    return record.reduce_every_pass or any(b.gather for s in record.stages for c in s.chunks for b in c.blocks)


def _extended(before: Step, last: Step, passes: int, model_flops: float, events: int) -> Step:
    """`last` with `passes` more micro-batches, each adding what the last one added."""

    def more(name: str) -> float:
        a, b = float(getattr(before, name)), float(getattr(last, name))
        return b + passes * (b - a)

    communication: Mapping[str, float] = {
        axis: b + passes * (b - before.communication_s.get(axis, 0.0)) for axis, b in last.communication_s.items()
    }
    return replace(
        last,
        time_s=more("time_s"),
        compute_s=more("compute_s"),
        memory_bound_s=more("memory_bound_s"),
        overhead_s=more("overhead_s"),
        exposed_communication_s=more("exposed_communication_s"),
        bubble_s=more("bubble_s"),
        communication_s=communication,
        executed_flops=more("executed_flops"),
        model_flops=model_flops,
        events=events,
    )
