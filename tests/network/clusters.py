"""Small clusters with round numbers."""

from __future__ import annotations

import math

from sim.network import Cluster, Level, LinkType

ALPHA = 1e-6
BANDWIDTH = 64e9


def link(**change: float | bool) -> LinkType:
    base: dict[str, float | bool] = {"bandwidth": BANDWIDTH, "latency_s": ALPHA, "in_network_reduction": True}
    return LinkType("test", **(base | change))  # type: ignore[arg-type]


def flat(topology: str, *sizes: int, **change: object) -> Cluster:
    """One level."""
    level = Level("net", topology, sizes, link(), **change)  # type: ignore[arg-type]
    return Cluster("flat", "test", math.prod(sizes), (level,))


def two_level(nodes: int, topology: str = "rail", g: int = 8, **change: object) -> Cluster:
    """Nodes of g devices on a switch of 64 GB/s, and a network of 8 GB/s per device with 4 µs per hop."""
    net = Level("net", topology, (nodes,), link(bandwidth=8e9, latency_s=4e-6), **change)  # type: ignore[arg-type]
    return Cluster("two", "test", g * nodes, (Level("node", "switch", (g,), link()), net))
