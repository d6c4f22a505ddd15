"""What a task of the timeline is made of: its layers, its ops and its bytes, read from the slot of the step record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from sim.engine.slots import Slot
from sim.plan.step_record import Block, Chunk, StepRecord, Transfer, Way, Work

About: TypeAlias = tuple[tuple[str, object], ...]

PLAIN: Final = ("host", "offloaded update", "sliced")  # a name says all there is to say


def about(record: StepRecord, slot: Slot) -> About:
    """Names and plain values of one slot, SI with the unit in the name."""
    part, number, _, way, first, last = slot
    if part in PLAIN:
        return ()
    if part in ("send", "sliced send", "tied", "norm"):
        return _of_transfer(getattr(record, part.removeprefix("sliced ")))
    stage = record.stages[number]
    if part in ("across", "mirror"):
        return _of_transfer(getattr(stage, part))
    if part == "update":
        return _of_works([stage.update])
    chunk = stage.chunks[slot.chunk]
    if part == "pass":
        return _of_pass(chunk, way, first, last)
    if part in ("gathers", "reductions"):
        return _of_transfer(getattr(chunk, part)[first])
    return (("layer", chunk.blocks[first].name), *_of_transfer(getattr(chunk.blocks[first], part)))


def _of_pass(chunk: Chunk, way: Way, first: int, last: int) -> About:
    """Blocks `first` to `last` of a pass, in the order it runs them; their numbers count from the chunk's beginning."""
    blocks = [block for block in chunk.blocks for _ in range(block.count)]
    places = range(len(blocks)) if way.forward else range(len(blocks) - 1, -1, -1)
    run = [(place, blocks[place]) for place in places][first:last]
    return (("layer", _layers(run)), *_of_works([block.work(way) for _, block in run]))


def _layers(run: Sequence[tuple[int, Block]]) -> str:
    """`block (place 3)`, `embedding to head (places 1 to 34)`."""
    (low, begin), (high, end) = min(run, key=lambda pair: pair[0]), max(run, key=lambda pair: pair[0])
    if low == high:
        return f"{begin.name} (place {low + 1})"
    names = begin.name if begin.name == end.name else f"{begin.name} to {end.name}"
    return f"{names} (places {low + 1} to {high + 1})"


def _of_works(works: Sequence[Work]) -> About:
    """Ops by name in the order they first run, with FLOPs and bytes of all of them."""
    ops = dict.fromkeys(op.name for work in works for op in work.ops)
    return (
        ("ops", list(ops)),
        ("executed_flops", sum(work.executed_flops for work in works)),
        ("dram_bytes", sum(work.dram_bytes for work in works)),
        ("sent_bytes", sum(work.sent_bytes for work in works)),
    )


def _of_transfer(transfer: Transfer | None) -> About:
    """The buffer of one rank and what one device sends for it."""
    if transfer is None:
        return ()
    return (("axis", transfer.axis), ("bytes", transfer.bytes), ("sent_bytes", transfer.sent_bytes))
