"""Routing around dead links of a composed cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.network.composed import Composed
from sim.network.graph import GraphTopology
from sim.network.topologies.base import Ints, Name
from sim.network.topology import Topology

if TYPE_CHECKING:
    import networkx as nx

#: Hash seeds tried for a flow whose path is dead before a search over the whole graph.
TRIES = 8


class Repaired(Topology):
    """A composed cluster with dead links: flows that meet one take another of their equal paths (by hash),
    and a shortest path in what is left of the graph if none of those is whole."""

    def __init__(self, whole: Composed, dead: Ints) -> None:
        self.whole = whole
        self.N, self.blocks = whole.N, whole.blocks
        self.dead = np.zeros(self.L + 1, dtype=bool)  # the last place answers for padding (-1)
        self.dead[dead] = True
        names = {link: pair for link, pair in whole.names().items() if not self.dead[link]}
        links = [(a, b, float(self.cap[link]), float(self.lat[link])) for link, (a, b) in names.items()]
        joints = [(d, nic) for router in whole.routers for d, nic in router.attachments()]
        wires = [wire for d, nic in joints for wire in ((d, nic, np.inf, 0.0), (nic, d, np.inf, 0.0))]
        self.alive = GraphTopology(self.N, [*links, *wires])
        id_of = {pair: link for link, pair in names.items()}
        self.ids = np.array([*(id_of.get(pair, -1) for pair in self.alive.pairs), -1], dtype=np.int64)

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        return self.whole.level_of(src, dst)

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        src, dst = np.asarray(src, dtype=np.int64), np.asarray(dst, dtype=np.int64)
        routes = self.whole.routes(src, dst, seed)
        bad = np.flatnonzero(self.dead[routes].any(axis=1))
        for again in range(TRIES):
            if not len(bad):
                return routes
            other = self.whole.routes(src[bad], dst[bad], 7919 * (seed or 0) + again + 1)
            good = ~self.dead[other].any(axis=1)
            routes = replaced(routes, bad[good], other[good])
            bad = bad[~good]
        return replaced(routes, bad, self.ids[self.alive.routes(src[bad], dst[bad])]) if len(bad) else routes

    def span_of(self, level: int) -> tuple[int, int]:
        return self.whole.span_of(level)

    def names(self) -> dict[int, tuple[Name, Name]]:
        return {link: pair for link, pair in self.whole.names().items() if not self.dead[link]}

    def graph(self) -> nx.DiGraph[Name]:
        graph = self.whole.graph()
        graph.remove_edges_from([pair for link, pair in self.whole.names().items() if self.dead[link]])
        return graph


def replaced(routes: Ints, rows: Ints, other: Ints) -> Ints:
    """`routes` with some rows replaced, widened if the new ones are longer."""
    extra = other.shape[1] - routes.shape[1]
    if extra > 0:
        routes = np.pad(routes, ((0, 0), (0, extra)), constant_values=-1)
    routes[rows] = -1
    routes[rows, : other.shape[1]] = other
    return routes
