"""What every topology offers.

N devices, L directed links, cap[L] B/s (efficiency included), lat[L] s, routes(src, dst) and graph().
`sim.network.build.topology(cluster)` gives a `Composed` (levels, index arithmetic) or a `GraphTopology` (edge list).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.network.levels import Floats, Ints, Name

if TYPE_CHECKING:
    import networkx as nx


class Topology:
    """Base of both kinds: arrays of links, and what is common to them."""

    N: int
    L: int
    cap: Floats
    lat: Floats

    def routes(self, src: Ints, dst: Ints, seed: int | None = None) -> Ints:
        """int[F, H] link ids of each flow, padded with -1; `seed` overrides the cluster's routing by hash ECMP."""
        raise NotImplementedError

    def names(self) -> dict[int, tuple[Name, Name]]:
        """Link id → (from, to) names, devices by number."""
        raise NotImplementedError

    def span_of(self, level: int) -> tuple[int, int]:
        """Link ids of a level: from, to (an edge list: all)."""
        return 0, self.L

    def named(self, links: Sequence[int]) -> dict[int, tuple[Name, Name]]:
        """Ends of some links."""
        names = self.names()
        return {link: names[link] for link in links if link in names}

    def graph(self) -> nx.DiGraph[Name]:
        """The cluster as a networkx graph; edges carry capacity, latency and link id."""
        raise NotImplementedError

    def level_of(self, src: Ints, dst: Ints) -> Ints:
        """Highest level at which two devices differ (0 for an edge list)."""
        raise NotImplementedError


def flow_key(src: Ints, dst: Ints, seed: int) -> Ints:
    """Key of a flow for hash ECMP: source, destination and seed."""
    return (src << 32) ^ dst ^ (seed * 0x9E3779B1 & 0x7FFFFFFF) << 16
