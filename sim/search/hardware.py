"""Chips and links by the million at a fixed plan: the plan's step priced once, on columns of hardware.

A column holds a factor on one rate of the base chip or its network, a row a design. Kernels follow exactly: of every
tiling compute scales with the peak, traffic with its bandwidth, and the shortest is taken row by row. Costs of
collectives are affine (a + b·bytes), a with the latency, b with the bandwidth of all links alike, so that the
lines scale and the cheapest is taken row by row. The record is that of `sim.plan`, its seconds columns; its step is the
closed form, or the program of the base: of many designs by its longest chains (`sim.search.paths`), else task by task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.device import choices, timer
from sim.device.records import Accelerator, OpsTime, OpTime
from sim.engine import build
from sim.engine.program import Program
from sim.engine.slots import Shaped, Skeleton, Slot, segment, works
from sim.engine.step import skeleton
from sim.errors import InputError, Problem
from sim.network import Communicator, Group
from sim.network.communicator import crossing
from sim.network.records import Cluster, CollectiveCost
from sim.ops import Attention, Collective, CollectiveKind, Convolution, Gemm, Op
from sim.plan.estimate import STEADY, SingleStage, applies
from sim.plan.prepare import step_record
from sim.plan.pricing import Pricer
from sim.plan.records import LayerSchedule, Plan
from sim.plan.step_record import StepRecord, Work
from sim.records import dataclass
from sim.search.paths import Paths
from sim.workload.records import Launch, Layer, Model, Numerics, Shard

Floats = NDArray[np.float64]
TOGETHER: Final = 1024  # designs whose tasks are followed at once: their ends stay in the cache


@dataclass(frozen=True, slots=True)
class Hardware:
    """Factors on the base, one per design (or one for all)."""

    peak: Floats | float = 1.0
    memory_bandwidth: Floats | float = 1.0
    cache_bandwidth: Floats | float = 1.0
    kernel_overhead: Floats | float = 1.0  # and the host's
    link_bandwidth: Floats | float = 1.0
    link_latency: Floats | float = 1.0  # and launches
    clock: Floats | float = 1.0  # of the matrix units

    def rows(self, chosen: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Hardware:
        """Some of the designs."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return Hardware(**{k: v if isinstance(v, float) else v[chosen] for k, v in columns.items()})

    def at_clock(self, clock: Floats) -> Hardware:
        """The same at other clocks."""
        return replace(self, clock=clock)


class _Links:
    """A communicator whose costs are columns."""

    def __init__(self, base: Communicator, hardware: Hardware) -> None:
        self.base = base
        self.cluster: Cluster = base.cluster
        self._latency: Any = hardware.link_latency
        self._byte: Any = 1.0 / np.asarray(hardware.link_bandwidth)
        self._ends = _ends(self._byte / self._latency)  # a byte grows by so much more than the rest

    def time(self, kind: CollectiveKind, nbytes: float, group: Group, algorithm: str | None = None) -> Any:
        """Seconds of a collective, the cheapest of its lines."""
        if group.size == 1:
            return 0.0
        least, most = (nbytes * end for end in self._ends)
        lines = self.base.lines(kind, group, algorithm)  # by falling slope
        pairs = [crossing(steep, flat) for steep, flat in pairwise(lines)]
        first = sum(1 for place in pairs if place < least)
        last = len(lines) - sum(1 for place in pairs if place > most)
        seconds, *others = (self._seconds(line, nbytes) for line in lines[first:last])
        for other in others:
            seconds = np.minimum(seconds, other)
        return seconds

    def _seconds(self, line: CollectiveCost, nbytes: float) -> Any:
        return line.fixed_s * self._latency + (nbytes * line.per_byte_s) * self._byte

    def cost(self, kind: CollectiveKind, group: Group, algorithm: str) -> CollectiveCost:
        """Of one algorithm."""
        cost = self.base.cost(kind, group, algorithm)
        fixed: Any = cost.fixed_s * self._latency
        per_byte: Any = cost.per_byte_s * self._byte
        return CollectiveCost(algorithm, fixed, per_byte)

    def launch_s(self, kind: CollectiveKind, group: Group) -> Any:
        """Launch of a collective."""
        return self.base.launch_s(kind, group) * self._latency

    def send(self, nbytes: float, stride: int) -> Any:
        """All pipeline hops at once."""
        return self._seconds(self.base.hop(stride), nbytes)

    def p2p(self, nbytes: float, src: int, dst: int) -> Any:
        """One message alone."""
        at_none = self.base.p2p(0.0, src, dst)
        return at_none * self._latency + (self.base.p2p(nbytes, src, dst) - at_none) * self._byte


class _Columns(Pricer):
    """A pricer whose seconds are columns; `parted`: kernels bound by memory are told apart (a neighbour slows them)."""

    def __init__(self, base: Priced, hardware: Hardware, parted: bool) -> None:
        super().__init__(base.model, base.numerics, base.chip, base.communicator)
        self.communicator = _Links(base.communicator, hardware)  # type: ignore[assignment]
        self.base, self.hardware, self.parted = base, hardware, parted
        self._rates = _Rates(hardware)
        self._alone: dict[Op, Any] = {}
        self.cache_bytes: dict[Op, Any] = {}  # of products whose tiling depends on the rates

    @staticmethod
    def lesser(a: Any, b: Any) -> Any:
        return np.minimum(a, b)

    @staticmethod
    def stretch(slowed: Any, seconds: Any) -> Any:
        return slowed / seconds if _Columns.lasts(seconds) else 1.0

    @staticmethod
    def lasts(seconds: Any) -> bool:
        return bool(np.ravel(seconds)[0] > 0.0)  # rates are positive: what takes time does so in every design

    def layers_of(self, sub_batch: int, shard: Shard) -> tuple[Layer, ...]:
        return self.base.pricer.layers_of(sub_batch, shard)

    def kernel(self, op: Op) -> Any:
        if op not in self._alone:
            sums = _Sums(self._rates, False)
            self._add(sums, op)
            self._alone[op] = sums.busy()[0] + sums.started * self.hardware.kernel_overhead
        return self._alone[op]

    def _add(self, sums: _Sums, op: Op) -> OpTime:
        known = self.base.choices(op)
        clocked = self.base.clocked and isinstance(op, Gemm | Convolution | Attention)
        cached = sums.add(self._rates.able(known, clocked), op.count, clocked)
        if len(known) > 1:
            self.cache_bytes[op] = cached
        return known[0]

    def kernels(self, ops: Sequence[Op]) -> OpsTime:
        sums = _Sums(self._rates, self.parted)
        dram = executed = flops = 0.0
        issued = 0
        for op in ops:
            known = self._add(sums, op)
            dram += op.count * known.dram_bytes
            executed += op.count * (op.executed_flops if isinstance(op, Attention) else op.flops)
            flops += op.count * op.flops
            issued += known.limit != "replay"
        busy, memory = sums.busy()
        overhead: Any = sums.started * self.hardware.kernel_overhead
        if self.accelerator.host_s > 0.0:
            host = issued * self.accelerator.host_s * self.hardware.kernel_overhead
            overhead = overhead + np.maximum(0.0, host - (busy + overhead))
        return OpsTime(busy + overhead, busy - memory, memory, overhead, dram, executed, flops)


class _Rates:
    """What seconds of the base are multiplied by, with the least and the most of it over the designs."""

    def __init__(self, hardware: Hardware) -> None:
        peak, memory, cache = (
            1.0 / np.asarray(x) for x in (hardware.peak, hardware.memory_bandwidth, hardware.cache_bandwidth)
        )
        self.columns = (peak, peak / hardware.clock, memory, cache)
        self.least, self.most = ([float(of(x)) for x in self.columns] for of in (np.min, np.max))
        self.overhead: Any = hardware.kernel_overhead
        self._cached = [_ends(cache / self.columns[number]) for number in (0, 1)]

    def able(self, known: Sequence[OpTime], clocked: bool) -> Sequence[OpTime]:
        """The tilings that are shortest for some design: from one to the next when its traffic takes longer than the
        other computes."""
        least, most = self._cached[clocked]
        pairs = enumerate(pairwise(known), 1)
        last = next((n for n, (left, right) in pairs if left.cache_s * most < right.compute_s), len(known))
        pairs = enumerate(pairwise(known[:last]), 1)
        first = max((n for n, (left, right) in pairs if left.cache_s * least > right.compute_s), default=0)
        return known[first:last]


def _ends(column: Floats) -> tuple[float, float]:
    return float(np.min(column)), float(np.max(column))


class _Sums:
    """Seconds of ops by what bounds them. Where that is the same for all designs, one number by rate adds them up."""

    def __init__(self, rates: _Rates, parted: bool) -> None:
        self.rates, self.parted = rates, parted
        self.linear = [0.0, 0.0, 0.0, 0.0]  # by rate: peak, peak at the clock, memory, cache
        self.fixed = self.started = 0.0
        self.rest: Any = 0.0
        self.rest_memory: Any = 0.0

    def add(self, known: Sequence[OpTime], count: float, clocked: bool) -> Any:
        """An op of so many tilings; its bytes through the cache."""
        first = known[0]
        self.started += count * first.overhead_s
        if first.limit == "replay":
            self.fixed += count * first.seconds
            return 0.0
        least, most = self.rates.least, self.rates.most
        if len(known) == 1:
            terms = ((first.compute_s, int(clocked)), (first.dram_s, 2), (first.cache_s, 3))
            floor = max(base * least[rate] for base, rate in terms)
            able = [(base, rate) for base, rate in terms if base * most[rate] >= floor]
            started = self.parted and first.overhead_s * float(np.max(self.rates.overhead)) > floor and able[0][1] > 1
            if len(able) == 1 and not started:
                base, rate = able[0]
                self.linear[rate] += count * base
                return first.cache_bytes
        return self._undecided(known, count, clocked)

    def _undecided(self, known: Sequence[OpTime], count: float, clocked: bool) -> Any:
        columns = self.rates.columns
        compute: Any = known[0].compute_s * columns[clocked]
        cached: Any = known[0].cache_s * columns[3]
        moved: Any = known[0].cache_bytes
        for option in known[1:]:
            other, also = option.compute_s * columns[clocked], option.cache_s * columns[3]
            shorter = np.maximum(other, also) < np.maximum(compute, cached)
            compute, cached = np.where(shorter, other, compute), np.where(shorter, also, cached)
            moved = np.where(shorter, option.cache_bytes, moved)
        busy = np.maximum(compute, known[0].dram_s * columns[2])
        if known[0].cache_s:
            busy = np.maximum(busy, cached)
        self.rest = self.rest + count * busy
        if self.parted:
            bound = (busy > compute) & (busy >= known[0].overhead_s * self.rates.overhead)
            self.rest_memory = self.rest_memory + count * (busy * bound)
        return moved

    def busy(self) -> tuple[Any, Any]:
        """(seconds without starts, those of them bound by memory or the cache)."""
        compute, memory = self.rest + self.fixed, self.rest_memory
        for number, (base, column) in enumerate(zip(self.linear, self.rates.columns, strict=True)):
            if base:
                compute = compute + base * column
                memory = memory + base * column if number > 1 and self.parted else memory
        return compute, memory


class _Stage(SingleStage):
    """The closed form on columns."""

    greater = staticmethod(np.maximum)  # type: ignore[assignment]

    def _kernel(self, seconds: Any, stretch: Any) -> None:
        if self.steals:
            beside = np.minimum(seconds, np.maximum(self.stream - self.compute, 0.0) / stretch)
            seconds = seconds + beside * (stretch - 1.0)
        self.compute = self.compute + seconds

    def _whole(self, works: list[Work]) -> tuple[Any, Any]:
        seconds: Any = 0.0
        slowed: Any = 0.0
        for work, count in _counted(works):
            seconds = seconds + work.seconds * count
            if self.steals:
                slowed = slowed + work.seconds * count * work.stretch
        return seconds, _Columns.stretch(slowed, seconds) if self.steals else 1.0

    def _settled(self, before: tuple[Any, Any], period: tuple[Any, Any]) -> bool:
        """Of every design."""
        same = [np.abs(new - old) <= STEADY * self.compute for new, old in zip(period, before, strict=True)]
        behind = (period[1] >= period[0] * (1.0 - STEADY)) | (self.stream <= self.compute)
        return bool(np.all(same[0] & same[1] & behind))


def _counted(works: Iterable[Work]) -> Iterable[tuple[Work, int]]:
    """Equal works together."""
    known: dict[int, list[Any]] = {}
    for work in works:
        known.setdefault(id(work), [work, 0])[1] += 1
    return ((work, count) for work, count in known.values())


@dataclass(frozen=True)
class Priced:
    """A model on a chip and a network, and what its ops take there."""

    model: Model
    numerics: Numerics
    chip: Accelerator
    communicator: Communicator

    @cached_property
    def pricer(self) -> Pricer:
        return Pricer(self.model, self.numerics, self.chip, self.communicator)

    @property
    def clocked(self) -> bool:
        """Whether products run at the clock of matrix units."""
        return self.chip.matrix_unit is not None

    @cached_property
    def _choices(self) -> dict[Op, list[OpTime]]:
        return {}

    def choices(self, op: Op) -> list[OpTime]:
        """Times of the tilings that are the shortest at some rates, on the base chip."""
        if op not in self._choices:
            kept: list[OpTime] = []
            for option in sorted(choices(op, self.pricer.accelerator), key=lambda x: (x.compute_s, x.cache_s)):
                if not kept or option.cache_s < kept[-1].cache_s:
                    kept.append(option)
            self._choices[op] = kept
        return self._choices[op]


class HardwareScreen:
    """The step of one plan on many designs of its chip and links.

    `exact`: as the engine gives it. Else (a pipeline beside whose passes collectives run) a bound below it: nothing is
    slowed by its neighbours.
    """

    def __init__(self, base: Priced, plan: Plan) -> None:
        self.base, self.plan = base, plan
        if (launch := base.numerics.launch) in (Launch.WAITED, Launch.BLOCKED):
            raise InputError(Problem("cannot be screened: passes wait for the host", "numerics.launch", str(launch)))
        if plan.layer_schedule != LayerSchedule.NONE:
            rule = "cannot be screened: layers overlap over time steps"
            raise InputError(Problem(rule, "plan.layer_schedule", str(plan.layer_schedule)))
        self.record = step_record(base.pricer, plan)
        self.single = applies(self.record)
        self.program = None if self.single else build(self.record)
        self.exact = self.program is None or not self.program.contended

    def step(self, hardware: Hardware) -> tuple[Floats, Floats]:
        """(seconds of a step of every design, nan where micro-batches find no period; bytes all devices move through
        their caches beyond those of the base)."""
        pricer = _Columns(self.base, hardware, self.single and self.record.steals)
        record = step_record(pricer, self.plan)
        more: Any = 0.0
        for op, (runs, nbytes) in self._tiled.items():
            more = more + runs * (pricer.cache_bytes[op] - nbytes)
        if self.program is not None:
            return self._paths.end(self._parts(record)[1], self._rows_of(record)), more
        seconds = _Stage(record).step()
        return np.asarray(np.nan if seconds is None else seconds), more

    @cached_property
    def _tiled(self) -> dict[Op, tuple[float, float]]:
        """Of products of several tilings: how often all devices run them in a step, and bytes of the base's tiling."""
        found: dict[Op, tuple[float, float]] = {}
        timed = timer(self.base.pricer.accelerator).time
        for stage in self.record.stages:
            runs = [(work.ops, self.record.micro_batches * b.count * work.share) for b, work in stage.passes()]
            for ops, count in (*runs, (stage.update.ops, 1.0)):
                for op in ops:
                    if not isinstance(op, Collective) and len(self.base.choices(op)) > 1:
                        before = found.get(op, (0.0, 0.0))[0]
                        found[op] = before + stage.devices * count * op.count, timed(op).cache_bytes
        return found

    @cached_property
    def _tasks(self) -> Skeleton:
        return skeleton(Shaped(self.record), False)

    @cached_property
    def _paths(self) -> Paths:
        counts, parts = self._parts(self.record)
        rows = [np.array([of.get(number, 0.0) for number in range(len(parts))]) for of in counts]
        return Paths(build(self.record), [rows[slot] for slot in self._tasks.filled_by])

    def _parts(self, record: StepRecord) -> tuple[list[dict[int, float]], list[Any]]:
        """Of every slot of the program how often it runs each part, and the seconds of the parts."""
        numbers: dict[object, int] = {}
        seconds: list[Any] = []
        counts = []
        for slot in self._tasks.slots:
            found: dict[int, float] = {}
            for key, lasts, count in _parts(record, slot):
                number = numbers.setdefault(key, len(numbers))
                seconds += [lasts] if number == len(seconds) else []
                found[number] = found.get(number, 0.0) + count
            counts.append(found)
        return counts, seconds

    @cached_property
    def _rows(self) -> _Rows:
        return _Rows(build(self.record))

    def _rows_of(self, record: StepRecord) -> Callable[[NDArray[np.intp]], Floats]:
        """The end of the step for chosen designs, task by task."""

        def end(chosen: NDArray[np.intp]) -> Floats:
            found = [_seconds(record, slot) for slot in self._tasks.slots]
            found = [lasts if np.ndim(lasts) == 0 else np.asarray(lasts)[chosen] for lasts in found]
            return self._rows.end([found[slot] for slot in self._tasks.filled_by]) + np.zeros(chosen.shape)

        return end


def _parts(record: StepRecord, slot: Slot) -> list[tuple[object, Any, float]]:
    """What a slot runs: (what tells parts apart, seconds, how often)."""
    stage = record.stages[slot.stage]
    if slot.part != "pass":
        return [((id(stage), slot.part, *slot[2:]), segment(record, slot, {}).seconds, 1.0)]
    run = list(works(stage.chunks[slot.chunk], slot.way))[slot.first : slot.last]
    return [(id(work), work.seconds, float(count)) for work, count in _counted(run)]


def _seconds(record: StepRecord, slot: Slot) -> Any:
    if slot.part != "pass":
        return segment(record, slot, {}).seconds
    run = list(works(record.stages[slot.stage].chunks[slot.chunk], slot.way))[slot.first : slot.last]
    return sum(work.seconds * count for work, count in _counted(run))


class _Rows:
    """A program whose tasks keep their ends in few rows: one is free again once nothing waits for its task any more."""

    def __init__(self, program: Program) -> None:
        before: list[int] = [-1] * len(program.tracks)
        waits: list[tuple[int, ...]] = []
        needed = list(range(len(program)))  # the last task that waits for a task
        for task, (track, after) in enumerate(zip(program.track, program.after, strict=True)):
            waits.append(after if before[track] < 0 else (*after, before[track]))
            before[track] = task
            for j in waits[-1]:
                needed[j] = task
        ends = {task for task in before if task >= 0}
        free: list[int] = []
        row = [0] * len(program)
        self.count = 0
        self.tasks: list[tuple[int, tuple[int, ...]]] = []  # row, rows waited for
        for task, others in enumerate(waits):
            if not free:
                free.append(self.count)
                self.count += 1
            row[task] = free.pop()
            self.tasks.append((row[task], tuple(row[j] for j in others)))
            free += [row[j] for j in {*others, task} if needed[j] == task and j not in ends]
        self.last = [row[task] for task in sorted(ends)]

    def end(self, seconds: Sequence[Any]) -> Floats:
        """When the last task ends: start = max(end before on the track, ends of what is waited for)."""
        count = max(np.size(lasts) for lasts in seconds)
        columns = {id(lasts): np.broadcast_to(np.asarray(lasts, dtype=float), count) for lasts in seconds}
        last = np.zeros(count)
        rows = np.empty((self.count, min(count, TOGETHER)))
        for low in range(0, count, TOGETHER):
            high = min(low + TOGETHER, count)
            cut = {key: column[low:high] for key, column in columns.items()}
            ends = list(rows[:, : high - low])
            self._run([cut[id(lasts)] for lasts in seconds], ends)
            last[low:high] = np.max([ends[row] for row in self.last], axis=0)
        return last

    def _run(self, seconds: Sequence[Floats], ends: list[Floats]) -> None:
        add, greater = np.add, np.maximum
        for (row, waits), lasts in zip(self.tasks, seconds, strict=True):
            out = ends[row]
            if not waits:
                out[:] = lasts
                continue
            begin = ends[waits[0]]
            for other in waits[1:]:
                begin = greater(begin, ends[other], out=out)
            add(begin, lasts, out=out)
