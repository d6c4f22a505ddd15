"""What every collective algorithm is: one class in one file of this folder, found by its name.

A class says once which messages it sends, and its cost seconds(bytes) = fixed_s + bytes·per_byte_s, its load on every
link and its schedule follow from that.  In lock-step (`Algorithm`) it says `steps`: between which ranks, how many
pieces of the buffer, how often.  Pipelined (`channels.Piped`, `Ring`) it says one channel: the tree or chain of ranks
that pieces follow each other through, whose copies share the buffer.
`bytes` = S is the full buffer of one rank (ops.Collective).  N ranks; α is a route's latency, found by routing; every
per-byte term is a largest load/capacity over links, with all groups of the axis loading the links together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np

from sim.network.exchange import exchange, sampled_shifts
from sim.network.flows import Flows, Listed, Sends, Table, Traffic, Turns
from sim.network.layout import Digit, Layout
from sim.network.load import Load
from sim.network.records import Cluster, CollectiveCost, Level
from sim.network.schedule import Phase, Schedule
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import Floats, Ints, LevelTopology
from sim.network.topology import Topology
from sim.ops import CollectiveKind
from sim.records import dataclass

#: Ranks that form one chain inside a node at most (an NVL72 rack is 72, a node 8 or 16).
LARGEST_NODE = 72
SCATTERS: tuple[CollectiveKind, ...] = ("all_reduce", "reduce_scatter", "all_gather")
Pieces: TypeAlias = Callable[[], Ints]


@dataclass(frozen=True, eq=False)
class Case:
    """One collective on one layout: everything an algorithm looks at."""

    cluster: Cluster
    topology: Topology
    layout: Layout
    kind: CollectiveKind
    _turned: dict[Turns, Moved] = field(default_factory=dict)
    _switches: dict[int, ToSwitch] = field(default_factory=dict)
    memory: dict[object, Any] = field(default_factory=dict)  # what an algorithm found out about it

    def of(self, kind: CollectiveKind) -> Case:
        """Another collective on the same layout: what was found of who sends to whom is found already."""
        return Case(self.cluster, self.topology, self.layout, kind, self._turned, self._switches, self.memory)

    @property
    def n(self) -> int:
        return self.layout.n

    @property
    def digits(self) -> tuple[Digit, ...]:
        return self.layout.digits

    @property
    def shape(self) -> tuple[int, ...]:
        """Members visited per digit, innermost first."""
        return tuple(digit.count for digit in self.digits)

    @property
    def halves(self) -> tuple[bool, bool]:
        """(reduce-scatter half, all-gather half) of the collective."""
        return self.kind != "all_gather", self.kind != "reduce_scatter"

    @property
    def passes(self) -> int:
        """Reduce-scatter and all-gather each move (N-1)/N of the buffer; an all-reduce is both."""
        return 2 if self.kind == "all_reduce" else 1

    @property
    def whole(self) -> int:
        """Buffers the ranks' pieces divide: an all-to-all's N² pieces are those of N ranks."""
        return self.n if self.kind == "all_to_all" else 1

    def level(self, digit: int) -> Level | None:
        """The level a digit runs over; None: no regular one."""
        number = self.digits[digit].level
        return self.cluster.levels[number] if number >= 0 else None

    def of_level(self, digit: int) -> type[LevelTopology]:
        """The topology of that level."""
        level = self.level(digit)
        return LevelTopology if level is None else TOPOLOGIES[level.topology]

    @property
    def base_s(self) -> float:
        """Launch cost: the largest over the levels the group uses (irregular groups: all)."""
        levels, used = self.cluster.levels, {d.level for d in self.digits}
        return max((x.link.base_s for i, x in enumerate(levels) if i in used or -1 in used), default=0.0)

    @property
    def node(self) -> int:
        """Ranks per node that a chain joins: the innermost digit if it runs inside the innermost of several levels."""
        first = self.digits[0]
        inside = first.level == 0 and (len(self.cluster.levels) > 1 or first.count <= 16)
        return first.count if inside and first.count <= LARGEST_NODE else 1

    def shift(self, *moves: tuple[int, int]) -> Moved:
        """Every rank to the one whose digits are so much further, (digit, by) each; kept."""
        return self.turned(*(self.layout.turn(digit, by) for digit, by in moves))

    def turned(self, *turns: tuple[int, int]) -> Moved:
        """Every rank to the one that turns lead to; kept."""
        if turns not in self._turned:
            self._turned[turns] = Moved(self, Sends(turns))
        return self._turned[turns]

    def to_switch(self, digit: int) -> ToSwitch:
        """Every rank to the switch of a digit's level; kept."""
        if digit not in self._switches:
            self._switches[digit] = ToSwitch(self, digit)
        return self._switches[digit]


class Ends:
    """Who sends to whom, in every group alike."""

    case: Case

    @property
    def source(self) -> Ints:
        """The rank indices that send."""
        return np.arange(self.case.n)

    @property
    def to(self) -> Ints:
        """Where to; a negative number is a switch that adds up what it is sent."""
        raise NotImplementedError

    @property
    def flows(self) -> Flows | Listed:
        """As messages between devices, one byte each."""
        raise NotImplementedError

    @property
    def reversed(self) -> Ends:
        """The other way."""
        raise NotImplementedError

    @cached_property
    def traffic(self) -> Traffic:
        """What they put on the links, and the largest latency of a path."""
        return self.case.topology.flows(self.flows)

    @property
    def load(self) -> Load:
        return self.traffic.load

    @property
    def latency(self) -> float:
        return self.traffic.latency


@dataclass(frozen=True, eq=False)
class Listing(Ends):
    """Rank index i (all, or those `chosen`, each once) to `target[i]`."""

    case: Case
    target: Ints
    chosen: Ints | None = None

    @property
    def source(self) -> Ints:
        return super().source if self.chosen is None else self.chosen

    @property
    def to(self) -> Ints:
        return self.target

    @property
    def flows(self) -> Flows | Listed:
        order, n = np.argsort(self.source), self.case.n
        place = self.source[order]
        return self.case.layout.flows(Sends(table=Table(place, self.target[order] - place, n, 1, n)))


@dataclass(frozen=True, eq=False)
class Moved(Ends):
    """Ranks to others as `sends` says. `weight`: relative bytes of rank r, weight[r % len(weight)]. `back`: the other
    way."""

    case: Case
    sends: Sends
    weight: Floats | None = None
    back: bool = False

    @property
    def source(self) -> Ints:
        return self.sends.led(super().source)[0]

    @property
    def to(self) -> Ints:
        return self.sends.led(super().source)[1]

    @property
    def flows(self) -> Flows | Listed:
        return self.case.layout.flows(self.sends, self.weight, self.back)

    @cached_property
    def reversed(self) -> Moved:
        return replace(self, back=not self.back)


@dataclass(frozen=True, eq=False)
class ToSwitch(Ends):
    """Every rank to the switch of a digit's level, or from it (`out`): of its route to the next member only the first
    link of that level, a port (the last one), and half of the latency."""

    case: Case
    digit: int
    out: bool = False

    def port(self, routes: Ints) -> Ints:
        """The first (last) link of the level of every route."""
        low, high = self.case.topology.span_of(self.case.digits[self.digit].level)
        own = (routes >= low) & (routes < high)
        place = np.where(own, np.arange(routes.shape[1]), 0).max(axis=1) if self.out else own.argmax(axis=1)
        return np.asarray(routes[np.arange(len(routes)), place][:, None])

    @cached_property
    def traffic(self) -> Traffic:
        load, latency = self.case.topology.flows(self.case.shift((self.digit, 1)).flows, self.port)
        return Traffic(load, latency / 2.0)

    @cached_property
    def reversed(self) -> ToSwitch:
        return replace(self, out=not self.out)

    @property
    def slow(self) -> float:
        """How much longer the reduction keeps a link than its bytes do."""
        level = self.case.level(self.digit)
        rate = level.link.reduction_efficiency if level else 0.0
        return level.link.efficiency / rate if level and rate else 1.0


@dataclass(frozen=True, eq=False)
class AllPairs(Ends):
    """Everybody to everybody else at once: counted, not routed, where there are many."""

    case: Case

    @cached_property
    def traffic(self) -> Traffic:
        found = exchange(self.case.topology, self.case.layout)
        return Traffic(found.load, found.latency)

    @property
    def source(self) -> Ints:
        return self.pairs[0]

    @property
    def to(self) -> Ints:
        return self.pairs[1]

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        src, dst = np.divmod(np.arange(self.case.n**2), self.case.n)
        return src[src != dst], dst[src != dst]


@dataclass(frozen=True, eq=False)
class Messages:
    """`count` pieces of the buffer over every pair of `ends`; in repetition t of the step they begin at piece
    `first` + t·`step`, cyclically inside a window of `window` pieces (0: all). `reduce`: added up by the receiver."""

    ends: Ends
    first: Pieces
    count: int = 1
    step: int = 0
    window: int = 0
    reduce: bool = False

    def phase(self, pieces: int, nbytes: float) -> Phase:
        """As messages between rank indices."""
        ends = self.ends
        src, dst = ends.source, ends.to
        first = np.broadcast_to(np.asarray(self.first(), dtype=np.int64), src.shape)
        size = np.full(len(src), self.count * (nbytes / pieces))

        def wide(value: int) -> Ints:
            return np.full(len(src), value, dtype=np.int64)

        window = self.window or pieces
        return Phase(src, dst, size, first, wide(self.count), wide(self.step), wide(window), wide(int(self.reduce)), 1)


@dataclass(frozen=True, eq=False)
class Step:
    """Messages that leave together, `repeat` times."""

    messages: tuple[Messages, ...]
    repeat: int = 1

    @property
    def latency(self) -> float:
        return max((m.ends.latency for m in self.messages), default=0.0)

    def load(self, pieces: int) -> Load:
        """Of one repetition, per buffer."""
        parts = [m.ends.load * (m.count / pieces) for m in self.messages]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Algorithm:
    """Base of all: steps one after the other in lock-step."""

    name: ClassVar[str] = ""
    kinds: ClassVar[tuple[CollectiveKind, ...]] = ()
    named_only: ClassVar[bool] = False  # runs when it is named; libraries do not choose it by themselves

    @classmethod
    def needs(cls, case: Case) -> str:
        """Why so many ranks cannot use it, wherever they are; "" if they can."""
        return ""

    @classmethod
    def refusal(cls, case: Case) -> str:
        """Why a group that lies so cannot use it; "" if it can."""
        return ""

    @classmethod
    def considered(cls, case: Case) -> bool:
        """Whether a library would look at it unasked. Vendor libraries choose from few (NCCL documents Ring, Tree,
        CollNet, NVLS, NVLSTree; XLA runs multi-dimensional rings on a torus)."""
        return not cls.named_only

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        """Into how many pieces the buffer is divided; `chunks` of them where they follow each other in a pipeline."""
        return case.n * case.whole

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """The messages."""
        raise NotImplementedError

    @classmethod
    def weighed(cls, case: Case, pieces: int) -> Iterator[tuple[Step, float]]:
        """The steps, and how often each counts; an algorithm of very many looks at some of them."""
        return ((step, float(step.repeat)) for step in cls.steps(case, pieces))

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        """Σ repeat·(α + S·β)."""
        fixed = per_byte = 0.0
        pieces = cls.pieces(case, 1)
        for step, weight in cls.weighed(case, pieces):
            fixed += weight * step.latency
            per_byte += weight * step.load(pieces).per_byte * case.whole
        return cls.priced(case, fixed, per_byte)

    @classmethod
    def load(cls, case: Case) -> Load:
        """Bytes on every link per byte of the collective, all groups of the axis together."""
        pieces = cls.pieces(case, 1)
        total = Load(case.topology.ledger)
        for step, weight in cls.weighed(case, pieces):
            total = total + step.load(pieces) * (weight * case.whole)
        return total

    @classmethod
    def schedule(cls, case: Case, devices: Ints, nbytes: float, chunks: int = 4) -> Schedule:
        """The phases on these groups (a row each), all at once."""
        pieces = cls.pieces(case, chunks)
        whole, phases, switches = nbytes * case.whole, [], case.n * len(case.digits)
        for step in cls.steps(case, pieces) if case.n > 1 else ():
            phases.append(placed(devices, [m.phase(pieces, whole) for m in step.messages], step.repeat, switches))
        ranks = tuple(devices.ravel().tolist())
        return Schedule(cls.name, case.kind, ranks, whole, pieces, tuple(p for p in phases if len(p.src)))

    @classmethod
    def priced(cls, case: Case, fixed_s: float, per_byte_s: float) -> CollectiveCost:
        """With the launch."""
        return CollectiveCost(cls.name, fixed_s + case.base_s, per_byte_s)


def placed(devices: Ints, parts: list[Phase], repeat: int, switches: int) -> Phase:
    """Several sets of messages between rank indices as one phase between the devices of all groups, a row each; every
    group has `switches` of its own."""
    apart = switches * np.arange(len(devices))[:, None]

    def cat(name: str) -> Ints:
        return np.concatenate([getattr(p, name) for p in parts])

    def device(name: str) -> Ints:
        index = cat(name)
        return np.where(index < 0, index - apart, devices[:, np.maximum(index, 0)]).ravel()

    size = np.tile(np.concatenate([p.bytes for p in parts]), len(devices))
    first, count, step, window, reduce = (
        np.tile(cat(name), len(devices)) for name in ("first", "count", "step", "window", "reduce")
    )
    return Phase(device("src"), device("dst"), size, first, count, step, window, reduce, repeat)


def samples(case: Case) -> tuple[Ints, float]:
    """The shifts r → r+k of a group to look at, and how many each one stands for."""
    return sampled_shifts(case.topology, case.layout)


def folded(n: int) -> int:
    """Largest power of two up to n."""
    return 1 << (n.bit_length() - 1)
