"""What every topology of a level is: one class in one file of this folder, found by its names.

A level joins *members* (blocks of `block` devices).  Each member has `ports` links of the level's type; device x of
a block uses port ⌊x·ports/block⌋.  Port capacity = bandwidth·efficiency·nics/ports, so that 4 NICs of 25 GB/s for
8 devices are four 25 GB/s ports shared by two devices each, and 16 NICs for 8 devices are eight ports of 50 GB/s.
Link ids are local to the level (the cluster adds an offset); a route is a row of ids padded with -1.

Axes: the devices count in mixed radix over `axes`, the links of a block over the axes of the block.  Moving everything
one further along an axis named in `symmetric` maps the level onto itself and routes onto routes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from sim.errors import Problem
from sim.network.records import Level
from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray
Ints: TypeAlias = "NDArray[np.int64]"
Floats: TypeAlias = "NDArray[np.float64]"
Name: TypeAlias = int | str
Drawing: TypeAlias = Literal["row", "circle", "grid"]
Axes: TypeAlias = tuple[tuple[str, int], ...]  # (name, size), outermost first

#: Pairs of an exchange that a level without a formula routes one by one.
PAIRS = 1 << 20


@dataclass(frozen=True)
class Block:
    """Equal links, numbered from `start` in mixed radix over `axes`; `capacity` (B/s) may vary along some of them.
    `free`: axis whose places are this block's units."""

    start: int
    axes: Axes
    capacity: float | Floats
    latency: float
    free: str = ""

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(size for _, size in self.axes)

    @cached_property
    def inner(self) -> tuple[int, ...]:
        """Sizes of the axes inside a unit."""
        names = [name for name, _ in self.axes]
        return self.shape[names.index(self.free) + 1 :] if self.free in names else self.shape

    @cached_property
    def units(self) -> int:
        return prod(self.shape[: len(self.axes) - len(self.inner)])

    @cached_property
    def wide(self) -> Floats:
        """Capacity by unit (one figure for all, if they are alike) and place inside it."""
        capacity, inner = np.asarray(self.capacity, dtype=float), self.inner
        if capacity.ndim > len(inner):
            return capacity.reshape(self.units, *inner)
        return capacity.reshape((1,) * (1 + len(inner) - capacity.ndim) + capacity.shape)

    @property
    def links(self) -> int:
        return prod(self.shape)

    @property
    def stop(self) -> int:
        return self.start + self.links

    def capacities(self) -> Floats:
        """One figure per link."""
        return np.broadcast_to(np.asarray(self.capacity, dtype=float), self.shape).ravel()


@dataclass(frozen=True)
class Shape:
    """Where a level sits: `devices` in the cluster, `block` devices per member, `n` members per instance."""

    level: Level
    devices: int
    block: int
    routing: str = "static"

    @property
    def n(self) -> int:
        return self.level.size

    @property
    def ports(self) -> int:
        nics = self.block if self.level.nics is None else self.level.nics
        return int(max(1, min(self.block, nics)))

    @property
    def port_capacity(self) -> float:
        nics = self.block if self.level.nics is None else self.level.nics
        return self.level.link.bandwidth * self.level.link.efficiency * nics / self.ports

    @property
    def members(self) -> int:
        return self.devices // self.block

    @property
    def instances(self) -> int:
        return self.members // self.n

    def port(self, device: Ints) -> Ints:
        """Port of a device within its member."""
        return (device % self.block) * self.ports // self.block

    def option(self, name: str, default: float) -> float:
        return float(self.level.options.get(name, default))

    @property
    def hop_latency(self) -> float:
        """Latency of a switch-to-switch link; option `hop_latency_s`, else the link type's own."""
        link = self.level.link
        return self.option("hop_latency_s", link.latency_s if link.hop_latency_s is None else link.hop_latency_s)


class LevelTopology:
    """Base: what a topology says about itself, its links, and `route` for pairs of one instance."""

    names: ClassVar[tuple[str, ...]] = ()  # its own, then other words for it
    options: ClassVar[Mapping[str, float]] = {}  # option → least value
    trunks: ClassVar[bool] = False  # has links between switches, which may be oversubscribed
    reduces: ClassVar[bool] = False  # its switches can add up what passes, if the link type can
    grid: ClassVar[bool] = False  # has dimensions that groups fill one after the other
    wraps: ClassVar[bool] = False  # every dimension is a closed ring
    one_size: ClassVar[bool] = False
    many_sizes: ClassVar[bool] = False  # its sizes, not its number of members, are what a file says
    divisible: ClassVar[bool] = False  # part of its members may be left out, in every instance alike
    drawing: ClassVar[Drawing] = "row"  # how its members stand
    tiers: ClassVar[Mapping[str, float]] = {}  # height of each kind of switch, by the first word of its name
    planar: bool = False  # a flow must first reach the device whose port lies in the destination's plane

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.blocks: list[Block] = []

    # -- what a level may be ----------------------------------------------------------------------------------------

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        """What is wrong with sizes and options, beyond unknown names and values below the least."""
        return []

    @classmethod
    def resized(cls, level: Level, members: int) -> Level:
        """The level with other many members: in as many dimensions, the largest factors in the last."""
        return replace(level, sizes=factors(members, len(level.sizes)) if members != level.size else level.sizes)

    @classmethod
    def drawn(cls, level: Level, kept: int) -> Level:
        """The level with at most `kept` members (in every dimension), for a picture."""
        return replace(level, sizes=tuple(min(n, kept) for n in level.sizes))

    @classmethod
    def cycles(cls, level: Level, count: int) -> Sequence[Ints]:
        """The rings over `count` members that use its links evenly: members in order, rings of equal shares."""
        return (np.arange(count),)

    @classmethod
    def rings(cls, level: Level, count: int) -> Sequence[tuple[int, float | Floats]]:
        """What these rings put on each pair: shares that go `by` further, each one figure or one per member."""
        cycles, shares = cls.cycles(level, count), dict[int, Floats]()
        if len(cycles) == 1 and (np.diff(cycles[0]) == 1).all():
            return ((1, 1.0),)
        for cycle in cycles:
            further = (np.roll(cycle, -1) - cycle) % count
            for by in np.unique(further).tolist():
                share = shares.setdefault(by, np.zeros(count))
                share[cycle[further == by]] += 1.0 / len(cycles)
        return tuple((by, float(s[0]) if (s == s[0]).all() else s) for by, s in sorted(shares.items()))

    # -- links and routes -------------------------------------------------------------------------------------------

    @property
    def axes(self) -> Axes:
        """Of the devices of the cluster."""
        s = self.shape
        return (("instance", s.instances), ("member", s.n), (self.port_axis, s.block))

    @property
    def port_axis(self) -> str:
        """Name of the innermost axis: ports, or devices where several share one."""
        return "port" if self.shape.ports == self.shape.block else "device"

    @property
    def nic_axis(self) -> str:
        """Name of the axis of ports among links: that of the devices, if each has one of its own."""
        return "port" if self.shape.ports == self.shape.block else "nic"

    @property
    def symmetric(self) -> tuple[str, ...]:
        return ("instance", "port")

    @property
    def free(self) -> str:
        """Outermost axis of several places, if flows between some of its places are routed as between any others as far
        apart; "" if they are not."""
        return "instance" if self.shape.instances > 1 else ""

    def moves_alike(self, axis: str, delta: Ints) -> bool:
        """Whether flows that go `delta` further along a symmetric axis are routed alike from everywhere on it."""
        return True

    def add(self, axes: Axes, capacity: float | Floats, latency: float) -> int:
        """Append a block of links; returns its first id."""
        start = self.link_count
        self.blocks.append(Block(start, axes, capacity, latency))
        return start

    @property
    def link_count(self) -> int:
        return self.blocks[-1].stop if self.blocks else 0

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        """Links of every flow; `key` chooses among equal paths by hash."""
        raise NotImplementedError

    def end(self, link: int) -> tuple[Name, Name] | None:
        """(from, to) of a link; None: a number without a link."""
        raise NotImplementedError

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        """(link id, from, to) of every link that exists."""
        for link in range(self.link_count):
            if (pair := self.end(link)) is not None:
                yield link, *pair

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Load and longest latency if the devices of every row send one byte to all others of the row in other members
        (`inside` devices per member, in order); None: no formula, or too many to route one by one."""
        count, k = rows.shape
        if count * k * k > PAIRS:
            return None
        i, j = np.divmod(np.arange(k * k), k)
        apart = i // inside != j // inside
        routes = self.route(rows[:, i[apart]].ravel(), rows[:, j[apart]].ravel(), None)
        load = np.bincount(routes.ravel() + 1, minlength=self.link_count + 1)[1:].astype(float)
        return load, float(latencies(self.blocks, routes).max(initial=0.0))

    def device_of_port(self, port: int) -> Name:
        """Graph node a port hangs on: the device itself, or a NIC node when devices share a port."""
        s = self.shape
        if s.ports == s.block:
            return port
        return f"{s.level.name}/nic{port}"

    def plane_node(self, plane: int, member: int) -> Name:
        """Graph node of a member in one port plane of a direct (switchless) level."""
        instance, port = divmod(plane, self.shape.ports)
        return self.device_of_port((instance * self.shape.n + member) * self.shape.ports + port)

    def attachments(self) -> Iterator[tuple[int, str]]:
        """(device, NIC node) where ports are shared; no links of their own."""
        s = self.shape
        if s.ports != s.block:
            for d in range(s.devices):
                port = d // s.block * s.ports + d % s.block * s.ports // s.block
                yield d, f"{s.level.name}/nic{port}"


def latencies(blocks: Sequence[Block], routes: Ints) -> Floats:
    """Latency of each route (s): the sum over its links."""
    starts = np.array([0, *(b.start for b in blocks)])
    table = np.array([0.0, *(b.latency for b in blocks)])
    block = np.searchsorted(starts[1:], routes, side="right")
    return np.asarray(table[block].sum(axis=1))


def factors(members: int, dimensions: int) -> tuple[int, ...]:
    """`members` as a product, as equal as it comes, the largest factors last."""
    sizes: list[int] = []
    left = members
    for k in range(dimensions, 1, -1):
        side = max(n for n in range(1, round(left ** (1 / k)) + 2) if left % n == 0 and n**k <= left)
        sizes.append(side)
        left //= side
    return (*sizes, left)


def complete_cycles(n: int) -> tuple[Ints, ...]:
    """Rings that use every ordered pair of n members equally often.

    The zigzag 0, 1, -1, 2, -2 … and its shifts are paths that meet every ordered pair of an even number once (Walecki,
    in Lucas 1892).  Odd n: one member more closes them.  Even n: closed as they are, they meet the pairs of one perfect
    matching twice; so once for every matching of a round robin, renamed to fit.
    """
    if n < 3:
        return (np.arange(n),)
    m = n - n % 2 if n % 2 == 0 else n - 1
    steps = np.arange(m)
    zigzag = np.where(steps % 2 == 1, (steps + 1) // 2, -(steps // 2)) % m
    paths = [(zigzag + shift) % m for shift in range(m)]
    if n % 2 == 1:
        return tuple(np.append(path, m) for path in paths)
    half, rounds = m // 2, np.arange(1, m // 2)
    found = []
    for match in range(m - 1):  # pairs of this round: the last with `match`, and match + k with match - k
        name = np.empty(m, dtype=np.int64)
        name[0], name[half] = m - 1, match
        name[rounds], name[rounds + half] = (match + rounds) % (m - 1), (match - rounds) % (m - 1)
        found += [name[path] for path in paths]
    return tuple(found)


def splitmix64(x: Ints) -> NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): a 64-bit mix without weak low bits."""
    z = x.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def pick(key: Ints | None, static: Ints, count: int) -> Ints:
    """One of `count` equal paths: `static` modulo count without a key, else hashed by the flow's key."""
    if key is None:
        return static % count
    return (splitmix64(key) % np.uint64(count)).astype(np.int64)
