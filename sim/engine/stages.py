"""From a prepared step to a program: the passes of every stage in schedule order, and the collectives around them.

Streams follow what training frameworks do. Buckets of gradients are reduced when the last backward pass has filled
them; parameters updated in the step before are gathered ahead of the first forward pass; fully sharded blocks are
gathered one block ahead (two in memory) and their gradients scattered right after their backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from sim.engine.pipeline import Pass, merged_order, previous
from sim.engine.program import Program, Track
from sim.plan.costs import Block, Chunk, Message, Prepared, Work

Segment = tuple[float, float]  # seconds, stretch


class Builder:
    """Emits the tasks of one step; `last[stage]` is what the stage's next task on the compute stream waits for."""

    def __init__(self, prepared: Prepared, *, detail: bool = False) -> None:
        self.prepared = prepared
        self.detail = detail  # a task for every block, for the trace
        self.program = Program()
        self.compute = [
            self.program.add_track(Track(f"stage {p} / compute", "compute", p)) for p in range(len(prepared.stages))
        ]
        self.tracks: dict[tuple[int, str], int] = {}
        self.arrival: dict[Pass, int] = {}  # pass → task that brings its input
        self.recent = [-1] * len(prepared.stages)  # last compute task of each stage
        self.blocking: list[tuple[int, ...]] = [()] * len(prepared.stages)  # what the next pass has to wait for
        self.pending: list[list[int]] = [[] for _ in prepared.stages]  # collectives the update waits for
        self.passes = [2 * prepared.micro_batches * prepared.chunks] * len(prepared.stages)

    def build(self) -> Program:
        """All passes in schedule order, then what follows them."""
        p = self.prepared
        for item in merged_order(len(p.stages), p.micro_batches, p.chunks, p.schedule):
            self.emit(item)
        finish_step(self)
        return self.program

    def emit(self, item: Pass) -> None:
        """One pass: what it waits for, its kernels, its collectives, its message to the next stage."""
        arrival = self.arrival.pop(item, None)
        after = (() if arrival is None else (arrival,)) + self.blocking[item.stage]
        self.blocking[item.stage] = ()
        chunk = self.prepared.stages[item.stage].chunks[item.chunk]
        name = f"{'forward' if item.forward else 'backward'} {item.micro_batch}"
        if self.prepared.chunks > 1:
            name += f" chunk {item.chunk}"
        if any(b.gather or b.reduce for b in chunk.blocks):
            self._sharded(item, chunk, name, after)
        elif item.forward:
            self._forward(item, chunk, name, after)
        else:
            self._backward(item, chunk, name, after)
        self._offload(item, chunk, name, after)
        self._send(item, name)

    def _forward(self, item: Pass, chunk: Chunk, name: str, after: tuple[int, ...]) -> None:
        gathers = chunk.gathers if item.micro_batch == 0 and self.prepared.overlap_gathers else ()
        cuts = [g.place for g in gathers if g.place > 0]
        waits = [self._stream(item.stage, g, ()) for g in gathers]
        for k, (seconds, stretch) in enumerate(self._segments(chunk, True, cuts)):
            due = [w for w, g in zip(waits, gathers, strict=True) if self._due(g, cuts, k)]
            self._compute(item.stage, name, seconds, after + tuple(due), stretch)
            after = ()

    def _due(self, gather: Message, cuts: Sequence[int], segment: int) -> bool:
        places = [0, *sorted(set(cuts))]
        return segment < len(places) and gather.place == places[segment]

    def _backward(self, item: Pass, chunk: Chunk, name: str, after: tuple[int, ...]) -> None:
        p = self.prepared
        final = p.reduce_every_pass or item.micro_batch == p.micro_batches - 1
        reductions = chunk.reductions if final else ()
        overlapped = reductions if p.overlap_gradients else ()
        places = sorted({r.place for r in overlapped})
        segments = self._segments(chunk, False, places)
        for k, (seconds, stretch) in enumerate(segments):
            done = self._compute(item.stage, name, seconds, after, stretch)
            after = ()
            for reduction in overlapped:
                if min(reduction.place, self._depth(chunk)) == ([*places, self._depth(chunk)])[k]:
                    self.pending[item.stage].append(self._stream(item.stage, reduction, (done,)))
        if not p.overlap_gradients and p.reduce_every_pass:
            self._block_on(item.stage, reductions)

    def _block_on(self, stage: int, reductions: Sequence[Message]) -> None:
        tasks = tuple(self._stream(stage, r, (self.recent[stage],)) for r in reductions)
        self.pending[stage] += tasks
        self.blocking[stage] += tasks[-1:]

    def _sharded(self, item: Pass, chunk: Chunk, name: str, after: tuple[int, ...]) -> None:
        """Blocks whose parameters live on all ranks: gather one block ahead, scatter gradients behind."""
        p, stage = self.prepared, item.stage
        units = [block for block in chunk.blocks for _ in range(block.count)]
        if not item.forward:
            units.reverse()
        gathered = self._gather(stage, units[0], item, after)
        for k, unit in enumerate(units):
            wait = gathered
            if k + 1 < len(units) and p.overlap_gathers:
                gathered = self._gather(stage, units[k + 1], item, ())
            work = unit.forward if item.forward else unit.backward
            done = self._compute(stage, f"{name} {unit.name}", work.seconds, after + wait, work.stretch)
            after = ()
            if not item.forward and unit.reduce is not None:
                task = self._stream(stage, unit.reduce, (done,))
                self.pending[stage].append(task)
                after = () if p.overlap_gradients else (task,)
            if k + 1 < len(units) and not p.overlap_gathers:
                gathered = self._gather(stage, units[k + 1], item, after)
        self.blocking[stage] += after

    def _gather(self, stage: int, unit: Block, item: Pass, after: tuple[int, ...]) -> tuple[int, ...]:
        """The gather of a block waits for the memory of the block before the running one."""
        if unit.gather is None or not (item.forward or unit.regather):
            return ()
        recent = () if self.recent[stage] < 0 else (self.recent[stage],)
        return (self._stream(stage, unit.gather, recent + after),)

    def _offload(self, item: Pass, chunk: Chunk, name: str, after: tuple[int, ...]) -> None:
        seconds = sum(b.offload_s * b.count for b in chunk.blocks)
        if seconds > 0.0:
            track = self._track(item.stage, "host", "stream")
            self.blocking[item.stage] += (self.program.add(track, name, seconds, after),)

    def _send(self, item: Pass, name: str) -> None:
        p = self.prepared
        follower = _next(item, len(p.stages), p.chunks)
        if follower is None:
            return
        done = self.recent[item.stage]
        if p.send_s > 0.0 and follower.stage != item.stage:
            direction = "send forward" if item.forward else "send backward"
            track = self._track(item.stage, direction, "link", p.send_level)
            done = self.program.add(track, name, p.send_s, (done,))
        self.arrival[follower] = done

    def _segments(self, chunk: Chunk, forward: bool, cuts: Sequence[int]) -> list[Segment]:
        """The pass cut after the given numbers of blocks (and after every block where detail is asked for)."""
        works = list(_works(chunk, forward))
        inner = set(range(1, len(works))) if self.detail and not cuts else {c for c in cuts if 0 < c < len(works)}
        bounds = [0, *sorted(inner), len(works)]
        segments = []
        for low, high in pairwise(bounds):
            part = works[low:high]
            seconds = sum(w.seconds for w in part)
            slowed = sum(w.seconds * w.stretch for w in part)
            segments.append((seconds, slowed / seconds if seconds > 0.0 else 1.0))
        return segments

    def _depth(self, chunk: Chunk) -> int:
        return sum(b.count for b in chunk.blocks)

    def _compute(self, stage: int, name: str, seconds: float, after: tuple[int, ...], stretch: float) -> int:
        task = self.program.add(self.compute[stage], name, seconds, after, stretch)
        self.recent[stage] = task
        return task

    def _stream(self, stage: int, message: Message, after: tuple[int, ...]) -> int:
        p = self.prepared
        track = self._track(stage, message.axis, "stream", p.data_level, p.steals)
        return self.program.add(track, message.name, message.seconds, after)

    def _track(self, stage: int, name: str, kind: str, level: int = -1, steals: bool = False) -> int:
        key = (stage, name)
        if key not in self.tracks:
            link = Track(f"stage {stage} / {name}", "link", stage, name, level)
            stream = Track(f"stage {stage} / {name}", "stream", stage, name, level, steals)
            self.tracks[key] = self.program.add_track(link if kind == "link" else stream)
        return self.tracks[key]


def _works(chunk: Chunk, forward: bool) -> Iterator[Work]:
    for block in chunk.blocks if forward else reversed(chunk.blocks):
        for _ in range(block.count):
            yield block.forward if forward else block.backward


def _next(item: Pass, stages: int, chunks: int) -> Pass | None:
    """The pass that needs this one's output at another place of the pipeline."""
    step = 1 if item.forward else -1
    place = item.chunk * stages + item.stage + step
    if not 0 <= place < stages * chunks:
        return None
    chunk, stage = divmod(place, stages)
    follower = item._replace(stage=stage, chunk=chunk)
    return follower if previous(follower, stages, chunks) == item else None


def finish_step(builder: Builder) -> None:
    """Reductions left, the tied embedding, the gradient norm, the update, and gathers that were not prefetched."""
    p = builder.prepared
    ends: list[tuple[int, ...]] = []
    for stage, parts in enumerate(p.stages):
        if not p.overlap_gradients and not p.reduce_every_pass:
            for chunk in reversed(parts.chunks):
                for r in chunk.reductions:
                    builder.pending[stage].append(builder._stream(stage, r, (builder.recent[stage],)))
        ends.append((builder.recent[stage], *_last_per_track(builder, builder.pending[stage])))
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
            host = builder._track(stage, "host", "stream")
            after = (builder.program.add(host, "offloaded update", parts.offload_s, after),)
        updated = builder._compute(stage, "update", parts.update.seconds, after, 1.0)
        if not p.overlap_gathers:
            for chunk in parts.chunks:
                for g in chunk.gathers:
                    builder._stream(stage, g, (updated,))


def _last_per_track(builder: Builder, tasks: Sequence[int]) -> tuple[int, ...]:
    """Streams run in order, so the last task of each stands for all before it."""
    latest = {builder.program.track[task]: task for task in tasks}
    return tuple(latest.values())


def _side(builder: Builder, stage: int, message: Message, after: tuple[int, ...]) -> int:
    track = builder._track(stage, message.axis, "stream")
    return builder.program.add(track, message.name, message.seconds, after)
