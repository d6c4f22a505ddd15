"""Loads of flows on links, and the seconds per byte they cost.

If all flows of a phase are equal, max-min sharing gives the slowest flow the smallest share cap/n of any link,
so the phase takes max over links of load/cap: no iteration is needed.  The same bound holds for pipelined
collectives whose flows run steadily at rates in proportion to their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.network.levels import Floats, Ints
from sim.network.topology import Topology


@dataclass
class Loads:
    """Accumulates bytes per link (per byte of the collective) and latencies of flows."""

    topology: Topology
    load: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.load = np.zeros(self.topology.L + 1)

    def add(self, src: Ints, dst: Ints, share: float | Floats, seed: int | None = None) -> float:
        """Add flows of `share` bytes each; returns the largest path latency (s)."""
        if not len(src):
            return 0.0
        routes = self.topology.routes(src, dst, seed)
        lat = path_latency(self.topology, routes)
        if isinstance(share, float):
            self.load += np.bincount(routes.ravel() + 1, minlength=self.topology.L + 1) * share
        else:
            weights = np.repeat(share, routes.shape[1])
            self.load += np.bincount(routes.ravel() + 1, weights=weights, minlength=self.topology.L + 1)
        return float(lat.max())

    @property
    def per_byte(self) -> float:
        """Largest load/cap (s per byte of the collective)."""
        return seconds_per_byte(self.load[1:], self.topology)


def seconds_per_byte(load: Floats, topology: Topology) -> float:
    """Largest load/cap over links."""
    busy = load > 0
    return float((load[busy] / topology.cap[busy]).max()) if busy.any() else 0.0


def path_latency(topology: Topology, routes: Ints) -> Floats:
    """Sum of link latencies of each route (s)."""
    lat = np.append(topology.lat, 0.0)
    return np.asarray(lat[routes].sum(axis=1))
