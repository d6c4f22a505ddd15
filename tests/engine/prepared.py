"""Small prepared steps for the engine's tests: durations chosen so that answers are known by hand."""

from __future__ import annotations

from collections.abc import Sequence

from sim.plan.framework import Framework
from sim.plan.records import PipelineSchedule, Plan
from sim.plan.step_record import Block, Chunk, Stage, StepRecord, Transfer, Way, Work


def chunk(forward_s: float, backward_s: float, stretch: float = 1.0) -> Chunk:
    block = Block("block", "block", 1, Work(forward_s, stretch=stretch), Work(backward_s, stretch=stretch))
    return Chunk((block,))


def pipeline(
    passes: Sequence[tuple[float, float]],
    micro_batches: int,
    chunks: int = 1,
    send_s: float = 0.0,
    schedule: str = "1f1b",
) -> StepRecord:
    """One stage per (forward, backward) pair of seconds; each stage's work split evenly over its chunks."""
    stages = tuple(Stage(1, tuple(chunk(f / chunks, b / chunks) for _ in range(chunks))) for f, b in passes)
    plan = Plan(1, micro_batches, pipeline=len(stages), virtual_stages=chunks, schedule=schedule)  # type: ignore[arg-type]
    return StepRecord(plan, stages, send=Transfer("activations", "pipeline", send_s, 1e6) if send_s else None)


def halved(
    stages: int,
    micro_batches: int,
    schedule: PipelineSchedule,
    forward_s: float,
    inputs_s: float,
    weights_s: float,
    both_s: float | None = None,
) -> StepRecord:
    """Equal stages whose backward pass comes in two parts; beside each other forward and backward take `both_s`."""
    plan = Plan(1, micro_batches, pipeline=stages, schedule=schedule)
    share = plan.directions / plan.chunks  # of a stage's work in a chunk, for each micro-batch that goes through it
    others = [(Way.INPUTS, Work(inputs_s * share)), (Way.WEIGHTS, Work(weights_s * share))]
    if both_s is not None:
        others += [(way, Work(both_s / 2)) for way in (Way.FORWARD_BESIDE, Way.BACKWARD_BESIDE)]
    backward = Work((inputs_s + weights_s) * share)
    block = Block("block", "block", 1, Work(forward_s * share), backward, others=tuple(others))
    return StepRecord(plan, (Stage(1, (Chunk((block,)),) * plan.chunks),) * stages)


def data_parallel(
    tensors: int, forward_s: float, backward_s: float, reduce_s: float, *, overlap: bool = True, stretch: float = 1.0
) -> StepRecord:
    """Equal blocks of one gradient tensor each, reduced one by one."""
    block = Block("block", "block", tensors, Work(forward_s, stretch=stretch), Work(backward_s, stretch=stretch))
    reductions = tuple(Transfer("reduce gradients", "data", reduce_s, 1e6, k + 1) for k in range(tensors))
    stage = Stage(1024, (Chunk((block,), (), reductions),))
    return StepRecord(
        Plan(1, 1024, data=1024, framework=Framework(overlap_gradients=overlap)), (stage,), steals=stretch > 1.0
    )


def fully_sharded(
    blocks: int, forward_s: float, backward_s: float, gather_s: float, reduce_s: float, micro_batches: int = 1
) -> StepRecord:
    block = Block(
        "block",
        "block",
        blocks,
        Work(forward_s),
        Work(backward_s),
        gather=Transfer("gather", "data", gather_s, 1e6),
        reduce=Transfer("reduce", "data", reduce_s, 1e6),
    )
    plan = Plan(1, 8 * micro_batches, data=8, sharding="full")
    return StepRecord(plan, (Stage(8, (Chunk((block,)),)),))
