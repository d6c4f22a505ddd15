"""What every topology of a cluster offers.

N devices, L directed links in `blocks` of equal ones, cap[L] B/s (efficiency included), lat[L] s, routes(src, dst),
flows(src, dst) → load and latency, and graph().
`sim.network.build.topology(cluster)` gives a `Composed` (levels, index arithmetic) or a `GraphTopology` (a graph).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sim.network.flows import Flows, Kept, Listed, Traffic
from sim.network.load import Load, Part, count
from sim.network.topologies.base import Block, Floats, Ints, Name, latencies

if TYPE_CHECKING:
    import networkx as nx


#: Links up to which every one is counted for itself: quicker than to look for what is alike.
FEW = 1 << 14


class Topology:
    """Base: arrays of links, and what is common to all kinds."""

    N: int
    blocks: tuple[Block, ...]

    @property
    def L(self) -> int:  # noqa: N802  the number of links, as N that of devices
        return self.blocks[-1].stop if self.blocks else 0

    @cached_property
    def cap(self) -> Floats:
        return np.concatenate([np.zeros(0), *(block.capacities() for block in self.blocks)])

    @cached_property
    def lat(self) -> Floats:
        return np.concatenate([np.zeros(0), *(np.full(block.links, block.latency) for block in self.blocks)])

    @cached_property
    def ledger(self) -> tuple[Block, ...]:
        """The blocks by which loads are counted: a single one where there are few links."""
        return (Block(0, (("link", self.L),), self.cap, 0.0),) if self.L <= FEW else self.blocks

    def counted(self, routes: Ints, weights: Floats | None = None) -> Load:
        """Load of flows over these routes, one byte or a weight each."""
        if self.L > FEW:
            return count(self.ledger, routes, weights)
        each = None if weights is None else np.repeat(weights, routes.shape[1])
        load = np.bincount(routes.ravel() + 1, each, minlength=self.L + 1)[1:]
        return Load(self.ledger, {0: (Part(None, load.astype(float)[None]),)})

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        """int[F, H] link ids of each flow, padded with -1; `seed` overrides the cluster's routing by hash ECMP."""
        raise NotImplementedError

    def latency(self, routes: Ints) -> Floats:
        """Sum of link latencies of each route (s)."""
        return latencies(self.blocks, routes)

    def flows(self, flows: Flows | Listed, kept: Kept | None = None) -> Traffic:
        """What messages put on the links (`kept`: of each route only these), and the largest latency of a path."""
        src, dst, weight, _ = flows.every
        if not len(src):
            return Traffic(Load(self.ledger), 0.0)
        routes = self.routes(src, dst)
        latency = float(self.latency(routes).max())
        return Traffic(self.counted(routes if kept is None else kept(routes), weight), latency)

    def levels(self, flows: Flows | Listed) -> set[int]:
        """The levels that carry these messages."""
        return set(self.level_of(*flows.every[:2]).tolist())

    def names(self) -> dict[int, tuple[Name, Name]]:
        """Link id → (from, to) names, devices by number."""
        raise NotImplementedError

    def end(self, link: int) -> tuple[Name, Name]:
        """(from, to) of one link."""
        return self.names()[link]

    def span_of(self, level: int) -> tuple[int, int]:
        """Link ids of a level: from, to (a graph: all)."""
        return 0, self.L

    def graph(self) -> nx.DiGraph[Name]:
        """The cluster as a networkx graph; edges carry capacity (B/s), latency (s) and link id."""
        raise NotImplementedError

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        """Highest level at which two devices differ (0 for a graph)."""
        raise NotImplementedError


def flow_key(src: Ints, dst: Ints, seed: int) -> Ints:
    """Key of a flow for hash ECMP: source, destination and seed."""
    return (src << 32) ^ dst ^ (seed * 0x9E3779B1 & 0x7FFFFFFF) << 16
