"""The passes of all stages of a pipeline in one order, and what feeds each."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from sim.engine.schedules import Pass, previous, stage_order
from sim.errors import InputError, Problem
from sim.plan.records import PipelineSchedule
from sim.plan.step_record import Way


@lru_cache(maxsize=64)
def merged_order(stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[Pass, ...]:
    """The passes of all stages in one order in which each comes after what it needs (kept: depends on shape only).

    A forward pass beside a backward one waits for what both need, and the two follow each other.
    """
    orders = [stage_order(p, stages, micro_batches, chunks, schedule) for p in range(stages)]
    size = micro_batches * chunks  # passes of a stage each way; one done is a byte at (stage, way, chunk, micro-batch)
    done = bytearray(2 * stages * size)

    @cache
    def needs(stage: int, way: Way, chunk: int) -> tuple[int, int]:
        """Where the bytes of micro-batch 0 stand of the two passes that one waits for: its own forward, what feeds it
        (−1: none)."""
        forward, before = way & 1, previous(stage, way, chunk, stages, chunks, schedule)
        fed = -1 if before is None else (2 * before[0] + forward) * size + before[1] * micro_batches
        return -1 if forward else (2 * stage + 1) * size + chunk * micro_batches, fed

    def possible(item: Pass) -> bool:
        stage, way, chunk, micro_batch = item
        own, fed = needs(stage, way, chunk)
        return bool((own < 0 or done[own + micro_batch]) and (fed < 0 or done[fed + micro_batch]))

    heads = [0] * stages
    merged: list[Pass] = []
    ready = list(range(stages))
    while ready:
        stage = ready.pop()
        order, head = orders[stage], heads[stage]
        while head < len(order):
            after = head + (2 if order[head].way == Way.FORWARD_BESIDE else 1)
            together = order[head:after]
            if not all(map(possible, together)):
                break
            for item in together:
                done[(2 * stage + (item.way & 1)) * size + item.chunk * micro_batches + item.micro_batch] = 1
            merged += together
            head = after
        if head > heads[stage]:
            heads[stage] = head
            ready += (s for s in {(stage + 1) % stages, (stage - 1) % stages} if s != stage)
    if len(merged) < sum(map(len, orders)):
        rule = f"the interleaved schedule needs micro-batches in multiples of {stages} stages"
        raise InputError(Problem(rule, "plan.global_batch", f"{micro_batches} micro-batches"))
    return tuple(merged)


class Source(NamedTuple):
    """Of a pass in the merged order: the place of the pass on another stage that feeds it (−1: none), and whether its
    own result goes to another stage."""

    place: int
    sends: bool


@lru_cache(maxsize=64)
def sources(stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[Source, ...]:
    """For every pass of `merged_order` what feeds it."""
    order = merged_order(stages, micro_batches, chunks, schedule)
    place = {(p.stage, p.way & 1, p.chunk, p.micro_batch): k for k, p in enumerate(order) if p.way != Way.WEIGHTS}

    @cache
    def feeder(stage: int, way: Way, chunk: int) -> tuple[int, int, int] | None:
        """(stage, direction, chunk) on another stage that feeds a pass."""
        before = previous(stage, way, chunk, stages, chunks, schedule)
        return (before[0], way & 1, before[1]) if before is not None and before[0] != stage else None

    fed_by = []
    for stage, way, chunk, micro_batch in order:
        before = feeder(stage, way, chunk)
        fed_by.append(-1 if before is None else place[(*before, micro_batch)])
    feeding = set(fed_by)
    return tuple(Source(source, k in feeding) for k, source in enumerate(fed_by))
