"""Where the time of a step went, on its critical stage: compute, exposed communication, bubble.

The critical stage is the one that computes longest. Every gap on its compute stream belongs to what ended it:
a collective or a message in flight is exposed communication, waiting for another stage is bubble.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sim.engine.program import Program, Times
from sim.engine.records import Slice, Step
from sim.plan.step_record import Stage, StepRecord, Work

ROUNDING: Final = 1e-12  # stages that differ by less compute equally long


def account(record: StepRecord, program: Program, times: Times, trace: bool = False) -> Step:
    """The step's parts; they add up to its time exactly."""
    total = max(times.end, default=0.0)
    busy = [_busy(stage, record.passes) for stage in record.stages]
    critical = next(p for p, seconds in enumerate(busy) if seconds >= max(busy) * (1.0 - ROUNDING))
    stage = record.stages[critical]
    passes = record.passes
    works = [(work, count * passes) for work, count in _works(stage)] + [(stage.update, 1)]
    compute = sum((w.seconds - w.communication_s) * n for w, n in works)
    waiting = _bubble(program, times, critical, total)
    return Step(
        time_s=total,
        compute_s=compute,
        memory_bound_s=sum(w.memory_bound_s * n for w, n in works),
        overhead_s=sum(w.overhead_s * n for w, n in works),
        exposed_communication_s=max(0.0, total - compute - waiting),
        bubble_s=waiting,
        input_stall_s=0.0,
        update_s=stage.update.seconds,
        communication_s=_communication(program, critical, works),
        executed_flops=sum(s.devices * sum(w.executed_flops * n * passes for w, n in _works(s)) for s in record.stages),
        model_flops=record.model_flops,
        events=times.events,
        slices=_slices(program, times) if trace else (),
    )


def _works(stage: Stage) -> Iterator[tuple[Work, int]]:
    for chunk in stage.chunks:
        for block in chunk.blocks:
            yield block.forward, block.count
            yield block.backward, block.count


def _busy(stage: Stage, passes: int) -> float:
    return passes * stage.pass_s + stage.update.seconds


def _communication(program: Program, stage: int, works: list[tuple[Work, int]]) -> dict[str, float]:
    """Seconds of collectives and messages of a stage by axis, exposed or not."""
    seconds: dict[str, float] = {}
    for work, count in works:
        for axis, part in work.communication:
            seconds[axis] = seconds.get(axis, 0.0) + part * count
    for track, queue in zip(program.tracks, program.queues, strict=True):
        if track.domain == stage and track.kind != "compute":
            axis = "pipeline" if track.kind == "link" else track.axis
            seconds[axis] = seconds.get(axis, 0.0) + sum(program.seconds[task] for task in queue)
    return seconds


def _bubble(program: Program, times: Times, stage: int, total: float) -> float:
    """Gaps of the stage's compute stream spent waiting for other stages, less collectives and messages in flight."""
    bubble = 0.0
    free = 0.0
    before = program.shape.before
    for task in program.queues[stage]:
        start = times.start[task]
        if start > free:
            bubble += _waited(program, times, before, task, free)
        free = times.end[task]
    return bubble + (_tail(program, times, stage, free, total) if free < total else 0.0)


def _waited(program: Program, times: Times, before: list[int], task: int, free: float) -> float:
    """The part of the gap before `task` that is neither collective nor message: follow back what each waited for."""
    gap = 0.0
    at, cause = times.start[task], task
    while at > free:
        candidates = [*program.after[cause], *([before[cause]] if before[cause] >= 0 else [])]
        cause = max(candidates, key=lambda j: times.end[j], default=-1)
        if cause < 0 or program.tracks[program.track[cause]].kind == "compute":
            return gap + (at - free)
        begin = max(free, times.start[cause])
        gap += max(0.0, at - max(times.end[cause], free))  # nothing known ran: it waited
        at = begin
    return gap


def _tail(program: Program, times: Times, stage: int, free: float, total: float) -> float:
    """After its last kernel a stage waits for its own gathers (communication) or for other stages (bubble)."""
    own = max(
        (
            times.end[queue[-1]]
            for track, queue in zip(program.tracks, program.queues, strict=True)
            if queue and track.domain == stage and track.kind == "stream"
        ),
        default=free,
    )
    return max(0.0, total - max(free, own))


def _slices(program: Program, times: Times) -> tuple[Slice, ...]:
    """Every task on its track, and the collectives inside kernels on a track of their axis (at their pass's end)."""
    slices = []
    for task, (track, name, start, end) in enumerate(
        zip(program.track, program.name, times.start, times.end, strict=True)
    ):
        about = program.about[task] if program.about else ()
        slices.append(Slice(program.tracks[track].name, str(name), start, end, about))
        for axis, seconds in program.inside.get(task, ()):
            inner = f"stage {program.tracks[track].domain} / {axis} (inside)"
            slices.append(Slice(inner, str(name), max(start, end - seconds), end))
    return tuple(slices)
