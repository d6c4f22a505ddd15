"""A step under algorithmic speed-ups: their effects on its record.

Effects act on different parts of one step, so their savings do not multiply: what is hidden behind something else saves
nothing, and what waits stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.device import time_ops
from sim.device.records import Accelerator
from sim.ops import Gemm, Op
from sim.plan.speedups import Effect
from sim.plan.step_record import Block, Chunk, StepRecord, Transfer, Work


def sped(record: StepRecord, effects: Sequence[Effect], chip: Accelerator) -> StepRecord:
    """The record with all effects, one after the other; `chip` prices products that change."""
    for effect in effects:
        if effect.rank < 1.0:
            record = _factored(record, effect.rank, chip)
        record = _apply(record, effect)
    return record


def _factored(record: StepRecord, rank: float, chip: Accelerator) -> StepRecord:
    """The record with every product of a block as two thin ones, and gradients of the factors on the wire.

    A product of weights n × k costs r·(n + k) instead of n·k, r = rank·min(n, k).  Weights outside the blocks stay, and
    so does the update (a little too dear).
    """

    def chunk_of(chunk: Chunk) -> Chunk:
        blocks = tuple(_thin(block, rank, chip) for block in chunk.blocks)
        before, after = (sum(_weights(block) for block in each) for each in (chunk.blocks, blocks))
        sent = after / before if before else 1.0
        return replace(chunk, blocks=blocks, reductions=tuple(_less(t, sent) for t in chunk.reductions))

    stages = tuple(replace(s, chunks=tuple(chunk_of(chunk) for chunk in s.chunks)) for s in record.stages)
    thin = replace(record, stages=stages)
    return replace(thin, model_flops=record.model_flops * thin.executed_flops / record.executed_flops)


def _thin(block: Block, rank: float, chip: Accelerator) -> Block:
    if block.kind != "block":
        return block

    def work_of(work: Work) -> Work:
        ops = tuple(each for op in work.ops for each in _factors(op, rank))
        before, after = time_ops(work.ops, chip), time_ops(ops, chip)
        return replace(
            work,
            ops=ops,
            recomputed=len([each for op in work.ops[: work.recomputed] for each in _factors(op, rank)]),
            seconds=work.seconds + after.seconds - before.seconds,
            memory_bound_s=max(0.0, work.memory_bound_s + after.memory_bound_s - before.memory_bound_s),
            overhead_s=max(0.0, work.overhead_s + after.overhead_s - before.overhead_s),
            executed_flops=work.executed_flops + after.executed_flops - before.executed_flops,
            dram_bytes=work.dram_bytes + after.dram_bytes - before.dram_bytes,
        )

    thin = replace(block, forward=work_of(block.forward), backward=work_of(block.backward))
    sent = _weights(thin) / _weights(block) if _weights(block) else 1.0
    return replace(thin, reduce=_less(block.reduce, sent) if block.reduce else None)


def _factors(op: Op, rank: float) -> tuple[Op, ...]:
    """The two products in place of one of weights: samples are `k` of a weight gradient, else `m`."""
    if not isinstance(op, Gemm) or op.batch > 1:
        return (op,)
    sides = (op.m, op.n) if op.transposed else (op.n, op.k)
    r = max(1, round(rank * min(sides)))
    if r * sum(sides) >= sides[0] * sides[1]:
        return (op,)
    return (replace(op, n=r), replace(op, m=r)) if op.transposed else (replace(op, n=r), replace(op, k=r))


def _weights(block: Block) -> float:
    """Elements of the weights its products read."""
    products = (op for op in block.forward.ops if isinstance(op, Gemm) and op.batch == 1)
    return float(block.count * sum(op.n * op.k * op.count for op in products))


def _apply(record: StepRecord, effect: Effect) -> StepRecord:
    """Blocks count from the input on through the chunks of all stages; one frozen part of the run keeps the rest."""
    stages = [list(stage.chunks) for stage in record.stages]
    depth = max((len(chunks) for chunks in stages), default=0)
    order = [(p, v) for v in range(depth) for p in range(len(stages)) if v < len(stages[p])]
    total = sum(block.count for p, v in order for block in stages[p][v].blocks)
    passed = 0
    for p, v in order:
        chunk, begin = stages[p][v], passed
        blocks = []
        for block in chunk.blocks:
            learning = 1.0 - frozen_share(effect.frozen, passed / total, (passed + block.count) / total)
            passed += block.count
            blocks.append(_block(block, effect, learning))
        learning = 1.0 - frozen_share(effect.frozen, begin / total, passed / total) if passed > begin else 1.0
        sent = effect.gradient_bytes * learning
        stages[p][v] = replace(chunk, blocks=tuple(blocks), reductions=tuple(_less(t, sent) for t in chunk.reductions))
    made = tuple(replace(stage, chunks=tuple(c)) for stage, c in zip(record.stages, stages, strict=True))
    sped_up = replace(record, stages=made)
    ratio = sped_up.executed_flops / record.executed_flops if record.executed_flops else 1.0
    return replace(sped_up, model_flops=record.model_flops * ratio)


def frozen_share(mean: float, begin: float, end: float) -> float:
    """Share of the run for which the blocks of these relative depths (0: input) are frozen, where the depth that is
    frozen grows linearly to all of them at its end and is `mean` on average (FreezeOut, arXiv 1706.04983; Composer).

    At depth x it is min(1, slope·(1 - x)): slope 2·mean up to a half, from where on it begins at once, 1/(2 - 2·mean).
    """
    if mean <= 0.0:
        return 0.0
    slope = 2.0 * mean if mean <= 0.5 else 0.5 / (1.0 - mean)
    whole = min(max(1.0 - 1.0 / slope, begin), end)  # up to here frozen from the first step on
    return (whole - begin + slope * ((1.0 - whole) ** 2 - (1.0 - end) ** 2) / 2.0) / (end - begin)


def _block(block: Block, effect: Effect, learning: float) -> Block:
    reduce = _less(block.reduce, effect.gradient_bytes * learning) if block.reduce else None
    backward = effect.backward * learning
    others = ((way, _scaled(work, effect.forward if way.forward else backward)) for way, work in block.others)
    return replace(
        block,
        forward=_scaled(block.forward, effect.forward),
        backward=_scaled(block.backward, backward),
        others=tuple(others),
        reduce=reduce,
    )


def _scaled(work: Work, factor: float) -> Work:
    """The same work done so many times as often, on average."""
    if factor == 1.0:
        return work
    return replace(
        work,
        seconds=work.seconds * factor,
        memory_bound_s=work.memory_bound_s * factor,
        overhead_s=work.overhead_s * factor,
        communication_s=work.communication_s * factor,
        communication=tuple((axis, seconds * factor) for axis, seconds in work.communication),
        executed_flops=work.executed_flops * factor,
        dram_bytes=work.dram_bytes * factor,
        sent_bytes=work.sent_bytes * factor,
        share=work.share * factor,
    )


def _less(transfer: Transfer, factor: float) -> Transfer:
    """A transfer of fewer bytes; its fixed latency is scaled too, which is a little too kind."""
    if factor == 1.0:
        return transfer
    return replace(
        transfer,
        seconds=transfer.seconds * factor,
        bytes=transfer.bytes * factor,
        sent_bytes=transfer.sent_bytes * factor,
    )
