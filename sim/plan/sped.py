"""A step under algorithmic speed-ups: their effects on its record.

Effects act on different parts of one step, so their savings do not multiply: what is hidden behind something else saves
nothing, and what waits stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.plan.speedups import Effect
from sim.plan.step_record import Block, StepRecord, Transfer, Work


def sped(record: StepRecord, effects: Sequence[Effect]) -> StepRecord:
    """The record with all effects, one after the other."""
    for effect in effects:
        record = _apply(record, effect)
    return record


def _apply(record: StepRecord, effect: Effect) -> StepRecord:
    """Blocks count from the input on through the chunks of all stages; a block frozen in part keeps the rest."""
    stages = [list(stage.chunks) for stage in record.stages]
    depth = max((len(chunks) for chunks in stages), default=0)
    order = [(p, v) for v in range(depth) for p in range(len(stages)) if v < len(stages[p])]
    total = sum(block.count for p, v in order for block in stages[p][v].blocks)
    left = effect.frozen * total
    for p, v in order:
        chunk = stages[p][v]
        held = sum(block.count for block in chunk.blocks)
        blocks = []
        for block in chunk.blocks:
            share = min(1.0, left / block.count) if left > 0 else 0.0
            left -= block.count
            blocks.append(_block(block, effect, 1.0 - share))
        frozen = max(0.0, min(1.0, (left + held) / held)) if held else 0.0
        sent = effect.gradient_bytes * (1.0 - frozen)
        stages[p][v] = replace(chunk, blocks=tuple(blocks), reductions=tuple(_less(t, sent) for t in chunk.reductions))
    made = tuple(replace(stage, chunks=tuple(c)) for stage, c in zip(record.stages, stages, strict=True))
    sped_up = replace(record, stages=made)
    ratio = sped_up.executed_flops / record.executed_flops if record.executed_flops else 1.0
    return replace(sped_up, model_flops=record.model_flops * ratio)


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
