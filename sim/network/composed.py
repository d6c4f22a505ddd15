"""Clusters composed of levels, routed by index arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim.network.load import Load, count
from sim.network.records import Cluster, Routing
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import Axes, Block, Floats, Ints, LevelTopology, Name, Shape
from sim.network.topology import FEW, Topology, flow_key

if TYPE_CHECKING:
    import networkx as nx


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
            blocks += [replace(block, start=start + block.start) for block in router.blocks]
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

    def flows(self, src: Ints, dst: Ints, share: float | Floats = 1.0) -> tuple[Load, float]:
        """Flows that are images of each other along symmetric axes of their level are routed once."""
        if self.L > FEW and self.cluster.routing == Routing.STATIC and isinstance(share, float) and len(src) > 1:
            found = self._alike(src, dst)
            if found is not None:
                return found[0] * share, found[1]
        return super().flows(src, dst, share)

    def _alike(self, src: Ints, dst: Ints) -> tuple[Load, float] | None:
        """Load and latency of one byte per flow by representatives; None if the flows cross several levels, or first
        the level inside, or if a device sends twice."""
        number = next((i for i, width in enumerate(self.widths[1:-1]) if src[0] // width == dst[0] // width), -1)
        number = len(self.routers) - 1 if number < 0 else number
        width, router = self.widths[number + 1], self.routers[number]
        back = False
        to = one_each(src, dst, self.N)
        if to is None:  # towards leaves: a device gets once what another sends twice
            back, to = True, one_each(dst, src, self.N)
        if to is None:
            return None
        (src, dst), alike = representatives(router, to)
        src, dst = (dst, src) if back else (src, dst)
        same_level = (src // width == dst // width) & (src // self.widths[number] != dst // self.widths[number])
        if not alike or not same_level.all():
            return None
        if router.planar and (router.shape.port(src) != router.shape.port(dst)).any():
            return None
        routes = shifted(router.route(src, dst, None), self.offsets[number])
        return count(self.ledger, routes, None, alike), float(self.latency(routes).max())

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
        block = self.widths[i]
        shape = router.shape
        same = shape.port(src) == shape.port(dst)
        start = np.where(same, src, src // block * block + dst % block)
        outer = shifted(router.route(start, dst, key), offset)
        if same.all():
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


def one_each(src: Ints, dst: Ints, devices: int) -> Ints | None:
    """to[d] = where device d sends, -1: nowhere; None: one sends twice."""
    to = np.full(devices, -1, dtype=np.int64)
    to[src] = dst
    sending = devices if len(src) == devices and to.min() >= 0 else np.count_nonzero(to >= 0)
    return to if sending == len(src) else None


def representatives(router: LevelTopology, to: Ints) -> tuple[tuple[Ints, Ints], Axes]:
    """One flow of each class of flows that a shift along symmetric axes of a level maps onto each other, and the axes.

    `to[d]` is where device d sends (-1: nowhere). Along an axis a the flows are alike if every one goes as far in a,
    modulo its size, and to the same place in all other axes.
    """
    axes = [(name, size) for name, size in router.axes if size > 1]
    shape = [size for _, size in axes]
    grid = to.reshape(shape)
    alike: list[tuple[str, int]] = []
    stride = 1
    for i in reversed(range(len(axes))):
        name, size = axes[i]
        if name in router.symmetric:
            first = grid.take([0], axis=i)
            place = first // stride % size
            index = np.arange(size).reshape([-1 if j == i else 1 for j in range(len(axes))])
            moved = np.where(first < 0, -1, first + ((place + index) % size - place) * stride)
            if router.moves_alike(name, place) and np.array_equal(moved, grid):
                grid = first
                alike.append((name, size))
        stride *= size
    sends = np.nonzero(grid >= 0)
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    src = sum((place * step for place, step in zip(sends, strides.tolist(), strict=True)), np.zeros(1, dtype=np.int64))
    return (np.asarray(src), grid[sends]), tuple(alike)


def shifted(route: Ints, offset: int) -> Ints:
    """Local link ids to cluster link ids, -1 kept."""
    return np.where(route >= 0, route + offset, -1) if offset else route
