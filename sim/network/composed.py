"""Clusters composed of levels, routed by index arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import lcm, prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sim.network.flows import Ends, Flows, Kept, Listed, Sends, Traffic
from sim.network.layout import aligned
from sim.network.load import Load, Period, Runs, count
from sim.network.records import Cluster, Routing
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import Block, Ints, LevelTopology, Name, Shape
from sim.network.topology import FEW, Topology, flow_key
from sim.records import dataclass

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

Periods: TypeAlias = Mapping[str, Period]


class Composed(Topology):
    """Levels, innermost first. A flow is carried by the outermost level at which its ends differ."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.N = cluster.devices
        self.widths: list[int] = [1]  # devices of a member of each level, and of the cluster
        self.routers: list[LevelTopology] = []
        self.offsets: list[int] = []
        blocks: list[Block] = []
        start = 0
        for level in cluster.levels:
            router = TOPOLOGIES[level.topology](Shape(level, self.N, self.widths[-1], cluster.routing))
            self.routers.append(router)
            self.offsets.append(start)
            blocks += [replace(block, start=start + block.start, free=router.free) for block in router.blocks]
            start += router.link_count
            self.widths.append(self.widths[-1] * level.size)
        self.blocks = tuple(blocks)

    def degrade(self, link: int, fraction: float) -> None:
        """Leave a fraction of the capacity of a link."""
        number = next(i for i, b in enumerate(self.blocks) if b.start <= link < b.stop)
        block = self.blocks[number]
        capacity = block.capacities().copy()
        capacity[link - block.start] *= fraction
        worn = replace(block, capacity=capacity.reshape(block.shape))
        self.blocks = (*self.blocks[:number], worn, *self.blocks[number + 1 :])

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        level = np.zeros(len(src), dtype=np.int64)
        for i, block in enumerate(self.widths[1:-1], start=1):
            level[src // block != dst // block] = i
        return level

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        if seed is None and self.cluster.routing != Routing.STATIC:
            seed = 0
        key = None if seed is None else flow_key(src, dst, seed)
        return self._routes(np.asarray(src, dtype=np.int64), np.asarray(dst, dtype=np.int64), key)

    @property
    def symmetric(self) -> bool:
        """Whether what is alike is looked at once: not where paths are hashed, or links are few."""
        return self.L > FEW and self.cluster.routing == Routing.STATIC

    def flows(self, flows: Flows | Listed, kept: Kept | None = None) -> Traffic:
        """Messages that are images of each other along symmetric axes of their level are routed once."""
        if not self.symmetric or isinstance(flows, Listed):
            return super().flows(flows, kept)
        load, latency = Load(self.ledger), 0.0
        for number in self._met(flows):
            part = self._level_flows(number, flows, kept)
            load, latency = load + part.load, max(latency, part.latency)
        return Traffic(load, latency)

    def levels(self, flows: Flows | Listed) -> set[int]:
        if isinstance(flows, Listed):
            return super().levels(flows)
        return {number for number in self._met(flows) if len(self._representatives(number, flows).ends.src)}

    def _met(self, flows: Flows | Legs) -> list[int]:
        """Levels that messages of such a grain and reach may be carried by."""
        spans = enumerate(zip(self.widths, self.widths[1:], strict=False))
        return [i for i, (inside, outside) in spans if flows.grain % outside and inside % flows.reach]

    def _level_flows(self, number: int, flows: Flows | Legs, kept: Kept | None = None) -> Traffic:
        """Of the messages that one level carries."""
        shown = self._representatives(number, flows)
        src, dst, _, _ = shown.ends
        if not len(src):
            return Traffic(Load(self.ledger), 0.0)
        router = self.routers[number]
        start = self._start(number, src, dst) if router.planar else src
        outer = shifted(router.route(start, dst, None), self.offsets[number])
        load = shown.count(self.ledger, outer if kept is None else kept(outer))
        whole = outer
        if router.planar and (start != src).any():
            whole = np.concatenate([self._inner(src, start, None), outer], axis=1)
            legs = Legs(flows, self, number)
            for below in self._met(legs) if kept is None else ():
                load = load + self._level_flows(below, legs).load
        return Traffic(load, float(self.latency(whole).max()))

    def rows(self, number: int, used: int, size: int, low: int) -> Shown | None:
        """Of the groups of `size` devices `low` apart among the first `used` one of each kind that shifts along
        symmetric axes of a level map onto each other, told by its first device; None where links are counted singly, or
        where groups begin and end within places of an axis."""
        router, groups = self.routers[number], Flows(used, Sends(only=(0, low, low * size)))
        widths = [prod(many for _, many in router.axes[at:]) for at in range(len(router.axes))]
        if not self.symmetric or not all(aligned(low, low * size, each) for each in widths):
            return None
        periods, width = dict[str, Period](), 1
        for name, many in reversed(router.axes):
            outside = low % (width * many) == 0 or width % (low * size) == 0
            if name in router.symmetric and (outside or router.moves_alike(name, np.arange(many))):
                periods[name] = Period(many, *groups.recurs(width, width * many))
            width *= many
        return self._shown(number, groups, periods)

    def routed(self, number: int, src: Ints, dst: Ints, shown: Shown, each: int) -> Traffic:
        """Messages that one level carries without detours, `each` of every device that is shown."""
        routes = shifted(self.routers[number].route(src, dst, None), self.offsets[number])
        every = replace(shown, run=None if shown.run is None else np.repeat(shown.run, each))
        return Traffic(every.count(self.ledger, routes), float(self.latency(routes).max()))

    def _representatives(self, number: int, flows: Flows | Legs) -> Shown:
        """One message of each class of those that shifts along symmetric axes of a level map onto each other, of all
        that the level carries."""
        router, axes, width = self.routers[number], list[tuple[str, int, int]](), 1
        for name, size in reversed(router.axes):
            axes.append((name, size, width))
            width *= size
        periods = {n: Period(size, *flows.recurs(w, w * size)) for n, size, w in axes if n in router.symmetric}
        while True:
            shown = self._shown(number, flows, periods)
            shown = shown.chosen(self._carried(number, shown.ends))
            src, dst, _, _ = shown.ends
            far = {n: (dst // w - src // w) % size for n, size, w in axes if n in shown.periods}
            lost = [n for n, delta in far.items() if not router.moves_alike(n, delta)]
            if router.planar and "port" in periods and (router.shape.port(src) != router.shape.port(dst)).any():
                lost.append("port")  # how far it is to another port depends on the port
            if not lost:
                return shown
            periods = {name: period for name, period in periods.items() if name not in lost}

    def _shown(self, number: int, flows: Flows | Legs, periods: Periods) -> Shown:
        """The messages of one period, of every run one, along all axes; those of the first unit of each run along the
        free one."""
        router = self.routers[number]
        inner, free = list(router.axes), None
        if router.free:
            place = [name for name, _ in inner].index(router.free)
            free, inner = inner[place], inner[place + 1 :]
            periods = {name: period for name, period in periods.items() if name in dict(inner)}
        devices, width = one_period(inner, periods), prod(size for _, size in inner)
        if free is None:
            return Shown(flows.at(devices), periods, None, None)
        runs = flows.alike(width, free[1])
        first = runs.runs[:, 0]
        ends = flows.at((first[:, None] * width + devices).ravel())
        return Shown(ends, periods, runs, np.searchsorted(first, ends.own // width))

    def _carried(self, number: int, ends: Ends) -> NDArray[np.bool_]:
        """Which of them a level carries."""
        inside, outside = self.widths[number : number + 2]
        src, dst, _, _ = ends
        return np.asarray((src // outside == dst // outside) & (src // inside != dst // inside))

    def _start(self, number: int, src: Ints, dst: Ints) -> Ints:
        """The device of the source's member whose port lies in the destination's plane."""
        block, shape = self.widths[number], self.routers[number].shape
        return np.where(shape.port(src) == shape.port(dst), src, src // block * block + dst % block)

    def _routes(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        level = self.level_of(src, dst)
        present = np.flatnonzero(np.bincount(level, minlength=1))
        if len(present) == 1:
            return self._route_level(int(present[0]), src, dst, key)
        parts = []
        for i in present:
            where = np.flatnonzero(level == i)
            part_key = None if key is None else key[where]
            parts.append((where, self._route_level(int(i), src[where], dst[where], part_key)))
        out = np.full((len(src), max(p.shape[1] for _, p in parts)), -1, dtype=np.int64)
        for where, part in parts:
            out[where, : part.shape[1]] = part
        return out

    def _route_level(self, i: int, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        router, offset = self.routers[i], self.offsets[i]
        if not router.planar:
            return shifted(router.route(src, dst, key), offset)
        start = self._start(i, src, dst)
        outer = shifted(router.route(start, dst, key), offset)
        if np.array_equal(start, src):
            return outer
        return np.concatenate([self._inner(src, start, key), outer], axis=1)

    def _inner(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        """Route inside the member; no links where source and destination are the same device."""
        move = src != dst
        inner = self._routes(src[move], dst[move], None if key is None else key[move])
        out = np.full((len(src), inner.shape[1]), -1, dtype=np.int64)
        out[move] = inner
        return out

    def names(self) -> dict[int, tuple[Name, Name]]:
        return {
            offset + link: (a, b)
            for router, offset in zip(self.routers, self.offsets, strict=True)
            for link, a, b in router.ends()
        }

    def end(self, link: int) -> tuple[Name, Name]:
        number = int(np.searchsorted(self.offsets, link, side="right")) - 1
        pair = self.routers[number].end(link - self.offsets[number])
        if pair is None:
            raise KeyError(link)
        return pair

    def span_of(self, level: int) -> tuple[int, int]:
        return self.offsets[level], self.offsets[level] + self.routers[level].link_count

    def graph(self) -> nx.DiGraph[Name]:
        import networkx as nx  # noqa: PLC0415  120 ms of start-up, needed only here

        graph: nx.DiGraph[Name] = nx.DiGraph()
        graph.add_nodes_from(range(self.N), device=True)
        for link, (a, b) in self.names().items():
            graph.add_edge(a, b, capacity=float(self.cap[link]), latency=float(self.lat[link]), link=link)
        for router in self.routers:
            for device, nic in router.attachments():
                graph.add_edge(device, nic, capacity=router.shape.port_capacity, latency=0.0, link=-1)
                graph.add_edge(nic, device, capacity=router.shape.port_capacity, latency=0.0, link=-1)
        return graph


@dataclass(frozen=True)
class Shown:
    """Messages that stand for all: `periods` of the axes along which they recur, `runs` of units of the free axis, and
    the run of each message (None: there is no free axis)."""

    ends: Ends
    periods: Periods
    runs: Runs | None
    run: Ints | None

    def chosen(self, here: NDArray[np.bool_]) -> Shown:
        """Some of them."""
        return Shown(self.ends.chosen(here), self.periods, self.runs, None if self.run is None else self.run[here])

    def count(self, blocks: tuple[Block, ...], routes: Ints) -> Load:
        """What all of them put on the links, if these do that on theirs."""
        return count(blocks, routes, self.ends.weight, self.periods, self.runs, self.run)


@dataclass(frozen=True)
class Legs:
    """The ways inside a member that messages of a planar level take first, to the device in the plane of the other
    end."""

    whole: Flows | Legs
    topology: Composed
    number: int

    def at(self, device: Ints) -> Ends:
        ends = self.whole.at(device)
        ends = ends.chosen(self.topology._carried(self.number, ends))
        start = self.topology._start(self.number, ends.src, ends.dst)
        return ends._replace(dst=start).chosen(start != ends.src)

    @property
    def carried(self) -> int:
        """Devices after which a level's messages recur if they are shifted."""
        inside, outside = self.topology.widths[self.number : self.number + 2]
        return inside if outside == self.topology.widths[-1] else outside

    def recurs(self, width: int, top: int) -> tuple[int, int]:
        """As the messages; shifts beyond the member are by whole members, and keep messages on their level."""
        shape, inside = self.topology.routers[self.number].shape, self.topology.widths[self.number]
        period, _ = self.whole.recurs(width, top)
        if top <= inside:
            return period if shape.ports == shape.block else top // width, 1
        least = lcm(period * width, self.carried)
        return (least if top % least == 0 else top) // width, 1

    def alike(self, width: int, count: int, texture: int = 1) -> Runs:
        return self.whole.alike(width, count, lcm(texture, lcm(width, self.carried) // width))

    @property
    def grain(self) -> int:
        return self.whole.grain

    @property
    def reach(self) -> int:
        return self.topology.widths[self.number]


def one_period(axes: Sequence[tuple[str, int]], periods: Periods) -> Ints:
    """The devices of one period, of every run one, along every axis (name, size), outermost first."""
    device, width = np.zeros(1, dtype=np.int64), 1
    for name, size in reversed(axes):
        places = np.arange(0, periods[name].period, periods[name].run) if name in periods else np.arange(size)
        if len(places) > 1:
            device = (places[:, None] * width + device).ravel()
        width *= size
    return device


def shifted(route: Ints, offset: int) -> Ints:
    """Local link ids to cluster link ids, -1 kept."""
    return np.where(route >= 0, route + offset, -1) if offset else route
