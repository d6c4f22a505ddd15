"""The phase solver: a schedule on a topology, phase after phase in lock-step.

phase = largest path latency + transfer of its messages under max-min sharing; time = Σ repeat·phase.
"""

from __future__ import annotations

import numpy as np

from sim.network.rates import phase_transfer
from sim.network.schedule import Phase, Schedule
from sim.network.topologies.base import Floats, Ints
from sim.network.topology import Topology


def solve(schedule: Schedule, topology: Topology, seed: int | None = None) -> float:
    """Seconds of a schedule; `seed` routes by hash ECMP instead of the cluster's own routing."""
    return sum(phase.repeat * phase_time(phase, topology, seed) for phase in schedule.phases)


def phase_time(phase: Phase, topology: Topology, seed: int | None = None) -> float:
    """Seconds of one repetition of a phase."""
    routes = phase_routes(phase, topology, seed)
    latency = float(topology.latency(routes).max(initial=0.0))
    return latency + phase_transfer(routes, topology.cap, phase.bytes)


def phase_routes(phase: Phase, topology: Topology, seed: int | None = None) -> Ints:
    """Links of every message. A message to (from) a switch takes only the first (last) link of a path to (from) another
    rank that the same switch serves."""
    up, down = phase.dst < 0, phase.src < 0
    if not (up | down).any():
        return topology.routes(phase.src, phase.dst, seed)
    switch = np.where(up, phase.dst, phase.src)
    served = np.where(up, phase.src, phase.dst)
    src, dst = phase.src.copy(), phase.dst.copy()
    for number in np.unique(switch[up | down]):
        here = (switch == number) & (up | down)
        low, high = int(served[here].min()), int(served[here].max())
        other = np.where(served == high, low, high)
        src, dst = np.where(here & down, other, src), np.where(here & up, other, dst)
    routes = topology.routes(src, dst, seed)
    column = np.arange(routes.shape[1])
    last = np.where(routes >= 0, column, -1).max(axis=1)
    keep = np.where(up[:, None], column == 0, np.where(down[:, None], column == last[:, None], True))
    return np.where(keep, routes, -1)


def link_bytes(schedule: Schedule, topology: Topology, seed: int | None = None) -> Floats:
    """Bytes that cross every link during the whole schedule."""
    total = np.zeros(topology.L + 1)
    for phase in schedule.phases:
        routes = phase_routes(phase, topology, seed)
        weights = np.repeat(phase.bytes * phase.repeat, routes.shape[1])
        total += np.bincount(routes.ravel() + 1, weights=weights, minlength=topology.L + 1)
    return np.asarray(total[1:])
