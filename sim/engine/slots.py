"""Where the durations of a program stand in a step record.

Which tasks a step has and what they wait for follows from the shape of its record. A program is therefore emitted once
per shape, every task with the slot its duration comes from; another record of that shape only fills the slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from sim.engine.program import Program
from sim.plan.records import LayerSchedule
from sim.plan.step_record import Chunk, Stage, StepRecord, Transfer, Way, Work


class Segment(NamedTuple):
    """A stretch of kernels: seconds, how much longer beside a collective, and the collectives inside by axis."""

    seconds: float
    stretch: float = 1.0
    inside: tuple[tuple[str, float], ...] = ()


class Slot(NamedTuple):
    """A place in a record: blocks `first` to `last` of a pass through a chunk (backward: counted from its end), or the
    transfer of number `first`."""

    part: str
    stage: int = 0
    chunk: int = 0
    way: Way = Way.FORWARD
    first: int = 0
    last: int = 0


class Skeleton:
    """The tasks of every record of one shape, and the slot of each."""

    def __init__(self, program: Program, slots: dict[Slot, int], filled_by: list[int]) -> None:
        self.program = program
        self.slots = tuple(slots)
        self.filled_by = filled_by  # task → slot
        self._fill = itemgetter(*filled_by)  # of several: forward, backward and update at least

    def segments(self, record: StepRecord) -> list[Segment]:
        """What each slot holds in a record."""
        known: dict[tuple[object, ...], Segment] = {}  # equal stages are one object
        runs: dict[tuple[int, Way], list[Work]] = {}
        stages = [id(stage) for stage in record.stages]
        found = []
        for slot in self.slots:
            key = (stages[slot.stage], slot.part, *slot[2:])
            if key not in known:
                known[key] = segment(record, slot, runs)
            found.append(known[key])
        return found

    def filled(self, record: StepRecord, *, detail: bool) -> Program:
        """The program of a record; `detail`: with the collectives inside its kernels."""
        found = self.segments(record)
        seconds, stretch, _ = zip(*found, strict=True)
        program = self.program.timed(list(self._fill(seconds)), list(self._fill(stretch)))
        if detail:
            inside = ((task, found[slot].inside) for task, slot in enumerate(self.filled_by))
            program.inside = {task: axes for task, axes in inside if axes}
        return program


def segment(record: StepRecord, slot: Slot, runs: dict[tuple[int, Way], list[Work]]) -> Segment:
    """The duration a slot holds; `runs`: the works of the passes listed so far."""
    part, number, _, way, first, last = slot
    if part in ("send", "tied", "norm"):
        return _plain(getattr(record, part))
    stage = record.stages[number]
    if part in ("across", "mirror"):
        return _plain(getattr(stage, part))
    if part in ("update", "offloaded update"):
        return Segment(stage.update.seconds if part == "update" else stage.offload_s)
    chunk = stage.chunks[slot.chunk]
    if part == "pass":
        if (id(chunk), way) not in runs:
            runs[id(chunk), way] = list(works(chunk, way))
        return whole(runs[id(chunk), way][first:last])
    if part == "sliced":  # one of so many time steps
        return Segment((chunk.forward_s if way.forward else chunk.backward_s) / first)
    if part == "sliced send":
        return Segment(record.send_s / first)
    if part == "host":
        return Segment(sum(b.offload_s * b.count for b in chunk.blocks))
    if part in ("gathers", "reductions"):
        return _plain(getattr(chunk, part)[first])
    return _plain(getattr(chunk.blocks[first], part))


def _plain(transfer: Transfer) -> Segment:
    return Segment(transfer.seconds)


def works(chunk: Chunk, way: Way) -> Iterator[Work]:
    """Of every block, in the order a pass runs them."""
    for block in chunk.blocks if way.forward else reversed(chunk.blocks):
        work = block.work(way)
        for _ in range(block.count):
            yield work


def whole(run: Iterable[Work]) -> Segment:
    """Works run one after the other, as one."""
    seconds = slowed = 0.0
    inside: dict[str, float] = {}
    for work in run:
        seconds += work.seconds
        slowed += work.seconds * work.stretch
        for axis, part in work.communication:
            inside[axis] = inside.get(axis, 0.0) + part
    return Segment(seconds, slowed / seconds if seconds > 0.0 else 1.0, tuple(inside.items()))


class Shaped:
    """A record, equal to every other from which the same tasks follow."""

    __slots__ = ("_hash", "_shape", "record")

    def __init__(self, record: StepRecord) -> None:
        plan = record.plan
        known: dict[int, object] = {}
        for stage in record.stages:
            if id(stage) not in known:
                known[id(stage)] = _stage_shape(stage)
        sliced = plan.layer_schedule != LayerSchedule.NONE
        self.record = record
        self._shape = (
            tuple(known[id(stage)] for stage in record.stages),
            (record.micro_batches, plan.virtual_stages, plan.schedule, plan.layer_schedule),
            (
                plan.framework.overlap_gradients,
                plan.framework.overlap_gathers,
                plan.framework.backward_prefetch,
                plan.framework.overlap_sends,
                record.reduce_every_pass,
            ),
            (record.send_s > 0.0, record.tied is None, record.norm is None),
            (record.data_level, record.send_level, record.steals, record.time_steps if sliced else 1),
        )
        self._hash = hash(self._shape)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shaped) and self._shape == other._shape


def _stage_shape(stage: Stage) -> object:
    return (
        stage.offload_s > 0.0,
        _named(stage.across),
        _named(stage.mirror),
        tuple(_chunk_shape(chunk) for chunk in stage.chunks),
    )


def _chunk_shape(chunk: Chunk) -> object:
    blocks = tuple(
        (b.name, b.kind, b.count, b.regather, b.offload_s > 0.0, _named(b.gather), _named(b.reduce))
        for b in chunk.blocks
    )
    return blocks, tuple(map(_named, chunk.gathers)), tuple(map(_named, chunk.reductions))


def _named(transfer: Transfer | None) -> object:
    return transfer and (transfer.name, transfer.axis, transfer.place)
