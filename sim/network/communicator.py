"""What a collective costs on a cluster: the one door of this room.

>>> communicator = Communicator(cluster)
>>> communicator.time("all_reduce", 1e9, Group(size=64))            # cheapest algorithm a library would run
>>> communicator.time("all_reduce", 1e9, Group(64), "ring")         # a named one
>>> communicator.times("all_reduce", np.logspace(3, 10), Group(64))  # an array of sizes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sim.errors import InputError, Problem
from sim.network.algorithms import ALGORITHMS, refusal
from sim.network.algorithms.base import Case
from sim.network.build import topology
from sim.network.flows import Flows, Listed, Sends
from sim.network.layout import Digit, Layout, layout
from sim.network.load import Load
from sim.network.phases import solve
from sim.network.protocols import SUFFIX, low_latency
from sim.network.records import Cluster, CollectiveCost, Group, LinkType
from sim.network.schedule import Schedule, all_to_all_unequal
from sim.network.topologies.base import Floats, Ints
from sim.network.topology import Topology
from sim.ops import CollectiveKind

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Communicator:
    """Prices collectives on one cluster. Costs are affine in bytes and kept per (kind, group, algorithm).

    `narrow`: a communicator of the same cluster with all links `width` times as narrow; routes and latencies are the
    same, a byte takes 1/width of the time.
    """

    def __init__(self, cluster: Cluster, narrow: Communicator | None = None, width: float = 1.0) -> None:
        self.cluster = cluster
        self.narrow, self.width = narrow, width
        if narrow is None:
            self.topology = topology(cluster)
        self._cases: dict[tuple[str, Group], Case] = {}
        self._groups: dict[Group, Case] = {}  # one of each group's
        self._costs: dict[tuple[str, Group, str], CollectiveCost] = {}
        self._lines: dict[tuple[str, Group, str], tuple[CollectiveCost, ...]] = {}
        self._candidates: dict[tuple[str, Group], tuple[CollectiveCost, ...]] = {}
        self._hops: dict[tuple[int, int], CollectiveCost] = {}

    @cached_property
    def topology(self) -> Topology:
        """The cluster's links; of a wide one only where they are asked for."""
        return topology(self.cluster)

    def _wide(self, cost: CollectiveCost) -> CollectiveCost:
        """A cost of the narrow cluster."""
        return replace(cost, per_byte_s=cost.per_byte_s / self.width)

    def time(self, kind: CollectiveKind, nbytes: float, group: Group, algorithm: str | None = None) -> float:
        """Seconds of one collective; `nbytes` is the full buffer of one rank (see ops.Collective)."""
        if group_size(group) == 1:
            return 0.0
        return min(cost.seconds(nbytes) for cost in self.lines(kind, group, algorithm))

    def times(self, kind: CollectiveKind, nbytes: ArrayLike, group: Group, algorithm: str | None = None) -> Floats:
        """Seconds for an array of sizes."""
        sizes = np.asarray(nbytes, dtype=float)
        if group_size(group) == 1:
            return np.zeros_like(sizes)
        costs = self.lines(kind, group, algorithm)
        out = costs[0].fixed_s + sizes * costs[0].per_byte_s
        for cost in costs[1:]:
            np.minimum(out, cost.fixed_s + sizes * cost.per_byte_s, out=out)
        return np.asarray(out)

    def lines(self, kind: CollectiveKind, group: Group, algorithm: str | None = None) -> tuple[CollectiveCost, ...]:
        """The affine costs to take the least of, by falling slope: of the candidates, or of one named algorithm under
        each protocol, those that are cheapest for some size."""
        key = (kind, group, algorithm or "")
        if key not in self._lines:
            costs = self.costs(kind, group) if algorithm is None or kind == "send" else self._protocols(*key)
            self._lines[key] = envelope(costs)
        return self._lines[key]

    def _protocols(self, kind: CollectiveKind, group: Group, algorithm: str) -> tuple[CollectiveCost, ...]:
        cost = self.cost(kind, group, algorithm)
        if algorithm.endswith(SUFFIX):
            return (cost,)
        return (cost, *low_latency((self.narrow or self).case(kind, group), (cost,)))

    def choose(self, kind: CollectiveKind, nbytes: float, group: Group) -> CollectiveCost:
        """The cheapest algorithm for this size."""
        return min(self.lines(kind, group), key=lambda cost: cost.seconds(nbytes))

    def costs(self, kind: CollectiveKind, group: Group, every: bool = False) -> tuple[CollectiveCost, ...]:
        """Candidates a library would choose from; `every`: all algorithms that can run."""
        if self.narrow is not None:
            return tuple(map(self._wide, self.narrow.costs(kind, group, every)))
        if group_size(group) == 1:
            self.case(kind, group)  # a rank that does not exist is an error
            return (CollectiveCost("none", 0.0, 0.0),)
        if kind == "send":
            self.case(kind, group)  # a group that does not fit is an error
            return (self.chain(group.ranks) if group.ranks else self.hop(group.stride),)
        key = (kind, group)
        if every or key not in self._candidates:
            case = self.case(kind, group)
            names = [n for n in ALGORITHMS if not refusal(n, case) and (every or ALGORITHMS[n].considered(case))]
            costs = tuple(self.cost(kind, group, n) for n in names)
            if every:
                return costs
            self._candidates[key] = costs + low_latency(case, costs)
        return self._candidates[key]

    def cost(self, kind: CollectiveKind, group: Group, algorithm: str) -> CollectiveCost:
        """The affine cost of one named algorithm (…/low-latency: under that protocol); InputError if it cannot run."""
        if self.narrow is not None:
            return self._wide(self.narrow.cost(kind, group, algorithm))
        key = (kind, group, algorithm)
        if key not in self._costs:
            case = self.case(kind, group)
            name = algorithm.removesuffix(SUFFIX)
            self.check(name, case)
            cost = ALGORITHMS[name].cost(case) if case.n > 1 else CollectiveCost(name, 0.0, 0.0)
            self._costs[key] = cost if name == algorithm else self._low_latency(case, cost)
        return self._costs[key]

    def _low_latency(self, case: Case, cost: CollectiveCost) -> CollectiveCost:
        lines = low_latency(case, (cost,))
        if not lines:
            rule = f"the links of this group have no low-latency protocol; {cost.algorithm} runs without"
            raise InputError(Problem(rule, path="algorithm", value=cost.algorithm + SUFFIX))
        return lines[0]

    def check(self, algorithm: str, case: Case) -> None:
        """Raise InputError saying why the algorithm cannot run here and which can."""
        if case.kind == "send":
            raise InputError(Problem("a send is one message, without algorithms", path="algorithm", value=algorithm))
        able = [n for n in ALGORITHMS if case.n == 1 or not refusal(n, case)]
        if algorithm in able:
            return
        can = f"can run here: {', '.join(able)}"
        if algorithm not in ALGORITHMS:
            raise InputError(Problem(f"no such algorithm; {can}", path="algorithm", value=algorithm))
        if why := refusal(algorithm, case):
            raise InputError(Problem(f"{algorithm} {why}; {can}", path="algorithm", value=algorithm))

    def case(self, kind: CollectiveKind, group: Group) -> Case:
        """The layout of a group over the cluster, ready for pricing."""
        key = (kind, group)
        if key not in self._cases:
            known = self._groups.get(group)
            if known is None:
                known = self._groups[group] = Case(self.cluster, self.topology, layout(self.cluster, group), kind)
            self._cases[key] = known.of(kind)
        return self._cases[key]

    def launch_s(self, kind: CollectiveKind, group: Group) -> float:
        """Launch of a collective (s)."""
        return (self.narrow or self).case(kind, group).base_s

    def schedule(
        self,
        kind: CollectiveKind,
        nbytes: float,
        group: Group,
        algorithm: str | None = None,
        chunks: int = 4,
        every: bool = False,
    ) -> Schedule:
        """The phases of the collective on the first group of the axis (its devices, in device order), or on every
        group at once.

        `chunks`: pieces that follow each other through a pipeline (trees, switches, broadcast along a ring).
        """
        case = self.case(kind, group)
        devices = case.layout.devices if every else case.layout.devices[:1]
        return ALGORITHMS[self._named(case, nbytes, group, algorithm)].schedule(case, devices, nbytes, chunks)

    def load(self, kind: CollectiveKind, nbytes: float, group: Group, algorithm: str | None = None) -> Load:
        """Bytes over the links if all groups of the axis run the collective once, equal links together."""
        case = self.case(kind, group)
        if case.n == 1:
            return Load(self.topology.ledger)
        return ALGORITHMS[self._named(case, nbytes, group, algorithm)].load(case) * nbytes

    def link_loads(self, kind: CollectiveKind, nbytes: float, group: Group, algorithm: str | None = None) -> Floats:
        """The same, one figure per link (index as in `topology.cap`)."""
        return self.load(kind, nbytes, group, algorithm).every()

    def _named(self, case: Case, nbytes: float, group: Group, algorithm: str | None) -> str:
        """The algorithm asked for, or the cheapest, without its protocol."""
        name = (algorithm or self.choose(case.kind, nbytes, group).algorithm).removesuffix(SUFFIX)
        self.check(name, case)
        return name

    def hop(self, stride: int) -> CollectiveCost:
        """Every rank r sends to r + stride at once (a pipeline hop)."""
        key = (-1, stride)
        if key not in self._hops:
            if self.narrow is not None:
                self._hops[key] = self._wide(self.narrow.hop(stride))
            else:
                devices = self.cluster.devices
                every = Flows(devices - stride, Sends(((stride, devices),)))
                self._hops[key] = self._flows_cost(self._placed(*every.every[:2]) if self.cluster.rank_order else every)
        return self._hops[key]

    def chain(self, ranks: Sequence[int]) -> CollectiveCost:
        """Every rank of a list sends to the next one at once."""
        return self._flows_cost(self._placed(np.array(ranks[:-1]), np.array(ranks[1:])))

    def send(self, nbytes: float, stride: int) -> float:
        """Seconds of all pipeline hops r → r + stride at once."""
        return self.hop(stride).seconds(nbytes)

    def exchange(self, nbytes: Floats, ranks: Sequence[int]) -> float:
        """Seconds of an unequal all-to-all alone: nbytes[i, j] from ranks[i] to ranks[j], all at once."""
        order = self.cluster.rank_order
        devices = [order[r] for r in ranks] if order else ranks
        return solve(all_to_all_unequal(nbytes, devices), self.topology)

    def p2p(self, nbytes: float, src: int, dst: int) -> float:
        """Seconds of one message alone on the network."""
        if src == dst:
            return 0.0
        key = (src, dst)
        if key not in self._hops:
            self._hops[key] = self._flows_cost(self._placed(np.array([src]), np.array([dst])))
        return self._hops[key].seconds(nbytes)

    def _placed(self, src: Ints, dst: Ints) -> Listed:
        """Messages between ranks as those between devices."""
        if self.cluster.rank_order:
            order = np.array(self.cluster.rank_order, dtype=np.int64)
            src, dst = order[src], order[dst]
        return Listed(src, dst)

    def _flows_cost(self, flows: Flows | Listed) -> CollectiveCost:
        if self.narrow is not None:
            return self._wide(self.narrow._flows_cost(flows))
        load, latency = self.topology.flows(flows)
        used = self.topology.levels(flows) if self.cluster.levels else set()
        base = max((launch_s(level.link) for i, level in enumerate(self.cluster.levels) if i in used), default=0.0)
        return CollectiveCost("send", latency + base, load.per_byte)


@lru_cache(maxsize=512)
def communicator_of(cluster: Cluster) -> Communicator:
    """One communicator per cluster: its costs are memoised.  Clusters that differ in nothing but the width of all their
    links, by a power of two, are routed once: such a factor leaves every figure what it would be alone, to the bit."""
    edges, levels = (edge.bandwidth for edge in cluster.edges), (level.link.bandwidth for level in cluster.levels)
    bandwidth = max((*edges, *levels), default=1.0)
    width = math.ldexp(1.0, math.frexp(bandwidth)[1] - 1)
    if width == 1.0:
        return Communicator(cluster)
    return Communicator(cluster, communicator_of(wider(cluster, 1 / width)), width)


def wider(cluster: Cluster, factor: float) -> Cluster:
    """Every link so many times as wide."""

    def scaled(link: LinkType) -> LinkType:
        return replace(link, bandwidth=factor * link.bandwidth)

    return replace(
        cluster,
        levels=tuple(replace(level, link=scaled(level.link)) for level in cluster.levels),
        edges=tuple(replace(edge, bandwidth=factor * edge.bandwidth) for edge in cluster.edges),
    )


def schedule(
    algorithm: str,
    kind: CollectiveKind,
    ranks: int | Sequence[int],
    nbytes: float,
    shape: tuple[int, ...] = (),
    chunks: int = 4,
) -> Schedule:
    """The phases of a collective of `nbytes` (the full buffer of one rank) on `ranks` (a number, or device numbers),
    wherever they are: `Communicator.schedule` knows the cluster.

    `shape`: members per level or torus dimension, innermost first (default one dimension).
    """
    devices = tuple(range(ranks)) if isinstance(ranks, int) else tuple(ranks)
    if algorithm not in ALGORITHMS:
        known = f"no schedule for this algorithm; known: {', '.join(ALGORITHMS)}"
        raise InputError(Problem(known, "algorithm", algorithm))
    dims = shape or (len(devices),)
    if int(np.prod(dims)) != len(devices):
        raise InputError(Problem(f"sizes must multiply to the {len(devices)} ranks", "shape", str(dims)))
    lay = Layout(len(devices), tuple(Digit(count, -1) for count in dims))
    case = Case(Cluster("ranks", "", len(devices)), Topology(), lay, kind)
    if why := ALGORITHMS[algorithm].needs(case):
        rule = f"{algorithm} {why}; ring, direct and others take any number"
        raise InputError(Problem(rule, "ranks", str(len(devices))))
    return ALGORITHMS[algorithm].schedule(case, np.array([devices], dtype=np.int64), nbytes, chunks)


def launch_s(link: LinkType) -> float:
    """Launch of a message (s)."""
    return link.base_s if link.message_base_s is None else link.message_base_s


def group_size(group: Group) -> int:
    return len(group.ranks) or group.size


def envelope(costs: Sequence[CollectiveCost]) -> tuple[CollectiveCost, ...]:
    """Lower envelope of lines for bytes ≥ 0: steepest first, each cheapest on some stretch."""
    hull: list[CollectiveCost] = []
    for line in sorted(costs, key=lambda c: (c.fixed_s, c.per_byte_s)):
        if hull and line.per_byte_s >= hull[-1].per_byte_s:
            continue
        while len(hull) > 1 and crossing(hull[-2], line) <= crossing(hull[-2], hull[-1]):
            hull.pop()
        hull.append(line)
    return tuple(hull)


def crossing(steep: CollectiveCost, flat: CollectiveCost) -> float:
    """Bytes from which the flatter line is the cheaper one."""
    return (flat.fixed_s - steep.fixed_s) / (steep.per_byte_s - flat.per_byte_s)
