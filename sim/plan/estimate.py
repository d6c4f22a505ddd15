"""The step in closed form, from its record: exact where one stage runs alone, a lower bound everywhere.

`step_time` applies to plans without a pipeline whose transfers all run on one stream. Then a kernel meets at most one
stretch of collectives that is under way when it begins, so that its end is known at once: with the stream busy until F,
a kernel of s seconds that begins at t ends at t + s·x where it runs beside the stream throughout (x: its stretch),
else at F + s − (F − t)/x. Micro-batches repeat: what one adds is added for the rest once it no longer changes.
Elsewhere (pipelines, all passes forward before any backward, two streams that share links, activations on their way to
the host) the engine's recursion answers, and `lower_bound` says which plans need not be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sim.plan.framework import BackwardPrefetch
from sim.plan.records import LayerSchedule, PipelineSchedule
from sim.plan.step_record import Block, Chunk, Stage, StepRecord, Transfer, Way, Work

MOST_PASSES: Final = 64  # micro-batches followed in search of a period; after that the engine answers
STEADY: Final = 1e-12  # relative change of a period that has settled


def step_time(record: StepRecord) -> float | None:
    """Seconds of the step; None where the closed form does not apply."""
    if not applies(record):
        return None
    return SingleStage(record).step()


def lower_bound(record: StepRecord) -> float:
    """Seconds no engine stays below: what the busiest stage must run one after the other.

    A stage begins when the first micro-batch has come through the stages before it, and its last one goes back through
    them; the update and what it waits for come after that.
    """
    m, plan = record.micro_batches, record.plan
    if plan.layer_schedule != LayerSchedule.NONE:
        return max(m * stage.pass_s for stage in record.stages)
    if plan.schedule.splits:
        return _split_bound(record)
    known = {id(stage): StageTime.of(stage.chunks, stream_s(stage)) for stage in record.stages}
    stages = [known[id(stage)] for stage in record.stages]
    return bound(stages, m, record.send_s, record.reduce_every_pass) + after_s(record)


def _split_bound(record: StepRecord) -> float:
    """Where gradients of weights run last, no stage waits for another at the end; where micro-batches enter at both
    ends, none waits long at the beginning either."""
    way = longest = 0.0
    updates = []
    for stage in record.stages:
        transfers_s = stream_s(stage)
        least = sum(_least(chunk, True) + _least(chunk, False) for chunk in stage.chunks)
        passes = record.passes * transfers_s if record.reduce_every_pass else transfers_s
        longest = max(longest, way + record.passes * least, passes)
        updates.append(updated_s(stage, record.plan.framework.overlap_gathers))
        if record.plan.directions == 1:
            way += _least(stage.chunks[0], True) + record.send_s
    return longest + min(updates) + (record.norm.seconds if record.norm else 0.0)


def _least(chunk: Chunk, forward: bool) -> float:
    """Seconds of the fastest way to run all of a pass through a chunk."""
    if forward:
        return min(chunk.seconds(Way.FORWARD), chunk.seconds(Way.FORWARD_BESIDE))
    halves = chunk.seconds(Way.INPUTS) + chunk.seconds(Way.WEIGHTS)
    return min(chunk.seconds(Way.BACKWARD), chunk.seconds(Way.BACKWARD_BESIDE), halves)


class StageTime(NamedTuple):
    """What the bound asks of a stage: a micro-batch, its forward pass where all of that is one chunk, its way through
    the first chunk and back, and the transfers of a pass (or of the step, where they run once)."""

    pass_s: float
    forward_s: float | None
    first_s: float
    stream_s: float

    @classmethod
    def of(cls, chunks: Sequence[Chunk], transfers_s: float) -> StageTime:
        """Of the chunks of a stage."""
        return cls.made([(c.forward_s, c.backward_s) for c in chunks], transfers_s)

    @classmethod
    def made(cls, passes: Sequence[tuple[float, float]], transfers_s: float) -> StageTime:
        """Of (forward, backward) seconds of every chunk."""
        whole = sum(forward + backward for forward, backward in passes)
        return cls(whole, passes[0][0] if len(passes) == 1 else None, sum(passes[0]), transfers_s)


def bound(stages: Iterable[StageTime], passes: int, send_s: float, every_pass: bool) -> float:
    """Until the busiest stage has run its passes and transfers (see `lower_bound`)."""
    way = longest = 0.0  # way: of the first micro-batch to a stage, and of the last one back
    for pass_s, forward_s, first_s, transfers_s in stages:
        ahead = 0.0 if forward_s is None else pass_s * (passes - 1) + forward_s
        alone = passes * transfers_s if every_pass else ahead + transfers_s
        longest = max(longest, way + passes * pass_s, alone)
        way += first_s + 2.0 * send_s
    return longest


def stream_s(stage: Stage) -> float:
    """Transfers of one pass (or of the step, where they run once) on a stage's longest stream."""
    once = [(t, 1) for chunk in stage.chunks for t in chunk.reductions]
    blocks = [b for chunk in stage.chunks for b in chunk.blocks]
    gathers = [(b.gather, b.count * (2 if b.regather else 1)) for b in blocks if b.gather]
    return _longest([*once, *gathers, *((b.reduce, b.count) for b in blocks if b.reduce)])


def _longest(transfers: Iterable[tuple[Transfer, int]]) -> float:
    """Seconds of the busiest axis."""
    seconds: dict[str, float] = {}
    for transfer, count in transfers:
        seconds[transfer.axis] = seconds.get(transfer.axis, 0.0) + transfer.seconds * count
    return max(seconds.values(), default=0.0)


def after_s(record: StepRecord) -> float:
    """What the first stage does once its last pass is done, at least."""
    return updated_s(record.stages[0], record.plan.framework.overlap_gathers) + (
        record.norm.seconds if record.norm else 0.0
    )


def updated_s(stage: Stage, overlap_gathers: bool) -> float:
    """The sum over replicas, the update, and the gathers of its parameters where they are not prefetched."""
    seconds = stage.update.seconds + stage.offload_s + (stage.across.seconds if stage.across else 0.0)
    if not overlap_gathers:
        seconds += _longest((t, 1) for chunk in stage.chunks for t in chunk.gathers)
    return seconds


def applies(record: StepRecord) -> bool:
    """One stage, one chunk, transfers on one stream only, nothing on its way to the host beside the passes, a backward
    pass after every forward pass."""
    if len(record.stages) > 1 or len(record.stages[0].chunks) > 1:
        return False
    schedule = record.plan.schedule
    if schedule.splits or (schedule == PipelineSchedule.GPIPE and record.micro_batches > 1):
        return False
    return len(_axes(record.stages[0])) <= 1 and not any(b.offload_s for b in record.stages[0].chunks[0].blocks)


def _axes(stage: Stage) -> set[str]:
    return {t.axis for chunk in stage.chunks for t in (*chunk.gathers, *chunk.reductions, *_of_blocks(chunk))}


def _of_blocks(chunk: Chunk) -> Iterator[Transfer]:
    return (t for block in chunk.blocks for t in (block.gather, block.reduce) if t is not None)


class SingleStage:
    """One stage: kernels in order, transfers in order, each kernel slowed while transfers run beside it.

    Its arithmetic (`greater`, `_kernel`, `_whole`, `_same`) is on numbers; `sim.search.hardware` does it on columns.
    """

    greater = staticmethod(max)

    def __init__(self, record: StepRecord) -> None:
        self.record = record
        self.plan = record.plan
        self.stage = record.stages[0]
        self.chunk = self.stage.chunks[0]
        self.steals = record.steals
        self.forward = [block for block in self.chunk.blocks for _ in range(block.count)]
        self.sharded = any(block.gather or block.reduce for block in self.chunk.blocks)
        self.compute = self.stream = 0.0  # when the two streams are free
        self.waits = 0.0  # for what the next pass waits

    def step(self) -> float | None:
        """All passes, then what follows them."""
        return self._finished() if self._passes() else None

    def _passes(self) -> bool:
        """Run the micro-batches, the middle ones by their period; False where none is found."""
        many, every = self.record.micro_batches, self.record.reduce_every_pass
        plain = not self.sharded and not every
        before: tuple[float, float] = (0.0, 0.0)
        for done in range(1, MOST_PASSES + 1):
            compute, stream = self.compute, self.stream
            self._micro_batch(done == 1, done == many or every)
            if done == many:
                return True
            period = (self.compute - compute, self.stream - stream)
            if done < many - 1 and (plain or self._settled(before, period)):
                self._skip(many - 1 - done, (self.chunk.forward_s + self.chunk.backward_s,) * 2 if plain else period)
                self._micro_batch(False, True)
                return True
            before = period
        return False

    def _settled(self, before: tuple[float, float], period: tuple[float, float]) -> bool:
        """Both streams advance as in the micro-batch before, and no backlog of transfers is being worked off."""
        same = all(abs(new - old) <= STEADY * self.compute for new, old in zip(period, before, strict=True))
        return same and (period[1] >= period[0] * (1.0 - STEADY) or self.stream <= self.compute)

    def _skip(self, passes: int, period: tuple[float, float]) -> None:
        self.compute += passes * period[0]
        self.stream += passes * period[1]
        self.waits += passes * period[1]

    def _micro_batch(self, first: bool, last: bool) -> None:
        if self.sharded:
            self._sharded(self.forward, True)
            self._sharded(self.forward[::-1], False)
            return
        gathers = self.chunk.gathers if first and self.plan.framework.overlap_gathers else ()
        self._gathered(gathers)
        self._backward(self.chunk.reductions if last else ())

    def _kernel(self, seconds: float, stretch: float) -> None:
        """One stretch of kernels beside whatever is under way on the stream."""
        busy = self.stream - self.compute
        if busy > 0.0 and self.steals and stretch > 1.0:
            beside = min(seconds, busy / stretch)
            seconds += beside * (stretch - 1.0)
        self.compute += seconds

    def _transfer(self, transfer: Transfer, ready: float) -> float:
        self.stream = self.greater(self.stream, ready) + transfer.seconds
        return self.stream

    def _wait(self, until: float) -> None:
        self.compute = self.greater(self.compute, until)

    def _gathered(self, gathers: tuple[Transfer, ...]) -> None:
        """The forward pass; a gather is waited for where its first block begins."""
        self._wait(self.waits)
        due: dict[int, float] = {}
        for gather in gathers:
            due[gather.place] = self._transfer(gather, 0.0)
        works = [block.forward for block in self.forward]
        begins = sorted({0, *(place for place in due if place < len(works))})
        for low, high in zip(begins, [*begins[1:], len(works)], strict=True):
            self._wait(due.get(low, 0.0))
            self._kernel(*self._whole(works[low:high]))

    def _backward(self, reductions: tuple[Transfer, ...]) -> None:
        """The backward pass; buckets leave as they fill, or all of them after it."""
        works = [block.backward for block in reversed(self.forward)]
        beside = reductions if self.plan.framework.overlap_gradients else ()
        ends = sorted({*(min(t.place, len(works)) for t in beside), len(works)})
        low = 0
        for high in ends:
            self._kernel(*self._whole(works[low:high]))
            for transfer in beside:
                if min(transfer.place, len(works)) == high:
                    self._transfer(transfer, self.compute)
            low = high
        if not self.plan.framework.overlap_gradients:
            for transfer in reductions:
                self._transfer(transfer, self.compute)
            if self.record.reduce_every_pass and reductions:
                self.waits = self.stream

    def _sharded(self, units: list[Block], forward: bool) -> None:
        """Blocks gathered one ahead (two in memory), their gradients scattered behind them."""
        ready = self._gather(units[0], forward, self.greater(self.compute, self.waits))
        self._wait(self.waits)
        self.waits = 0.0
        when = self.plan.framework.gathers_when(forward)
        for k, unit in enumerate(units):
            free, wait = self.compute, ready
            more = k + 1 < len(units)
            if more and when == BackwardPrefetch.PRE:
                ready = self._gather(units[k + 1], forward, free)
            self._wait(wait)
            work = unit.forward if forward else unit.backward
            self._kernel(*self._whole([work]))
            if more and when == BackwardPrefetch.POST:
                ready = self._gather(units[k + 1], forward, self.compute)
            held = 0.0
            if not forward and unit.reduce is not None:
                end = self._transfer(unit.reduce, self.compute)
                held = 0.0 if self.plan.framework.overlap_gradients else end
            if more and when == BackwardPrefetch.NONE:
                ready = self._gather(units[k + 1], forward, self.greater(self.compute, held))
            self._wait(held if more else 0.0)
            self.waits = held

    def _gather(self, unit: Block, forward: bool, ready: float) -> float:
        """When the block's parameters are there; they may be sent once the block before the running one is done."""
        if unit.gather is None or not (forward or unit.regather):
            return 0.0
        return self._transfer(unit.gather, ready)

    def _finished(self) -> float:
        """Reductions under way, the gradient norm, the update, gathers that were not prefetched."""
        record = self.record
        end = self.greater(self.compute, self.stream) + (self.stage.across.seconds if self.stage.across else 0.0)
        end += record.norm.seconds if record.norm else 0.0
        end += self.stage.offload_s + self.stage.update.seconds
        if not self.plan.framework.overlap_gathers:
            end += sum(t.seconds for t in self.chunk.gathers)
        return end

    def _whole(self, works: list[Work]) -> tuple[float, float]:
        """(seconds, stretch) of works run one after the other."""
        seconds = sum(work.seconds for work in works)
        slowed = sum(work.seconds * work.stretch for work in works)
        return seconds, slowed / seconds if seconds > 0.0 else 1.0
