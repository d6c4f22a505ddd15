"""Pipeline schedules: in which order a stage runs the forward and backward passes of its micro-batches.

1F1B (PipeDream-Flush; Narayanan et al. 2021, §2.2): stage p of P runs min(P−p−1, m) forward passes ahead, then
alternates. Interleaved (same, §2.2.2): each stage holds v chunks of the model, micro-batches advance in groups of P
chunk by chunk. GPipe (Huang et al. 2019): all forward, then all backward.
With equal passes of f and b seconds the step takes (m + (P−1)/v)·(f+b): the bubble is (P−1)/(m·v) of the useful time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sim.errors import InputError, Problem
from sim.plan.records import PipelineSchedule


class Pass(NamedTuple):
    """One pass of one micro-batch through one chunk of one stage."""

    stage: int
    forward: bool
    chunk: int
    micro_batch: int

    def __str__(self) -> str:
        chunk = f" chunk {self.chunk}" if self.chunk else ""
        return f"{'forward' if self.forward else 'backward'} {self.micro_batch}{chunk}"


def stage_order(stage: int, stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> list[Pass]:
    """The passes of one stage, in the order it runs them."""
    if schedule == PipelineSchedule.GPIPE:
        return _all_forward_first(stage, micro_batches, chunks)
    if chunks > 1:
        return _interleaved(stage, stages, micro_batches, chunks)
    ahead = min(stages - stage - 1, micro_batches)
    forward = [Pass(stage, True, 0, i) for i in range(micro_batches)]
    backward = [Pass(stage, False, 0, i) for i in range(micro_batches)]
    return _alternate(forward, backward, ahead)


def _all_forward_first(stage: int, micro_batches: int, chunks: int) -> list[Pass]:
    forward = [Pass(stage, True, c, i) for c in range(chunks) for i in range(micro_batches)]
    backward = [Pass(stage, False, c, i) for c in reversed(range(chunks)) for i in range(micro_batches)]
    return forward + backward


def _interleaved(stage: int, stages: int, micro_batches: int, chunks: int) -> list[Pass]:
    total = micro_batches * chunks
    forward, backward = [], []
    for k in range(total):
        group, place = divmod(k, stages * chunks)
        chunk, inside = divmod(place, stages)
        micro_batch = group * stages + inside
        forward.append(Pass(stage, True, chunk, micro_batch))
        backward.append(Pass(stage, False, chunks - 1 - chunk, micro_batch))
    ahead = min((stages - stage - 1) * 2 + (chunks - 1) * stages, total)
    return _alternate(forward, backward, ahead)


def _alternate(forward: list[Pass], backward: list[Pass], ahead: int) -> list[Pass]:
    order = forward[:ahead]
    for i in range(len(forward) - ahead):
        order += (forward[ahead + i], backward[i])
    return order + backward[len(forward) - ahead :]


def previous(item: Pass, stages: int, chunks: int) -> Pass | None:
    """The pass whose output this one needs from another place in the pipeline; None at its ends."""
    stage, forward, chunk, micro_batch = item
    if forward:
        if stage > 0:
            return Pass(stage - 1, True, chunk, micro_batch)
        return Pass(stages - 1, True, chunk - 1, micro_batch) if chunk > 0 else None
    if stage < stages - 1:
        return Pass(stage + 1, False, chunk, micro_batch)
    return Pass(0, False, chunk + 1, micro_batch) if chunk < chunks - 1 else None


@lru_cache(maxsize=64)
def merged_order(stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[Pass, ...]:
    """The passes of all stages in one order in which each comes after what it needs (kept: depends on shape only)."""
    orders = [stage_order(p, stages, micro_batches, chunks, schedule) for p in range(stages)]
    heads = [0] * stages
    size = (
        micro_batches * chunks
    )  # passes of a stage each way; a pass done is a byte at (stage, way, chunk, micro-batch)
    done = bytearray(2 * stages * size)
    merged: list[Pass] = []
    ready = list(range(stages))
    while ready:
        stage = ready.pop()
        order, head = orders[stage], heads[stage]
        while head < len(order):
            item = order[head]
            _, forward, chunk, micro_batch = item
            here = (2 * stage + forward) * size + chunk * micro_batches + micro_batch
            before = previous(item, stages, chunks)
            if before is not None:
                there = (2 * before.stage + before.forward) * size + before.chunk * micro_batches + micro_batch
                if not done[there]:
                    break
            if not (forward or done[here + size]):
                break
            done[here] = 1
            merged.append(item)
            head += 1
        if head > heads[stage]:
            heads[stage] = head
            ready += (s for s in {(stage + 1) % stages, (stage - 1) % stages} if s != stage)
    if len(merged) < 2 * stages * micro_batches * chunks:
        rule = f"the interleaved schedule needs micro-batches in multiples of {stages} stages"
        raise InputError(Problem(rule, "plan.global_batch", f"{micro_batches} micro-batches"))
    return tuple(merged)


@lru_cache(maxsize=64)
def sources(stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[tuple[int, bool], ...]:
    """For every pass of `merged_order`: the place in it of the pass that feeds it (−1: none), and whether it feeds."""
    order = merged_order(stages, micro_batches, chunks, schedule)
    place = {item: k for k, item in enumerate(order)}
    before = (previous(item, stages, chunks) for item in order)
    fed_by = [-1 if item is None else place[item] for item in before]
    feeding = set(fed_by)
    return tuple((source, k in feeding) for k, source in enumerate(fed_by))


def in_flight(stage: int, stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[int, ...]:
    """Most micro-batches of each chunk whose activations a stage holds at once, at the fullest moment of the sum."""
    held = [0] * chunks
    fullest: tuple[int, ...] = tuple(held)
    for item in stage_order(stage, stages, micro_batches, chunks, schedule):
        held[item.chunk] += 1 if item.forward else -1
        if sum(held) > sum(fullest):
            fullest = tuple(held)
    return fullest
