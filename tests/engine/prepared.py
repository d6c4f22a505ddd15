"""Small prepared steps for the engine's tests: durations chosen so that answers are known by hand."""

from __future__ import annotations

from collections.abc import Sequence

from sim.plan.costs import Block, Chunk, Message, Prepared, Stage, Work


def chunk(forward_s: float, backward_s: float, stretch: float = 1.0) -> Chunk:
    block = Block("block", "block", 1, Work(forward_s, stretch=stretch), Work(backward_s, stretch=stretch))
    return Chunk((block,))


def pipeline(
    passes: Sequence[tuple[float, float]],
    micro_batches: int,
    chunks: int = 1,
    send_s: float = 0.0,
    schedule: str = "1f1b",
) -> Prepared:
    """One stage per (forward, backward) pair of seconds; each stage's work split evenly over its chunks."""
    stages = tuple(Stage(1, tuple(chunk(f / chunks, b / chunks) for _ in range(chunks))) for f, b in passes)
    return Prepared(stages, micro_batches, 1, 1, schedule=schedule, send_s=send_s)  # type: ignore[arg-type]


def data_parallel(
    tensors: int, forward_s: float, backward_s: float, reduce_s: float, *, overlap: bool = True, stretch: float = 1.0
) -> Prepared:
    """Equal blocks of one gradient tensor each, reduced one by one."""
    block = Block("block", "block", tensors, Work(forward_s, stretch=stretch), Work(backward_s, stretch=stretch))
    reductions = tuple(Message("reduce gradients", "data", reduce_s, 1e6, k + 1) for k in range(tensors))
    stage = Stage(1024, (Chunk((block,), (), reductions),))
    return Prepared((stage,), 1, 1024, 1, overlap_gradients=overlap, steals=stretch > 1.0)


def fully_sharded(
    blocks: int, forward_s: float, backward_s: float, gather_s: float, reduce_s: float, micro_batches: int = 1
) -> Prepared:
    block = Block(
        "block",
        "block",
        blocks,
        Work(forward_s),
        Work(backward_s),
        gather=Message("gather", "data", gather_s, 1e6),
        reduce=Message("reduce", "data", reduce_s, 1e6),
    )
    return Prepared((Stage(8, (Chunk((block,)),)),), micro_batches, 8, 1, reduce_every_pass=True)
