"""Clusters composed of levels, routed by index arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sim.network.clos import FatTree, Rail
from sim.network.direct import CubeMesh, FullyConnected, Torus
from sim.network.dragonfly import Dragonfly
from sim.network.levels import Ints, Name, Router, Shape, Switch
from sim.network.records import Cluster
from sim.network.topology import Topology, flow_key

if TYPE_CHECKING:
    import networkx as nx

ROUTERS: dict[str, Callable[[Shape], Router]] = {
    "switch": Switch,
    "fat_tree": FatTree,
    "leaf_spine": FatTree,
    "rail": Rail,
    "fully_connected": FullyConnected,
    "ring": lambda shape: Torus(shape, wrap=True),
    "torus": lambda shape: Torus(shape, wrap=True),
    "mesh": lambda shape: Torus(shape, wrap=False),
    "hybrid_cube_mesh": CubeMesh,
    "dragonfly": Dragonfly,
}


class Composed(Topology):
    """Levels, innermost first. A flow is carried by the outermost level at which its ends differ."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.N = cluster.devices
        self.blocks: list[int] = [1]
        self.routers: list[Router] = []
        self.offsets: list[int] = []
        caps, lats = [], []
        start = 0
        for level in cluster.levels:
            router = ROUTERS[level.topology](Shape(level, self.N, self.blocks[-1], cluster.routing))
            cap, lat = router.arrays()
            self.routers.append(router)
            self.offsets.append(start)
            caps.append(cap)
            lats.append(lat)
            start += len(cap)
            self.blocks.append(self.blocks[-1] * level.size)
        self.L = start
        none = np.zeros(0)
        self.cap, self.lat = np.concatenate([none, *caps]), np.concatenate([none, *lats])

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        level = np.zeros(len(src), dtype=np.int64)
        for i, block in enumerate(self.blocks[1:-1], start=1):
            level[src // block != dst // block] = i
        return level

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        if seed is None and self.cluster.routing != "static":
            seed = 0
        key = None if seed is None else flow_key(src, dst, seed)
        return self._routes(np.asarray(src, dtype=np.int64), np.asarray(dst, dtype=np.int64), key)

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
        block = self.blocks[i]
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

    def span_of(self, level: int) -> tuple[int, int]:
        return self.offsets[level], self.offsets[level] + self.routers[level].link_count

    def named(self, links: Sequence[int]) -> dict[int, tuple[Name, Name]]:
        found = {}
        for router, offset in zip(self.routers, self.offsets, strict=True):
            wanted = {link - offset for link in links if offset <= link < offset + router.link_count}
            for link, a, b in router.ends():
                if not wanted:
                    break
                if link in wanted:
                    wanted.discard(link)
                    found[offset + link] = (a, b)
        return found

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


def shifted(route: Ints, offset: int) -> Ints:
    """Local link ids to cluster link ids, -1 kept."""
    return np.where(route >= 0, route + offset, -1) if offset else route
