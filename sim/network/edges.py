"""Arbitrary graphs: shortest paths by breadth-first search, equal ones chosen by source or by hash."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sim.network.levels import Ints, Name, splitmix64
from sim.network.topology import Topology, flow_key

if TYPE_CHECKING:
    import networkx as nx


class GraphTopology(Topology):
    """Directed links between devices 0 … N-1 and named switches. Parallel edges add up to one link.

    Next hops towards a destination are found by one search that stops once all sources asked for are reached;
    paths are kept, so repeated phases cost nothing.
    """

    def __init__(self, devices: int, links: Iterable[tuple[Name, Name, float, float]], ecmp: bool = False) -> None:
        self.N = devices
        merged: dict[tuple[Name, Name], tuple[float, float]] = {}
        for a, b, cap, lat in links:
            before = merged.get((a, b), (0.0, 0.0))
            merged[a, b] = (before[0] + cap, max(before[1], lat))
        self.ends = list(merged)
        self.L = len(merged)
        self.cap = np.array([cap for cap, _ in merged.values()], dtype=float)
        self.lat = np.array([lat for _, lat in merged.values()], dtype=float)
        self.ecmp = ecmp
        self.out: dict[Name, list[tuple[int, Name]]] = {}
        self.into: dict[Name, list[Name]] = {}
        for link, (a, b) in enumerate(self.ends):
            self.out.setdefault(a, []).append((link, b))
            self.into.setdefault(b, []).append(a)
        self.paths: dict[tuple[int, int, int | None], list[int]] = {}

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        return np.zeros(len(src), dtype=np.int64)

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        seed = 0 if seed is None and self.ecmp else seed
        wanted: dict[int, set[int]] = {}
        pairs = list(zip(map(int, src), map(int, dst), strict=True))
        for a, b in pairs:
            if (a, b, seed) not in self.paths:
                wanted.setdefault(b, set()).add(a)
        for b, sources in wanted.items():
            self._search(b, sources, seed)
        found = [self.paths[a, b, seed] for a, b in pairs]
        out = np.full((len(pairs), max(map(len, found), default=1) or 1), -1, dtype=np.int64)
        for row, path in enumerate(found):
            out[row, : len(path)] = path
        return out

    def _search(self, dst: int, sources: set[int], seed: int | None) -> None:
        """Breadth first against the links from `dst` until all sources are met, then walk every source down."""
        distance: dict[Name, int] = {dst: 0}
        queue: deque[Name] = deque([dst])
        missing = set(sources) - {dst}
        while queue and missing:
            node = queue.popleft()
            for before in self.into.get(node, ()):
                if before not in distance:
                    distance[before] = distance[node] + 1
                    missing.discard(before)
                    queue.append(before)
        for src in sources:
            self.paths[src, dst, seed] = self._walk(src, dst, distance, seed)

    def _walk(self, src: int, dst: int, distance: dict[Name, int], seed: int | None) -> list[int]:
        key = src if seed is None else int(splitmix64(flow_key(np.array([src]), np.array([dst]), seed))[0])
        at: Name = src
        path = []
        while at != dst:
            closer = distance[at] - 1
            choices = [(link, node) for link, node in self.out[at] if distance.get(node) == closer]
            link, at = choices[key % len(choices)]
            path.append(link)
        return path

    def names(self) -> dict[int, tuple[Name, Name]]:
        return dict(enumerate(self.ends))

    def graph(self) -> nx.DiGraph[Name]:
        import networkx as nx  # noqa: PLC0415  120 ms of start-up, needed only here

        graph: nx.DiGraph[Name] = nx.DiGraph()
        graph.add_nodes_from(range(self.N), device=True)
        for link, (a, b) in enumerate(self.ends):
            graph.add_edge(a, b, capacity=float(self.cap[link]), latency=float(self.lat[link]), link=link)
        return graph
