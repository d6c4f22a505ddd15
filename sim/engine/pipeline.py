"""The passes of all stages of a pipeline in one order, and what feeds each."""

from __future__ import annotations

from functools import lru_cache
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

    def possible(item: Pass) -> bool:
        stage, way, chunk, micro_batch = item
        forward = way & 1
        if not forward and not done[(2 * stage + 1) * size + chunk * micro_batches + micro_batch]:
            return False
        before = previous(item, stages, chunks, schedule)
        if before is None:
            return True
        return bool(done[(2 * before[0] + forward) * size + before[1] * micro_batches + micro_batch])

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
    fed_by = []
    for item in order:
        before = previous(item, stages, chunks, schedule)
        elsewhere = before is not None and before[0] != item.stage
        fed_by.append(place[before[0], item.way & 1, before[1], item.micro_batch] if before and elsewhere else -1)
    feeding = set(fed_by)
    return tuple(Source(source, k in feeding) for k, source in enumerate(fed_by))
