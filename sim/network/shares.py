"""Bytes an algorithm puts on every link per byte of the collective, all groups of the axis together."""

from __future__ import annotations

import math

import numpy as np

from sim.network.exchange import exchange
from sim.network.levels import Floats
from sim.network.load import Loads
from sim.network.pricing import Case, own_ports, ring_flows, slice_digits, tree_flows
from sim.network.schedule import Schedule
from sim.network.schedules import schedule


def link_shares(algorithm: str, case: Case) -> Floats:
    """Bytes per link and byte of the collective: by flows for pipelined algorithms, else by the schedule."""
    if algorithm in ("ring", "bidirectional_ring"):
        return ring_shares(case, both=algorithm != "ring")
    if algorithm == "double_binary_tree":
        loads = Loads(case.topology)
        for flow in tree_flows(case, chain=True)[0]:
            loads.add(*flow)
        return loads.load[1:]
    if algorithm in ("switch", "switch_tree"):
        return reduction_shares(algorithm, case)
    if algorithm == "multislice":
        return multislice_shares(case)
    if algorithm in ("direct", "pairwise"):
        return exchange(case.topology, case.layout).load * (case.passes / case.n)
    shape = tuple(d.count for d in case.layout.digits) if algorithm in ("hierarchical", "torus") else ()
    return scheduled_shares(schedule(algorithm, case.kind, case.n, 1.0, shape), case)


def scheduled_shares(plan: Schedule, case: Case) -> Floats:
    """Bytes of a schedule of rank indices, in all groups at once."""
    devices, loads = case.layout.devices, Loads(case.topology)
    for phase in plan.phases:
        size = np.tile(phase.bytes * phase.repeat, len(devices))
        loads.add(devices[:, phase.src].ravel(), devices[:, phase.dst].ravel(), size)
    return loads.load[1:]


def ring_shares(case: Case, both: bool) -> Floats:
    """hops/N of a byte over every ring link of a rank."""
    whole = case.kind in ("broadcast", "reduce")
    factor = 1.0 if whole else case.passes * (case.n - 1) / case.n
    loads = Loads(case.topology)
    for _, (src, dst, share) in ring_flows(case):
        loads.add(src, dst, share * (0.5 if both else 1.0))
        if both:
            loads.add(dst, src, share * 0.5)
    return loads.load[1:] * factor


def reduction_shares(algorithm: str, case: Case) -> Floats:
    """In-network reduction: S up and S down every port, 1/g of it on each NIC of a node with g ranks."""
    total = np.zeros(case.topology.L)
    digits, share = case.layout.digits[: 1 if algorithm == "switch_tree" else None], 1.0
    for i, digit in enumerate(digits):
        src, dst = case.layout.pairs(case.layout.moved(i))
        routes = case.topology.routes(src, dst)
        for link in own_ports(case, i, routes):
            total += np.bincount(link, minlength=case.topology.L) * share
        share /= digit.count
    if algorithm == "switch_tree":
        loads = Loads(case.topology)
        for flow in tree_flows(case, chain=False)[0]:
            loads.add(*flow)
        total += loads.load[1:]
    return total


def multislice_shares(case: Case) -> Floats:
    """Inside a torus part j carries 1/k through the dimensions from j on; between tori rings of what is left."""
    k, loads = slice_digits(case), Loads(case.topology)
    dims = [d.count for d in case.layout.digits]
    for stage in range(k):
        for part in range(k):
            i = (part + stage) % k
            before = math.prod(dims[(part + j) % k] for j in range(stage + 1))
            share = case.passes * (dims[i] - 1) / (2.0 * k * before)
            there, back = case.layout.pairs(case.layout.moved(i))
            loads.add(there, back, share)
            loads.add(back, there, share)
    size = 1.0 / math.prod(dims[:k])
    for i in range(k, len(dims)):
        size /= dims[i]
        loads.add(*case.layout.pairs(case.layout.moved(i)), case.passes * (dims[i] - 1) * size)
    return loads.load[1:]
