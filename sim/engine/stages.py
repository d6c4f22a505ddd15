"""From the step record to a program: the passes of every stage in schedule order, and the collectives around them.

Streams follow what training frameworks do. Buckets of gradients are reduced when the last backward pass has filled
them; parameters updated in the step before are gathered ahead of the first forward pass; fully sharded blocks are
gathered one block ahead (two in memory) and their gradients scattered right after their backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sim.engine.pipeline import Pass, merged_order, sources
from sim.engine.program import Program, Track
from sim.plan.framework import BackwardPrefetch
from sim.plan.step_record import Block, Chunk, StepRecord, Transfer, Work


class Segment(NamedTuple):
    """A stretch of kernels: seconds, how much longer beside a collective, and the collectives inside by axis."""

    seconds: float
    stretch: float = 1.0
    inside: tuple[tuple[str, float], ...] = ()


class _Kind(NamedTuple):
    """What matters of a chunk for every pass."""

    chunk: Chunk
    forward: Segment
    backward: Segment
    sharded: bool
    gathers: bool
    reductions: bool
    offload_s: float

    @classmethod
    def of(cls, chunk: Chunk) -> _Kind:
        return cls(
            chunk,
            _whole(_works(chunk, True)),
            _whole(_works(chunk, False)),
            any(b.gather or b.reduce for b in chunk.blocks),
            bool(chunk.gathers),
            bool(chunk.reductions),
            sum(b.offload_s * b.count for b in chunk.blocks),
        )


class Builder:
    """Emits the tasks of one step; `last[stage]` is what the stage's next task on the compute stream waits for."""

    def __init__(self, record: StepRecord, *, detail: bool = False) -> None:
        self.record = record
        self.detail = detail  # a task for every block, for the trace
        self.program = Program()
        self.compute = [
            self.program.add_track(Track(f"stage {p} / compute", "compute", p)) for p in range(len(record.stages))
        ]
        self.tracks: dict[tuple[int, str], int] = {}
        self.recent = [-1] * len(record.stages)  # last compute task of each stage
        self.blocking: list[tuple[int, ...]] = [()] * len(record.stages)  # what the next pass has to wait for
        self.pending: list[list[int]] = [[] for _ in record.stages]  # collectives the update waits for
        self.kinds = [[_Kind.of(chunk) for chunk in stage.chunks] for stage in record.stages]

    def build(self) -> Program:
        """All passes in schedule order, then what follows them."""
        p = self.record
        shape = (len(p.stages), p.micro_batches, p.plan.virtual_stages, p.plan.schedule)
        ends: list[int] = []  # the task that brings each pass's output to where it is needed
        for item, (source, feeds) in zip(merged_order(*shape), sources(*shape), strict=True):
            arrival = () if source < 0 else (ends[source],)
            self.emit(item, arrival)
            ends.append(self._send(item) if feeds else -1)
        finish_step(self)
        return self.program

    def emit(self, item: Pass, after: tuple[int, ...]) -> None:
        """One pass: what it waits for, its kernels, its collectives."""
        stage, forward, number, micro_batch = item
        after += self.blocking[stage]
        self.blocking[stage] = ()
        kind = self.kinds[stage][number]
        last = self.record.reduce_every_pass or micro_batch == self.record.micro_batches - 1
        if kind.sharded:
            self._sharded(item, kind.chunk, after)
        elif forward and (self.detail or (kind.gathers and micro_batch == 0)):
            self._forward(item, kind.chunk, after)
        elif not forward and (self.detail or (kind.reductions and last)):
            self._backward(item, kind.chunk, after)
        else:
            seconds, stretch, _ = kind.forward if forward else kind.backward
            self.recent[stage] = self.program.add(self.compute[stage], item, seconds, after, stretch)
        if kind.offload_s > 0.0:
            track = self.track_of(stage, "host", "stream")
            self.blocking[stage] += (self.program.add(track, item, kind.offload_s, after),)

    def _send(self, item: Pass) -> int:
        """The message to the next stage, or the pass itself where no message is needed."""
        done = self.recent[item.stage]
        if self.record.send_s <= 0.0 or len(self.record.stages) == 1:
            return done
        track = self.track_of(item.stage, "send forward" if item.forward else "send backward", "link")
        sent = self.program.add(track, item, self.record.send_s, (done,))
        if not self.record.plan.framework.overlap_sends:
            self.blocking[item.stage] += (sent,)
        return sent

    def _forward(self, item: Pass, chunk: Chunk, after: tuple[int, ...]) -> None:
        gathers = chunk.gathers if item.micro_batch == 0 and self.record.plan.framework.overlap_gathers else ()
        cuts = [g.place for g in gathers if g.place > 0]
        waits = [self.communicate(item.stage, g, ()) for g in gathers]
        due: dict[int, tuple[int, ...]] = {}
        for wait, gather in zip(waits, gathers, strict=True):
            due[gather.place] = (*due.get(gather.place, ()), wait)
        begins = [0, *sorted(set(cuts))]  # blocks done when each segment begins
        for k, segment in enumerate(self._segments(chunk, True, cuts)):
            waiting = due.get(begins[k], ()) if k < len(begins) else ()
            self.run_kernels(item.stage, item, segment, after + waiting)
            after = ()

    def _backward(self, item: Pass, chunk: Chunk, after: tuple[int, ...]) -> None:
        p = self.record
        final = p.reduce_every_pass or item.micro_batch == p.micro_batches - 1
        reductions = chunk.reductions if final else ()
        overlapped = reductions if p.plan.framework.overlap_gradients else ()
        depth = sum(b.count for b in chunk.blocks)
        ready: dict[int, list[Transfer]] = {}
        for reduction in overlapped:
            ready.setdefault(min(reduction.place, depth), []).append(reduction)
        inner = range(1, depth) if self.detail else sorted(place for place in ready if place < depth)
        ends = [*inner, depth]  # blocks done when each segment ends
        for k, segment in enumerate(self._segments(chunk, False, ends[:-1])):
            done = self.run_kernels(item.stage, item, segment, after)
            after = ()
            self.pending[item.stage] += [self.communicate(item.stage, r, (done,)) for r in ready.get(ends[k], ())]
        if not p.plan.framework.overlap_gradients and p.reduce_every_pass:
            self._block_on(item.stage, reductions)

    def _block_on(self, stage: int, reductions: Sequence[Transfer]) -> None:
        tasks = tuple(self.communicate(stage, r, (self.recent[stage],)) for r in reductions)
        self.pending[stage] += tasks
        self.blocking[stage] += tasks[-1:]

    def _sharded(self, item: Pass, chunk: Chunk, after: tuple[int, ...]) -> None:
        """Blocks whose parameters live on all ranks: gather one block ahead, scatter gradients behind."""
        p, stage = self.record, item.stage
        units = [block for block in chunk.blocks for _ in range(block.count)]
        if not item.forward:
            units.reverse()
        gathered = self._gather(stage, units[0], item, after)
        when = p.plan.framework.gathers_when(item.forward)
        for k, unit in enumerate(units):
            wait, more = gathered, k + 1 < len(units)
            if more and when == BackwardPrefetch.PRE:
                gathered = self._gather(stage, units[k + 1], item, ())
            work = unit.forward if item.forward else unit.backward
            done = self.run_kernels(stage, f"{item} {unit.name}", _whole((work,)), after + wait)
            after = ()
            if more and when == BackwardPrefetch.POST:
                gathered = self._gather(stage, units[k + 1], item, ())
            if not item.forward and unit.reduce is not None:
                task = self.communicate(stage, unit.reduce, (done,))
                self.pending[stage].append(task)
                after = () if p.plan.framework.overlap_gradients else (task,)
            if more and when == BackwardPrefetch.NONE:
                gathered = self._gather(stage, units[k + 1], item, after)
        self.blocking[stage] += after

    def _gather(self, stage: int, unit: Block, item: Pass, after: tuple[int, ...]) -> tuple[int, ...]:
        """The gather of a block waits for the memory of the block before the running one."""
        if unit.gather is None or not (item.forward or unit.regather):
            return ()
        recent = () if self.recent[stage] < 0 else (self.recent[stage],)
        return (self.communicate(stage, unit.gather, recent + after),)

    def _segments(self, chunk: Chunk, forward: bool, cuts: Sequence[int]) -> list[Segment]:
        """The pass cut after the given numbers of blocks (and after every block where detail is asked for)."""
        works = list(_works(chunk, forward))
        inner = set(range(1, len(works))) if self.detail and not cuts else {c for c in cuts if 0 < c < len(works)}
        bounds = [0, *sorted(inner), len(works)]
        segments = []
        for low, high in pairwise(bounds):
            segments.append(_whole(works[low:high]))
        return segments

    def run_kernels(self, stage: int, name: object, segment: Segment, after: tuple[int, ...]) -> int:
        """A task on the stage's compute stream."""
        task = self.program.add(self.compute[stage], name, segment.seconds, after, segment.stretch)
        self.recent[stage] = task
        if self.detail and segment.inside:
            self.program.inside[task] = segment.inside
        return task

    def communicate(self, stage: int, message: Transfer, after: tuple[int, ...]) -> int:
        """A collective on the stage's stream of its axis."""
        p = self.record
        track = self.track_of(stage, message.axis, "stream", p.data_level, p.steals)
        return self.program.add(track, message.name, message.seconds, after)

    def track_of(self, stage: int, name: str, kind: str, level: int = -1, steals: bool = False) -> int:
        """The stage's track of that name, made at its first use."""
        key = (stage, name)
        if key not in self.tracks:
            level = self.record.send_level if kind == "link" else level
            link = Track(f"stage {stage} / {name}", "link", stage, name, level)
            stream = Track(f"stage {stage} / {name}", "stream", stage, name, level, steals)
            self.tracks[key] = self.program.add_track(link if kind == "link" else stream)
        return self.tracks[key]


def _works(chunk: Chunk, forward: bool) -> Iterator[Work]:
    for block in chunk.blocks if forward else reversed(chunk.blocks):
        for _ in range(block.count):
            yield block.forward if forward else block.backward


def _whole(works: Iterable[Work]) -> Segment:
    """Works run one after the other, as one."""
    seconds = slowed = 0.0
    inside: dict[str, float] = {}
    for work in works:
        seconds += work.seconds
        slowed += work.seconds * work.stretch
        for axis, part in work.communication:
            inside[axis] = inside.get(axis, 0.0) + part
    return Segment(seconds, slowed / seconds if seconds > 0.0 else 1.0, tuple(inside.items()))


def finish_step(builder: Builder) -> None:
    """Reductions left, the tied embedding, the gradient norm, the update, and gathers that were not prefetched."""
    p = builder.record
    ends: list[tuple[int, ...]] = []
    for stage, parts in enumerate(p.stages):
        if not p.plan.framework.overlap_gradients and not p.reduce_every_pass:
            for chunk in reversed(parts.chunks):
                for r in chunk.reductions:
                    builder.pending[stage].append(builder.communicate(stage, r, (builder.recent[stage],)))
        ends.append((builder.recent[stage], *_last_per_track(builder, builder.pending[stage])))
        if parts.across is not None:
            ends[stage] = (builder.communicate(stage, parts.across, ends[stage]),)
    if p.tied is not None and len(p.stages) > 1:
        both = ends[0] + ends[-1]
        for stage in (0, len(p.stages) - 1):
            ends[stage] = (_side(builder, stage, p.tied, both),)
    if p.norm is not None:
        every = tuple(task for tasks in ends for task in tasks)
        ends = [(_side(builder, stage, p.norm, every),) for stage in range(len(p.stages))]
    for stage, parts in enumerate(p.stages):
        after = ends[stage]
        if parts.offload_s > 0.0:
            host = builder.track_of(stage, "host", "stream")
            after = (builder.program.add(host, "offloaded update", parts.offload_s, after),)
        updated = builder.run_kernels(stage, "update", Segment(parts.update.seconds), after)
        if not p.plan.framework.overlap_gathers:
            for chunk in parts.chunks:
                for g in chunk.gathers:
                    builder.communicate(stage, g, (updated,))


def _last_per_track(builder: Builder, tasks: Sequence[int]) -> tuple[int, ...]:
    """Streams run in order, so the last task of each stands for all before it."""
    latest = {builder.program.track[task]: task for task in tasks}
    return tuple(latest.values())


def _side(builder: Builder, stage: int, message: Transfer, after: tuple[int, ...]) -> int:
    track = builder.track_of(stage, message.axis, "stream")
    return builder.program.add(track, message.name, message.seconds, after)
