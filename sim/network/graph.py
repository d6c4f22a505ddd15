"""Clusters that are any graph: a networkx `DiGraph` with `capacity` (B/s) and `latency` (s) on its edges.

The graph is what is simulated: links are its edges, routes its shortest paths (fewest links), equal ones chosen by
source or by hash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sim.errors import InputError, Problem
from sim.network.records import Cluster, Edge
from sim.network.topologies.base import Block, Floats, Ints, Name, splitmix64
from sim.network.topology import Topology, flow_key

if TYPE_CHECKING:
    import networkx as nx


def from_graph(graph: nx.Graph[Name], accelerator: str = "", name: str = "graph") -> Cluster:
    """The cluster that is a networkx graph: nodes 0 … N-1 are devices, all others (text) switches.

    Every edge has `capacity` in B/s per direction and `latency` in s (0 if left out); an undirected edge, or one of a
    multigraph, is what it says in networkx: a link each way, links side by side.

    >>> import networkx as nx
    >>> graph = nx.cycle_graph(4)
    >>> nx.set_edge_attributes(graph, {"capacity": 25e9, "latency": 1e-6})
    >>> from_graph(graph, accelerator="h100-sxm").devices
    4
    """
    problems = [
        Problem("nodes of a graph are device numbers or names of switches", "graph", repr(node))
        for node in graph.nodes
        if not isinstance(node, str) and (not isinstance(node, int) or isinstance(node, bool))
    ]
    devices = sorted(node for node in graph.nodes if isinstance(node, int) and not isinstance(node, bool))
    if devices != list(range(len(devices))) or not devices:
        missing = next((i for i, node in enumerate(devices) if i != node), len(devices))
        problems.append(Problem("devices are numbered 0, 1, 2 … without gaps", "graph", f"no device {missing}"))
    edges = []
    named = set(graph.nodes) if not problems else {node for node in graph.nodes if isinstance(node, int | str)}
    for source, target, data in graph.edges(data=True):
        if source not in named or target not in named:
            continue
        capacity, latency = data.get("capacity"), data.get("latency", 0.0)
        if not isinstance(capacity, int | float) or not isinstance(latency, int | float):
            rule = "every edge needs a number `capacity` in B/s, and may have `latency` in s"
            problems.append(Problem(rule, "graph", f"{source} – {target}: {data}"))
            continue
        there = Edge(source, target, float(capacity), float(latency))
        edges += [there] if graph.is_directed() else [there, Edge(target, source, float(capacity), float(latency))]
    if problems:
        raise InputError(*problems)
    return Cluster(name, accelerator, len(devices), edges=tuple(edges))


class GraphTopology(Topology):
    """Directed links between devices 0 … N-1 and named switches. Parallel edges add up to one link.

    Next hops towards a destination are found by one search that stops once all sources asked for are reached;
    paths are kept, so repeated phases cost nothing.
    """

    def __init__(self, devices: int, links: Iterable[tuple[Name, Name, float, float]], ecmp: bool = False) -> None:
        import networkx as nx  # noqa: PLC0415  120 ms of start-up, needed only for graphs

        self.N, self.ecmp = devices, ecmp
        self.net: nx.DiGraph[Name] = nx.DiGraph()
        self.net.add_nodes_from(range(devices), device=True)
        for a, b, capacity, latency in links:
            if self.net.has_edge(a, b):
                edge = self.net.edges[a, b]
                edge["capacity"], edge["latency"] = edge["capacity"] + capacity, max(edge["latency"], latency)
            else:
                self.net.add_edge(a, b, capacity=capacity, latency=latency, link=self.net.number_of_edges())
        self.pairs: list[tuple[Name, Name]] = sorted(self.net.edges, key=lambda pair: self.net.edges[pair]["link"])
        data = [self.net.edges[pair] for pair in self.pairs]
        self.blocks = (
            Block(0, (("link", len(data)),), np.array([edge["capacity"] for edge in data], dtype=float), 0.0),
        )
        self.delays = np.array([*(edge["latency"] for edge in data), 0.0])
        self.paths: dict[tuple[int, int, int | None], list[int]] = {}

    @property
    def lat(self) -> Floats:
        return self.delays[:-1]

    def latency(self, routes: Ints) -> Floats:
        return np.asarray(self.delays[routes].sum(axis=1))

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
            for before in self.net.pred[node]:
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
            choices = [(edge["link"], node) for node, edge in self.net.succ[at].items() if distance.get(node) == closer]
            link, at = choices[key % len(choices)]
            path.append(link)
        return path

    def names(self) -> dict[int, tuple[Name, Name]]:
        return dict(enumerate(self.pairs))

    def end(self, link: int) -> tuple[Name, Name]:
        return self.pairs[link]

    def graph(self) -> nx.DiGraph[Name]:
        return self.net.copy()


def cut_off(graph: nx.DiGraph[Name], devices: int) -> tuple[list[int], list[int]]:
    """Devices that device 0 does not reach, and those that do not reach it."""
    import networkx as nx  # noqa: PLC0415  120 ms of start-up, needed only for graphs

    ahead, behind = nx.descendants(graph, 0) | {0}, nx.ancestors(graph, 0) | {0}
    return [d for d in range(devices) if d not in ahead], [d for d in range(devices) if d not in behind]
