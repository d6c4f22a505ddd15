"""From the step record to a program: the passes of every stage in schedule order, and the collectives around them.

Streams follow what training frameworks do. Buckets of gradients are reduced when the last backward pass has filled
them; parameters updated in the step before are gathered ahead of the first forward pass; fully sharded blocks are
gathered one block ahead (two in memory) and their gradients scattered right after their backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from sim.engine.pipeline import merged_order, sources
from sim.engine.program import Program, Track
from sim.engine.schedules import Pass
from sim.engine.slots import Skeleton, Slot
from sim.plan.framework import BackwardPrefetch
from sim.plan.step_record import Chunk, StepRecord, Transfer, Way

SEND: Final = Slot("send")


class _Kind(NamedTuple):
    """What matters of a chunk for every pass."""

    chunk: Chunk
    depth: int
    sharded: bool
    gathers: bool
    reductions: bool
    offloads: bool

    @classmethod
    def of(cls, chunk: Chunk) -> _Kind:
        return cls(
            chunk,
            sum(b.count for b in chunk.blocks),
            any(b.gather or b.reduce for b in chunk.blocks),
            bool(chunk.gathers),
            bool(chunk.reductions),
            any(b.offload_s > 0.0 for b in chunk.blocks),
        )


class Builder:
    """Emits the tasks of one step; `recent[stage]` is what the stage's next task on the compute stream waits for."""

    def __init__(self, record: StepRecord, *, detail: bool = False) -> None:
        self.record = record
        self.detail = detail  # a task for every block, for the trace
        self.program = Program()
        self.slots: dict[Slot, int] = {}
        self.filled_by: list[int] = []
        self.compute = [
            self.program.add_track(Track(f"stage {p} / compute", "compute", p)) for p in range(len(record.stages))
        ]
        self.tracks: dict[tuple[int, str], int] = {}
        self.recent = [-1] * len(record.stages)  # last compute task of each stage
        self.blocking: list[tuple[int, ...]] = [()] * len(record.stages)  # what the next pass has to wait for
        self.pending: list[list[int]] = [[] for _ in record.stages]  # collectives the update waits for
        self.sends = record.send_s > 0.0 and len(record.stages) > 1
        self.plain: dict[tuple[int, Way, int], tuple[int, int]] = {}
        self.kinds = [[_Kind.of(chunk) for chunk in stage.chunks] for stage in record.stages]

    def build(self) -> Skeleton:
        """All passes in schedule order, then what follows them."""
        p = self.record
        shape = (len(p.stages), p.micro_batches, p.plan.chunks, p.plan.schedule)
        ends: list[int] = []  # the task that brings each pass's output to where it is needed
        run: list[tuple[Pass, bool]] = []  # passes whose outputs are still to be sent
        arrivals: tuple[int, ...] = ()
        for item, (source, feeds) in zip(merged_order(*shape), sources(*shape), strict=True):
            if source >= 0:
                arrivals += (ends[source],)
            if not run and (end := self._plain(item, feeds, arrivals)) is not None:
                ends.append(end)
                arrivals = ()
                continue
            run.append((item, feeds))
            if item.way == Way.FORWARD_BESIDE:  # one with the next: both wait for both inputs, and end together
                ends.append(-1)
                continue
            for each, _ in run:
                self.emit(each, arrivals)
                arrivals = ()
            ends[len(ends) + 1 - len(run) :] = [self._send(each) if sends else -1 for each, sends in run]
            run = []
        return self.finished()

    def finished(self) -> Skeleton:
        """With what follows the passes."""
        finish_step(self)
        return Skeleton(self.program, self.slots, self.filled_by)

    def add(self, track: int, name: object, slot: Slot, after: tuple[int, ...]) -> int:
        """A task whose duration stands in a slot of the record."""
        return self._task(track, name, self._number(slot), after)

    def _number(self, slot: Slot) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def _task(self, track: int, name: object, slot: int, after: tuple[int, ...]) -> int:
        self.filled_by.append(slot)
        return self.program.add(track, name, 0.0, after)

    def _plain(self, item: Pass, feeds: bool, after: tuple[int, ...]) -> int | None:
        """What `emit` and `_send` make of a pass that is kernels alone, as nearly all of a long step are; None: there
        is more to this one."""
        stage, way, number, micro_batch = item
        slot, odd = self.plain.get((stage, way, number)) or self._pattern(item)
        if slot < 0 or micro_batch == odd:
            return None
        if self.blocking[stage]:
            after += self.blocking[stage]
            self.blocking[stage] = ()
        done = self.recent[stage] = self._task(self.compute[stage], item, slot, after)
        if not (feeds and self.sends):
            return done if feeds else -1
        link = self.tracks.get((stage, "send forward" if way & 1 else "send backward"))
        if link is None:
            return self._send(item)
        sent = self._task(link, item, self._number(SEND), (done,))
        if not self.record.plan.framework.overlap_sends:
            self.blocking[stage] += (sent,)
        return sent

    def _pattern(self, item: Pass) -> tuple[int, int]:
        """(slot of such a pass where it is kernels alone, the micro-batch of which it is not); slot −1: never is."""
        stage, way, number, _ = item
        kind, slot, odd = self.kinds[stage][number], -1, -1
        every = kind.reductions and self.record.reduce_every_pass and not item.forward and way != Way.INPUTS
        if not (kind.sharded or kind.offloads or self.detail or every or way == Way.FORWARD_BESIDE):
            slot = self._number(Slot("pass", stage, number, way, 0, kind.depth))
            if item.forward:
                odd = 0 if kind.gathers else -1
            elif kind.reductions and way != Way.INPUTS:
                odd = self.record.passes - 1
        self.plain[stage, way, number] = (slot, odd)
        return slot, odd

    def emit(self, item: Pass, after: tuple[int, ...]) -> None:
        """One pass: what it waits for, its kernels, its collectives."""
        stage, way, number, micro_batch = item
        after += self.blocking[stage]
        self.blocking[stage] = ()
        kind = self.kinds[stage][number]
        if kind.sharded:
            self._sharded(item, kind.chunk, after)
        elif item.forward and (self.detail or (kind.gathers and micro_batch == 0)):
            self._forward(item, kind, after)
        elif not item.forward and (self.detail or (kind.reductions and self._reduces(item))):
            self._backward(item, kind, after)
        else:
            self.run_kernels(stage, item, Slot("pass", stage, number, way, 0, kind.depth), after)
        if kind.offloads and way != Way.WEIGHTS:
            track = self.track_of(stage, "host", "stream")
            self.blocking[stage] += (self.add(track, item, Slot("host", stage, number), after),)

    def _reduces(self, item: Pass) -> bool:
        """Whether gradients are summed over the data ranks after a backward pass."""
        last = self.record.reduce_every_pass or item.micro_batch == self.record.passes - 1
        return last and item.way != Way.INPUTS

    def _send(self, item: Pass) -> int:
        """The message to the next stage, or the pass itself where no message is needed."""
        done = self.recent[item.stage]
        if not self.sends:
            return done
        track = self.track_of(item.stage, "send forward" if item.forward else "send backward", "link")
        sent = self.add(track, item, SEND, (done,))
        if not self.record.plan.framework.overlap_sends:
            self.blocking[item.stage] += (sent,)
        return sent

    def _forward(self, item: Pass, kind: _Kind, after: tuple[int, ...]) -> None:
        gathers = kind.chunk.gathers if item.micro_batch == 0 and self.record.plan.framework.overlap_gathers else ()
        due: dict[int, tuple[int, ...]] = {}
        for number, gather in enumerate(gathers):
            slot = Slot("gathers", item.stage, item.chunk, first=number)
            due[gather.place] = (*due.get(gather.place, ()), self.communicate(gather, slot, ()))
        bounds = self._bounds(kind, [place for place in due if place > 0])
        for first, last in pairwise(bounds):
            slot = Slot("pass", item.stage, item.chunk, item.way, first, last)
            self.run_kernels(item.stage, item, slot, after + due.get(first, ()))
            after = ()

    def _backward(self, item: Pass, kind: _Kind, after: tuple[int, ...]) -> None:
        p = self.record
        reductions = list(enumerate(kind.chunk.reductions)) if self._reduces(item) else []
        ready: dict[int, list[tuple[int, Transfer]]] = {}
        for number, reduction in reductions if p.plan.framework.overlap_gradients else []:
            ready.setdefault(min(reduction.place, kind.depth), []).append((number, reduction))
        cuts = range(1, kind.depth) if self.detail else [place for place in ready if place < kind.depth]
        for first, last in pairwise(self._bounds(kind, cuts)):
            slot = Slot("pass", item.stage, item.chunk, item.way, first, last)
            done = self.run_kernels(item.stage, item, slot, after)
            after = ()
            self.pending[item.stage] += self.reduce(item.stage, item.chunk, ready.get(last, ()), (done,))
        if not p.plan.framework.overlap_gradients and p.reduce_every_pass:
            tasks = self.reduce(item.stage, item.chunk, reductions, (self.recent[item.stage],))
            self.pending[item.stage] += tasks
            self.blocking[item.stage] += tuple(tasks[-1:])

    def reduce(
        self, stage: int, chunk: int, reductions: Sequence[tuple[int, Transfer]], after: tuple[int, ...]
    ) -> list[int]:
        """The numbered reductions of a chunk."""
        return [self.communicate(r, Slot("reductions", stage, chunk, first=number), after) for number, r in reductions]

    def _bounds(self, kind: _Kind, cuts: Sequence[int]) -> list[int]:
        """Where a pass is cut: after the given numbers of blocks (after every block where detail is asked for)."""
        inner = range(1, kind.depth) if self.detail and not cuts else {c for c in cuts if 0 < c < kind.depth}
        return [0, *sorted(inner), kind.depth]

    def _sharded(self, item: Pass, chunk: Chunk, after: tuple[int, ...]) -> None:
        """Blocks whose parameters live on all ranks: gather one block ahead, scatter gradients behind."""
        p, stage = self.record, item.stage
        units = [number for number, block in enumerate(chunk.blocks) for _ in range(block.count)]
        if not item.forward:
            units.reverse()
        gathered = self._gather(chunk, units[0], item, after)
        when = p.plan.framework.gathers_when(item.forward)
        for k, number in enumerate(units):
            unit = chunk.blocks[number]
            wait, more = gathered, k + 1 < len(units)
            if more and when == BackwardPrefetch.PRE:
                gathered = self._gather(chunk, units[k + 1], item, ())
            slot = Slot("pass", stage, item.chunk, item.way, k, k + 1)
            done = self.run_kernels(stage, f"{item} {unit.name}", slot, after + wait)
            after = ()
            if more and when == BackwardPrefetch.POST:
                gathered = self._gather(chunk, units[k + 1], item, ())
            if not item.forward and item.way != Way.INPUTS and unit.reduce is not None:
                task = self.communicate(unit.reduce, Slot("reduce", stage, item.chunk, first=number), (done,))
                self.pending[stage].append(task)
                after = () if p.plan.framework.overlap_gradients else (task,)
            if more and when == BackwardPrefetch.NONE:
                gathered = self._gather(chunk, units[k + 1], item, after)
        self.blocking[stage] += after

    def _gather(self, chunk: Chunk, number: int, item: Pass, after: tuple[int, ...]) -> tuple[int, ...]:
        """The gather of a block waits for the memory of the block before the running one."""
        unit, stage = chunk.blocks[number], item.stage
        if unit.gather is None or item.way == Way.WEIGHTS or not (item.forward or unit.regather):
            return ()
        recent = () if self.recent[stage] < 0 else (self.recent[stage],)
        return (self.communicate(unit.gather, Slot("gather", stage, item.chunk, first=number), recent + after),)

    def run_kernels(self, stage: int, name: object, slot: Slot, after: tuple[int, ...]) -> int:
        """A task on the stage's compute stream."""
        task = self.recent[stage] = self.add(self.compute[stage], name, slot, after)
        return task

    def communicate(self, message: Transfer, slot: Slot, after: tuple[int, ...]) -> int:
        """A collective on its stage's stream of its axis."""
        p = self.record
        track = self.track_of(slot.stage, message.axis, "stream", p.data_level, p.steals)
        return self.add(track, message.name, slot, after)

    def track_of(self, stage: int, name: str, kind: str, level: int = -1, steals: bool = False) -> int:
        """The stage's track of that name, made at its first use."""
        key = (stage, name)
        if key not in self.tracks:
            level = self.record.send_level if kind == "link" else level
            link = Track(f"stage {stage} / {name}", "link", stage, name, level)
            stream = Track(f"stage {stage} / {name}", "stream", stage, name, level, steals)
            self.tracks[key] = self.program.add_track(link if kind == "link" else stream)
        return self.tracks[key]


def finish_step(builder: Builder) -> None:
    """Reductions left, the tied embedding, the gradient norm, the update, and gathers that were not prefetched."""
    p = builder.record
    ends: list[tuple[int, ...]] = []
    for stage, parts in enumerate(p.stages):
        if not p.plan.framework.overlap_gradients and not p.reduce_every_pass:
            for number, chunk in reversed(list(enumerate(parts.chunks))):
                left = list(enumerate(chunk.reductions))
                builder.pending[stage] += builder.reduce(stage, number, left, (builder.recent[stage],))
        ends.append((builder.recent[stage], *_last_per_track(builder, builder.pending[stage])))
        if parts.across is not None:
            ends[stage] = (builder.communicate(parts.across, Slot("across", stage), ends[stage]),)
    for stage, parts in enumerate(p.stages[: len(p.stages) // 2]):
        if parts.mirror is not None:
            pair = (stage, len(p.stages) - 1 - stage)
            both = ends[pair[0]] + ends[pair[1]]
            for each in pair:
                ends[each] = (_side(builder, each, parts.mirror, Slot("mirror", each), both),)
    if p.tied is not None and len(p.stages) > 1:
        both = ends[0] + ends[-1]
        for stage in (0, len(p.stages) - 1):
            ends[stage] = (_side(builder, stage, p.tied, Slot("tied"), both),)
    if p.norm is not None:
        every = tuple(task for tasks in ends for task in tasks)
        ends = [(_side(builder, stage, p.norm, Slot("norm"), every),) for stage in range(len(p.stages))]
    for stage, parts in enumerate(p.stages):
        after = ends[stage]
        if parts.offload_s > 0.0:
            host = builder.track_of(stage, "host", "stream")
            after = (builder.add(host, "offloaded update", Slot("offloaded update", stage), after),)
        updated = builder.run_kernels(stage, "update", Slot("update", stage), after)
        if not p.plan.framework.overlap_gathers:
            for number, chunk in enumerate(parts.chunks):
                for k, g in enumerate(chunk.gathers):
                    builder.communicate(g, Slot("gathers", stage, number, first=k), (updated,))


def _last_per_track(builder: Builder, tasks: Sequence[int]) -> tuple[int, ...]:
    """Streams run in order, so the last task of each stands for all before it."""
    latest = {builder.program.track[task]: task for task in tasks}
    return tuple(latest.values())


def _side(builder: Builder, stage: int, message: Transfer, slot: Slot, after: tuple[int, ...]) -> int:
    track = builder.track_of(stage, message.axis, "stream")
    return builder.add(track, message.name, slot, after)
