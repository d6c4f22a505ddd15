"""Link loads of an exchange of all with all: every rank sends one byte to every other rank of its group.

Few messages are routed one by one.  Many of a regular group are counted, not routed: a rank's messages leave at the
outermost level at which their ends differ, and each topology knows what a set of devices that exchange puts on its
links (`LevelTopology.exchange`; hash ECMP: the expected load).  What has no such formula (graphs, dead links, groups
without a pattern, Valiant routing, large dragonflies) is met with a stratified sample of shifts r → r+k, seeded by the
size of the group: ports stay exact, trunks are met in proportion.  Where units of every level are alike, every rank of
such a shift is counted; elsewhere, of very many, some.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from sim.network.composed import Composed
from sim.network.flows import Sends, Traffic
from sim.network.layout import Layout, aligned
from sim.network.load import Load, spread
from sim.network.topologies.base import PAIRS, Ints
from sim.network.topology import Topology
from sim.records import dataclass

#: Link visits (messages x hops) that are routed one by one.
VISITS = 1 << 20
#: Shifts that are looked at, at least.
LEAST = 16


@dataclass(frozen=True)
class Exchange:
    """`load`: bytes on every link; `latency`: of the longest path (s); `exact`: not a sample."""

    load: Load
    latency: float
    exact: bool = True


def exchange(topology: Topology, lay: Layout) -> Exchange:
    """Loads and latency of all groups of a layout exchanging at once."""
    many = lay.groups * lay.n * (lay.n - 1) > VISITS
    if many and (counted := count(topology, lay)) is not None:
        return counted
    far = hops(topology, lay)
    shifts, weight = sampled_shifts(topology, lay, far)
    whole = len(shifts) == lay.n - 1
    if not whole and not many and (counted := count(topology, lay)) is not None:
        return counted
    free = isinstance(topology, Composed) and topology.symmetric and all(router.free for router in topology.routers)
    if free and lay.listed is None:
        return shifted(topology, lay, shifts, weight)
    load, latency = np.zeros(topology.L + 1), 0.0
    every = -(-lay.groups * lay.n * far // VISITS) if lay.groups * lay.n * far > 4 * VISITS else 1
    senders = np.arange(0, lay.n, min(every, lay.n // 2 or 1))
    whole, weight = whole and len(senders) == lay.n, weight * lay.n / len(senders)
    batch = max(1, VISITS // max(1, lay.groups * len(senders) * far))
    for src, dst in shifted_pairs(lay, shifts, senders, batch):
        routes = topology.routes(src, dst)
        latency = max(latency, float(topology.latency(routes).max(initial=0.0)))
        load += np.bincount(routes.ravel() + 1, minlength=topology.L + 1)
    return Exchange(spread(topology.ledger, load[1:] * weight), latency, whole)


def shifted(topology: Topology, lay: Layout, shifts: Ints, weight: float) -> Exchange:
    """These shifts r → r+k, of all ranks of all groups."""
    load, latency = Load(topology.ledger), 0.0
    for k in shifts.tolist():
        found = topology.flows(lay.flows(Sends(((k, lay.n),))))
        load, latency = load + found.load, max(latency, found.latency)
    return Exchange(load * weight, latency, len(shifts) == lay.n - 1)


def count(topology: Topology, lay: Layout) -> Exchange | None:
    """The exchange counted, where it can be."""
    return Counting(topology).run(lay) if isinstance(topology, Composed) else None


def shifted_pairs(
    lay: Layout, shifts: Ints, senders: Ints | None = None, batch: int = 64
) -> Iterator[tuple[Ints, Ints]]:
    """Messages r → r+k of all groups, `batch` shifts k at a time, of all ranks or some."""
    ranks = np.arange(lay.n) if senders is None else senders
    for start in range(0, len(shifts), batch):
        some = shifts[start : start + batch]
        to = (ranks[None, :] + some[:, None]) % lay.n
        src = np.broadcast_to(lay.devices[:, ranks], (len(some), len(lay.devices), len(ranks)))
        yield src.ravel(), lay.devices[:, to].transpose(1, 0, 2).ravel()


def hops(topology: Topology, lay: Layout) -> int:
    """Links of a long path: across the first group."""
    src, dst = np.array([[lay.first(0)], [lay.first(lay.n // 2)]])
    return int(topology.routes(src, dst).shape[1])


def sampled_shifts(topology: Topology, lay: Layout, far: int | None = None) -> tuple[Ints, float]:
    """The shifts k = 1 … N-1 to look at, and how many each one stands for: all of them, or one out of each of some
    equal strata. `far`: links of a long path."""
    n, far = lay.n, hops(topology, lay) if far is None else far
    most = max(LEAST, VISITS // max(1, lay.groups * lay.n * far))
    if n - 1 <= most:
        return np.arange(1, n), 1.0
    edges = np.linspace(1, n, most + 1)
    within = np.random.default_rng(n).random(most)
    return (edges[:-1] + within * np.diff(edges)).astype(np.int64), (n - 1) / most


class Counting:
    """Loads by counting, level by level."""

    def __init__(self, topology: Composed) -> None:
        self.topology = topology
        self.load = Load(topology.ledger)
        self.latency: list[float] = []  # of a message that leaves at each level, planar detours included

    def run(self, lay: Layout) -> Exchange | None:
        """None where a group is not the product of its places in every level, or a router has no formula."""
        counts = self.counts(lay)
        if counts is None:
            return None
        weight, weights = 1.0, list[float]()
        for level in reversed(range(len(counts))):
            weights.insert(0, weight)
            shape = self.topology.routers[level].shape
            if self.topology.routers[level].planar and counts[level] > 1 and np.prod(counts[:level]) > 1:
                if shape.ports != shape.block:
                    return None  # devices that share a port need no detour: not uniform
                weight *= counts[level]
        for level, count in enumerate(counts):
            if not self.add_level(lay, counts, level, weights[level] if count > 1 else 0.0):
                return None
        return Exchange(self.load, max(self.latency, default=0.0))

    def counts(self, lay: Layout) -> list[int] | None:
        """Members visited at each level, if the places at a level do not depend on those at other levels."""
        counts, inside = [1] * len(self.topology.routers), 1
        for digit in lay.digits:
            if digit.level < 0:
                return None
            counts[digit.level] *= digit.count
        if self.aligned(lay):
            return counts
        for level, count in enumerate(counts):
            block, size = self.topology.widths[level], self.topology.routers[level].shape.n
            place = (lay.devices // block % size).reshape(len(lay.devices), -1, count, inside)
            if (place != place[:, :1, :, :1]).any():
                return None
            inside *= count
        return counts

    def aligned(self, lay: Layout) -> bool:
        """Whether the groups fill the levels evenly."""
        whole = all(aligned(lay.stride, lay.stride * lay.n, width) for width in self.topology.widths)
        return lay.listed is None and whole

    def add_level(self, lay: Layout, counts: list[int], level: int, weight: float) -> bool:
        """Messages between members of one level, `weight` bytes each; False if the router has no formula."""
        if weight == 0.0:
            self.latency.append(0.0)
            return True
        router, inside, count = self.topology.routers[level], prod(counts[:level]), counts[level]
        if router.planar:  # all messages to an offset start there: `inside` of them for every pair of members
            weight *= inside
        if (found := self.some(lay, inside, count, level)) is None:
            found = self.all(lay, inside, count, level)
        if found is None:
            return False
        self.load = self.load + found.load * weight
        self.latency.append(found.latency + (max(self.latency, default=0.0) if router.planar else 0.0))
        return True

    def some(self, lay: Layout, inside: int, count: int, level: int) -> Traffic | None:
        """Small groups that lie alike: one of each kind, routed message by message. None: others."""
        router = self.topology.routers[level]
        low, size = (lay.stride * inside, count) if router.planar else (lay.stride, inside * count)
        if not self.aligned(lay):
            return None
        shown = self.topology.rows(level, lay.groups * lay.n, size, low)
        if shown is None or len(shown.ends.src) * size**2 > PAIRS:
            return None
        i, j = np.divmod(np.arange(size**2), size)
        apart = i != j if router.planar else i // inside != j // inside
        src, dst = (shown.ends.src[:, None] + low * side[apart] for side in (i, j))
        return self.topology.routed(level, src.ravel(), dst.ravel(), shown, int(apart.sum()))

    def all(self, lay: Layout, inside: int, count: int, level: int) -> Traffic | None:
        """All groups by the formula of the level."""
        router, rows = self.topology.routers[level], lay.devices.reshape(-1, count * inside)
        if router.planar:
            rows = rows.reshape(-1, count, inside).transpose(0, 2, 1).reshape(-1, count)
        found = router.exchange(rows, 1 if router.planar else inside)
        if found is None:
            return None
        load, offset = np.zeros(self.topology.L), self.topology.offsets[level]
        load[offset : offset + len(found[0])] = found[0]
        return Traffic(spread(self.topology.ledger, load), found[1])
