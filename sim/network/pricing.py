"""What each algorithm costs on a cluster: seconds(bytes) = fixed_s + bytes·per_byte_s.

`bytes` = S is the full buffer of one rank (ops.Collective).  N ranks; α is a route's latency, found by routing;
every per-byte term is a largest load/cap over links, with all groups of the axis loading the links together.
Sources: Thakur, Rabenseifner & Gropp, IJHPCA 19 (2005) (ring, doubling, halving-doubling); Sanders, Speck & Träff,
Parallel Computing 35 (2009) (double tree); NCCL 2.x `tuning.cc` (ring and tree latency, tree efficiency);
Graham et al., COM-HPC 2016 (in-network reduction).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.network.direct import CUBE_MESH
from sim.network.exchange import exchange, sampled_shifts
from sim.network.layout import Layout
from sim.network.levels import Floats, Ints
from sim.network.load import Loads, seconds_per_byte
from sim.network.multidimensional import sub_rings
from sim.network.records import Cluster, CollectiveCost
from sim.network.topology import Topology
from sim.network.trees import depth, double_tree
from sim.ops import CollectiveKind

#: Share of the ideal bandwidth a pipelined double tree reaches: NCCL tuning.cc multiplies tree bandwidth by 0.9.
TREE_EFFICIENCY = 0.9
#: Ranks that form one chain inside a node at most (an NVL72 rack is 72, a node 8 or 16).
LARGEST_NODE = 72

Flow: TypeAlias = tuple[Ints, Ints, "float | Floats"]


@dataclass(frozen=True)
class Case:
    """One collective on one layout: everything a cost function looks at."""

    cluster: Cluster
    topology: Topology
    layout: Layout
    kind: CollectiveKind

    @property
    def n(self) -> int:
        return self.layout.n

    @property
    def passes(self) -> int:
        """Reduce-scatter and all-gather each move (N-1)/N of the buffer; an all-reduce is both."""
        return 2 if self.kind == "all_reduce" else 1

    def load(self, flows: Iterator[Flow] | list[Flow]) -> tuple[float, list[float]]:
        """Seconds per byte of all flows together, and each flow set's largest latency."""
        loads = Loads(self.topology)
        latencies = [loads.add(*flow) for flow in flows]
        return loads.per_byte, latencies

    def cost(self, algorithm: str, fixed_s: float, per_byte_s: float) -> CollectiveCost:
        return CollectiveCost(algorithm, fixed_s + self.base_s, per_byte_s)

    @property
    def base_s(self) -> float:
        """Launch cost: the largest over the levels the group uses (irregular groups: all)."""
        levels, used = self.cluster.levels, {d.level for d in self.layout.digits}
        return max((x.link.base_s for i, x in enumerate(levels) if i in used or -1 in used), default=0.0)

    @property
    def node(self) -> int:
        """Ranks per node that a chain joins: the innermost digit if it runs inside the innermost of several levels."""
        first = self.layout.digits[0]
        inside = first.level == 0 and (len(self.cluster.levels) > 1 or first.count <= 16)
        return first.count if inside and first.count <= LARGEST_NODE else 1


def ring_flows(case: Case) -> Iterator[tuple[int, Flow]]:
    """(digit, flow) of rings that use every port of a node: one ring per place of a rank below the top digit.

    Ring c = (c₀, c₁, …) enters each block at digit c and leaves it at c-1, so at digit i a rank hands over to the
    rank whose digits 0 … i are one further, in the share Π_{j<i} 1/n_j · (nᵢ-1)/nᵢ of the rings (the top digit: all).
    Shares of a rank add up to 1.  Where members of the innermost digit are joined pairwise the rings are spread over
    all pairs in proportion to their links.
    """
    lay = case.layout
    share, top = 1.0, len(lay.digits) - 1
    for i, digit in enumerate(lay.digits):
        part = share if i == top else share * (digit.count - 1) / digit.count
        for by, weight in spread(case) if i == 0 else ((None, 1.0),):
            to = lay.moved(*range(i + 1)) if by is None else by
            src, dst = lay.pairs(to)
            uniform = isinstance(weight, float)
            yield i, (src, dst, part * weight if uniform else part * np.tile(weight, len(lay.devices)))
        share /= digit.count


def spread(case: Case) -> list[tuple[Ints | None, float | Floats]]:
    """How rings are spread over pairs inside the innermost digit: (index map, weight)."""
    first = case.layout.digits[0]
    direct = first.level >= 0 and case.cluster.levels[first.level].topology
    if direct == "hybrid_cube_mesh" and first.count == 8:
        return cube_mesh_spread(case, single=case.cluster.levels[first.level].link.links_per_device == 4)
    if direct in ("fully_connected", "hybrid_cube_mesh") and first.count > 2:
        return [(case.layout.moved(0, by=k), 1.0 / (first.count - 1)) for k in range(1, first.count)]
    return [(None, 1.0)]


def cube_mesh_spread(case: Case, single: bool) -> list[tuple[Ints | None, float | Floats]]:
    """Rings of a DGX-1 use every NVLink in both directions: the links split into Hamiltonian cycles."""
    index = np.arange(case.n)
    out: list[tuple[Ints | None, float | Floats]] = []
    for by in range(1, 8):
        to = case.layout.moved(0, by=by)
        pairs = [(min(a, b), max(a, b)) for a, b in zip(index % 8, to % 8, strict=True)]
        links = np.array([float(CUBE_MESH.get((int(a), int(b)), 0)) for a, b in pairs])
        weight = (links > 0) / 4.0 if single else links / 6.0
        if (weight > 0).any():
            out.append((to, weight))
    return out


def ring_latency(case: Case, level_latency: list[float], hops: int) -> float:
    """Latency of `hops` ≤ 2(N-1) successive hands-over along ring 0, at the worst start: whole rounds plus the
    remaining hops with the cheapest left out."""
    counts, inside = [], case.n
    for i, digit in enumerate(case.layout.digits):
        inside //= digit.count
        counts.append(digit.count if i == len(case.layout.digits) - 1 else (digit.count - 1) * inside)
    hop = np.sort(np.repeat(level_latency, counts))[::-1]
    rounds, rest = divmod(hops, case.n)
    return float(rounds * hop.sum() + hop[:rest].sum())


def ring(case: Case) -> CollectiveCost:
    """Pipelined ring: hops·α + hops/N·S·β, hops = 2(N-1) for all-reduce, N-1 for its halves;
    broadcast and reduce pass all of S through the ring once: (N-1)·α + S·β."""
    per_byte, latency = ring_load(case, both=False)
    hops = case.passes * (case.n - 1)
    whole = case.kind in ("broadcast", "reduce")
    return case.cost("ring", ring_latency(case, latency, hops), per_byte * (1.0 if whole else hops / case.n))


def ring_load(case: Case, both: bool) -> tuple[float, list[float]]:
    """Seconds per byte if every rank sends one byte along the rings, and the latency of a hop at each digit."""
    loads, latency = Loads(case.topology), [0.0] * len(case.layout.digits)
    for i, (src, dst, share) in ring_flows(case):
        half = share * 0.5 if both else share
        latency[i] = max(latency[i], loads.add(src, dst, half))
        if both:
            loads.add(dst, src, half)
    return loads.per_byte, latency


def bidirectional_ring(case: Case) -> CollectiveCost:
    """Half of the buffer each way round: 2(N-1)·(α + S/(2N)·β)."""
    per_byte, latency = ring_load(case, both=True)
    hops = case.passes * (case.n - 1)
    return case.cost("bidirectional_ring", ring_latency(case, latency, hops), per_byte * hops / case.n)


def double_binary_tree(case: Case) -> CollectiveCost:
    """Chains in the node and two complementary trees between nodes, pipelined (NCCL's "tree"):

    all-reduce 2[(g-1)α_node + log₂M·α_net] + load/0.9, broadcast and reduce half of the latency.
    A node's NICs share its two trees, each rank's NIC carrying 1/g of both.
    """
    flows, kinds = tree_flows(case, chain=True)
    per_byte, latency = case.load(flows)
    g, trees = case.node, case.n // case.node
    chain = max((t for t, k in zip(latency, kinds, strict=True) if k == "chain"), default=0.0)
    net = max((t for t, k in zip(latency, kinds, strict=True) if k == "tree"), default=0.0)
    steps = depth(double_tree(trees)[0]) if trees > 1 else 0
    return case.cost("double_binary_tree", case.passes * ((g - 1) * chain + steps * net), per_byte / TREE_EFFICIENCY)


def tree_flows(case: Case, chain: bool) -> tuple[list[Flow], list[str]]:
    """Flows of one byte all-reduced (broadcast: only down, reduce: only up) over chains and trees."""
    lay, g, flows, kinds = case.layout, case.node, list[Flow](), list[str]()
    up, down = case.kind != "broadcast", case.kind != "reduce"
    if chain and g > 1:
        for by, used in ((1, up), (-1, down)):
            if used:
                src, dst = lay.pairs(lay.moved(0, by=by))
                flows.append((src, dst, (g - 1) / g))
                kinds.append("chain")
    nodes = case.n // g
    if nodes > 1:
        for parent in double_tree(nodes):
            child = np.flatnonzero(parent >= 0)
            low = (child[:, None] * g + np.arange(g)).ravel()
            high = (parent[child][:, None] * g + np.arange(g)).ravel()
            for a, b, used in ((low, high, up), (high, low, down)):
                if used:
                    flows.append((*lay.pairs(b, chosen=a), 0.5 / g))
                    kinds.append("tree")
    return flows, kinds


def hierarchical(case: Case) -> CollectiveCost:
    """Reduce-scatter up the digits by rings, all-gather down: Σᵢ 2(nᵢ-1)(αᵢ + S/(Π_{j≤i} n_j)·βᵢ)."""
    fixed = per_byte = 0.0
    size = 1.0
    for i, digit in enumerate(case.layout.digits):
        size /= digit.count
        beta, (alpha,) = case.load([(*case.layout.pairs(case.layout.moved(i)), 1.0)])
        steps = case.passes * (digit.count - 1)
        fixed += steps * alpha
        per_byte += steps * size * beta
    return case.cost("hierarchical", fixed, per_byte)


def torus(case: Case) -> CollectiveCost:
    """k rotated parts of the buffer go through all k dimensions at once, each by bidirectional rings; part j starts
    at dimension j.  Equal sizes D give Σᵢ 2(D-1)(α + S/(2k·D^i)·β), i = 1 … k.

    Unequal sizes: in lock-step, a shorter dimension sending smaller messages (`sub_rings`), as the schedule does.
    """
    fixed, per_byte = rotated(case, len(case.layout.digits))
    return case.cost("torus", case.passes * fixed, case.passes * per_byte)


def rotated(case: Case, k: int) -> tuple[float, float]:
    """(fixed, per byte) of a reduce-scatter or all-gather over the k innermost digits, rotated parts in parallel."""
    dims, beta, alpha = [d.count for d in case.layout.digits[:k]], [], []
    for i in range(k):
        there, back = case.layout.pairs(case.layout.moved(i))
        seconds, latency = case.load([(there, back, 0.5), (back, there, 0.5)])
        beta.append(seconds)
        alpha.append(max(latency))
    fixed = per_byte = 0.0
    for stage in range(k):
        parts = []
        for part in range(k):
            i = (part + stage) % k
            before = math.prod(dims[(part + j) % k] for j in range(stage + 1))
            rings = sub_rings(dims[i], max(dims))
            parts.append((rings * (dims[i] - 1), beta[i] / (k * before * rings)))
        at = 0
        for until in sorted({steps for steps, _ in parts}):
            fixed += (until - at) * max(alpha)
            per_byte += (until - at) * max(b for steps, b in parts if steps >= until)
            at = until
    return fixed, per_byte


def slice_digits(case: Case) -> int:
    """How many innermost digits are dimensions of a torus."""
    digits = case.layout.digits
    wraps = [d.level >= 0 and case.cluster.levels[d.level].topology in ("torus", "ring") for d in digits]
    return wraps.index(False) if False in wraps else len(wraps)


def multislice(case: Case) -> CollectiveCost:
    """Several tori joined by a network: reduce-scatter inside every torus on all its dimensions, rings between the
    tori with 1/n of the buffer for each device, all-gather inside (XLA's hierarchical collectives over slices)."""
    k = slice_digits(case)
    fixed, per_byte = rotated(case, k)
    size = 1.0 / math.prod(d.count for d in case.layout.digits[:k])
    for i in range(k, len(case.layout.digits)):
        count = case.layout.digits[i].count
        size /= count
        beta, (alpha,) = case.load([(*case.layout.pairs(case.layout.moved(i)), 1.0)])
        fixed, per_byte = fixed + (count - 1) * alpha, per_byte + (count - 1) * size * beta
    return case.cost("multislice", case.passes * fixed, case.passes * per_byte)


def direct(case: Case) -> CollectiveCost:
    """Every rank sends to every other at once: reduce-scatter, all-gather and all-to-all take α + S/N·load;
    an all-reduce takes both halves."""
    found = exchange(case.topology, case.layout)
    per_byte = seconds_per_byte(found.load, case.topology)
    return case.cost("direct", case.passes * found.latency, case.passes * per_byte / case.n)


def pairwise(case: Case) -> CollectiveCost:
    """All-to-all in N-1 steps, rank r sending to r+k: Σ_k (α_k + S/N·β_k)."""
    index, fixed, per_byte = np.arange(case.n), 0.0, 0.0
    which, weight = sampled_shifts(case.topology, case.layout)
    for by in which:
        beta, (alpha,) = case.load([(*case.layout.pairs((index + by) % case.n), weight)])
        fixed += alpha * weight
        per_byte += beta / case.n
    return case.cost("pairwise", fixed, per_byte)


def swap(case: Case, distance: int, ranks: int) -> tuple[float, float]:
    """(s per byte, latency) of rank i < `ranks` exchanging one byte with i xor distance."""
    index = np.arange(ranks)
    beta, (alpha,) = case.load([(*case.layout.pairs(index ^ distance, chosen=index), 1.0)])
    return beta, alpha


def fold(case: Case) -> tuple[int, float, float]:
    """Ranks beyond the largest power of two p first send all to a partner, and get the result at the end:
    (p, fixed, per byte)."""
    p = 1 << (case.n.bit_length() - 1)
    if p == case.n:
        return p, 0.0, 0.0
    extra = np.arange(p, case.n)
    fixed = per_byte = 0.0
    for a, b in ((extra, extra - p), (extra - p, extra)):
        beta, (alpha,) = case.load([(*case.layout.pairs(b, chosen=a), 1.0)])
        fixed, per_byte = fixed + alpha, per_byte + beta
    return p, fixed, per_byte


def recursive_doubling(case: Case) -> CollectiveCost:
    """log₂N exchanges of all of S: Σ (α + S·β); an all-gather doubles its piece each time: Σ α + 2^k/N·S·β."""
    p, fixed, per_byte = fold(case) if case.kind in ("all_reduce", "barrier") else (case.n, 0.0, 0.0)
    distance = 1
    while distance < p:
        beta, alpha = swap(case, distance, p)
        fixed += alpha
        per_byte += beta * (distance / case.n if case.kind == "all_gather" else 1.0)
        distance *= 2
    return case.cost("recursive_doubling", fixed, 0.0 if case.kind == "barrier" else per_byte)


def halving_doubling(case: Case) -> CollectiveCost:
    """Rabenseifner: halves at distance p/2, p/4 … and back, 2log₂N·α + 2(N-1)/N·S·β; fold step for any N."""
    p, fixed, per_byte = fold(case)
    distance, size = 1, 0.5
    while distance < p:
        beta, alpha = swap(case, distance, p)
        fixed += case.passes * alpha
        per_byte += case.passes * beta * size
        distance, size = distance * 2, size / 2
    return case.cost("halving_doubling", fixed, per_byte)


def switch(case: Case) -> CollectiveCost:
    """Reduction in the switches: every rank sends S and receives S once, the levels pipelined: α + S·max β.
    A node sends S once over all its ports.  Rate = reduction efficiency of each link type."""
    per_byte = fixed = 0.0
    share = 1.0
    for i, digit in enumerate(case.layout.digits):
        beta, alpha = reduction_step(case, i, share)
        per_byte, fixed = max(per_byte, beta), fixed + alpha
        share /= digit.count
    return case.cost("switch", fixed, per_byte)


def reduction_step(case: Case, digit: int, share: float) -> tuple[float, float]:
    """(s per byte, latency up and down) of the in-network reduction at one digit's switches: only ports count."""
    lay, link = case.layout, case.cluster.levels[case.layout.digits[digit].level].link
    src, dst = lay.pairs(lay.moved(digit))
    routes = case.topology.routes(src, dst)
    load = np.bincount(own_ports(case, digit, routes)[0], minlength=case.topology.L) * share
    slow = link.efficiency / link.reduction_efficiency if link.reduction_efficiency else 1.0
    beta = float((load / case.topology.cap).max()) * slow
    return beta, float(np.append(case.topology.lat, 0.0)[routes].sum(axis=1).max())


def own_ports(case: Case, digit: int, routes: Ints) -> tuple[Ints, Ints]:
    """The first and the last link of every route that belong to the digit's own level (others lead to its port)."""
    low, high = case.topology.span_of(case.layout.digits[digit].level)
    own = (routes >= low) & (routes < high)
    rows, column = np.arange(len(routes)), np.arange(routes.shape[1])
    return routes[rows, own.argmax(axis=1)], routes[rows, np.where(own, column, 0).max(axis=1)]


def switch_tree(case: Case) -> CollectiveCost:
    """Reduction in the node's switch, double binary tree between nodes, pipelined (NCCL's NVLSTree)."""
    beta, alpha = reduction_step(case, 0, 1.0)
    flows, _ = tree_flows(case, chain=False)
    net, latency = case.load(flows)
    steps = depth(double_tree(case.n // case.node)[0])
    fixed = alpha + 2 * steps * max(latency, default=0.0)
    return case.cost("switch_tree", fixed, max(beta, net / TREE_EFFICIENCY))


Pricer: TypeAlias = Callable[[Case], CollectiveCost]
