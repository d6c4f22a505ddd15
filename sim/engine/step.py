"""One optimiser step, simulated: `simulate_step(record) -> Step`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sim.engine import recurrent, recursion
from sim.engine.accounting import account
from sim.engine.details import about
from sim.engine.program import Program, Times
from sim.engine.records import Step
from sim.engine.slots import Shaped, Skeleton
from sim.engine.stages import Builder
from sim.errors import InputError, Problem
from sim.plan.records import LayerSchedule, PipelineSchedule
from sim.plan.step_record import StepRecord

Engine = Literal["simpy", "recursion"]

MOST_TRACED: Final = 20_000
SETTLED: Final = 1e-12  # largest relative difference of two shifts that are the same


def simulate_step(record: StepRecord, engine: Engine = "simpy", trace: bool = False) -> Step:
    """One step in steady state (parameters updated in the step before are gathered in this one).

    `trace` keeps every slice of the timeline. Where micro-batches repeat, a few of them are simulated (see `_steady`).
    """
    if not trace:
        steady = _steady(record, engine)
        if steady is not None:
            return steady
    if trace and (passes := 2 * record.micro_batches * len(record.stages)) > MOST_TRACED:
        rule = f"a trace holds at most {MOST_TRACED:,} passes of micro-batches, this step has {passes:,}"
        raise InputError(Problem(rule, "plan.global_batch", hint="a smaller batch shows the same pattern"))
    program = build(record, detail=trace)
    return account(record, program, _solve(program, engine), trace=trace)


def build(record: StepRecord, *, detail: bool = False) -> Program:
    """The program of one step."""
    shape = skeleton(Shaped(record), detail)
    program = shape.filled(record, detail=detail)
    if detail:
        found = [about(record, slot) for slot in shape.slots]
        program.about = [found[slot] for slot in shape.filled_by]
    return program


@lru_cache(maxsize=16)
def skeleton(shaped: Shaped, detail: bool) -> Skeleton:
    """The tasks of a step of this shape."""
    record = shaped.record
    if record.plan.layer_schedule != LayerSchedule.NONE and len(record.stages) > 1:
        return recurrent.build(record, detail=detail)
    return Builder(record, detail=detail).build()


def _solve(program: Program, engine: Engine) -> Times:
    if engine != "simpy":
        return recursion.run(program)
    from sim.engine import streams  # noqa: PLC0415  (start-up time: SimPy only where it runs)

    return streams.run(program)


def _steady(record: StepRecord, engine: Engine) -> Step | None:
    """A step of many micro-batches from two with few; None where they have no steady state.

    The passes of a stage come in an order that begins alike however many there are. So if every stage ends its last
    passes, as far back as its neighbours can be ahead of it, later by the same λ with q micro-batches more, then the
    state after n + q micro-batches is that after n, λ later, and every q more add λ again.
    """
    many, stages, plan = record.micro_batches, len(record.stages), record.plan
    period = stages if plan.virtual_stages > 1 else plan.directions
    if plan.schedule == PipelineSchedule.GPIPE and many > 1:
        return None  # all passes forward first: the order begins with as many as there are
    few = _multiple(3 * stages + 3, period)
    events = 0
    while few + period < many / 1.5:
        short, long = (_timed(record.with_micro_batches(n), engine) for n in (few, few + period))
        events += short.times.events + long.times.events
        if _settled(short, long, (2 * stages + 1) / period, few / period):
            before, last = (account(timed.record, timed.program, timed.times) for timed in (short, long))
            return _extended(before, last, (many - few - period) // period, record.model_flops, events)
        few = _multiple(4 * few, period)
    return None


def _multiple(passes: int, period: int) -> int:
    return -(-passes // period) * period


class _Timed(NamedTuple):
    record: StepRecord
    program: Program
    times: Times


def _timed(record: StepRecord, engine: Engine) -> _Timed:
    program = build(record)
    return _Timed(record, program, _solve(program, engine))


def _settled(short: _Timed, long: _Timed, window: float, periods: float) -> bool:
    """Whether the tasks of the last `window` of `periods` ended later by one λ on all streams of the `long` run.

    Collectives may fall behind the kernels ever further (nothing but the update waits for them), but not catch up; then
    the slowest of them must set the end of the step already.
    """
    tolerance = SETTLED * max(long.times.end)
    kernels: list[float] = []
    collectives: list[float] = []
    for track, few, more in zip(short.program.tracks, short.program.queues, long.program.queues, strict=True):
        added = len(more) - len(few)
        if not added:
            continue  # once in a step
        once = len(few) - round(added * periods)
        last = min(len(few), round(added * window) + once)
        moved = [long.times.end[b] - short.times.end[a] for a, b in zip(few[-last:], more[-last:], strict=True)]
        if max(moved) - min(moved) > tolerance:
            return False
        (collectives if track.kind == "stream" else kernels).append(moved[-1])
    together = max(kernels) - min(kernels) <= tolerance
    behind = min(collectives, default=kernels[0]) >= kernels[0] - tolerance
    later = max(long.times.end) - max(short.times.end)
    return together and behind and abs(later - max(kernels + collectives)) <= tolerance


def _extended(before: Step, last: Step, periods: int, model_flops: float, events: int) -> Step:
    """`last` with `periods` more, each adding what the last one added."""

    def more(name: str) -> float:
        a, b = float(getattr(before, name)), float(getattr(last, name))
        return b + periods * (b - a)

    communication: Mapping[str, float] = {
        axis: b + periods * (b - before.communication_s.get(axis, 0.0)) for axis, b in last.communication_s.items()
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
