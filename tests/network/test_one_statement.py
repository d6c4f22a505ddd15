"""An algorithm says once what it sends: its price, its load on every link and its schedule are of one piece."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from clusters import flat, link, two_level
from test_schedules import execute, own

from sim import from_graph
from sim.errors import InputError
from sim.network import Cluster, Communicator, Group, Level, level_of, link_bytes, resize, solve, topology
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import complete_cycles
from sim.ops import CollectiveKind

SLICES = Cluster(
    "slices", "test", 32,
    (Level("slice", "torus", (2, 4), link()), Level("net", "switch", (4,), link(bandwidth=8e9, latency_s=4e-6))),
)  # fmt: skip
CLUSTERS = [
    flat("switch", 8),
    flat("switch", 6),
    flat("ring", 6),
    flat("torus", 4, 4),
    flat("torus", 2, 3),
    flat("torus", 4, 3, 2),
    flat("twisted_torus", 2, 4),
    flat("twisted_torus", 4, 2, 4),
    flat("mesh", 3, 4),
    flat("fully_connected", 5),
    flat("fully_connected", 6),
    flat("hybrid_cube_mesh", 8),
    flat("fat_tree", 16, options={"leaf": 4}, oversubscription=2.0),
    flat("fat_tree", 16, options={"leaf": 2, "pod": 4, "tiers": 3}),
    flat("dragonfly", 2, 2, 4),
    flat("hyperx", 2, 2, 3),
    two_level(4, "rail", options={"leaf": 2}),
    two_level(4, "rail", g=4, options={"leaf": 2, "pxn": 0}),
    two_level(3, "fat_tree", nics=4),
    two_level(4, "ring", g=4),
    two_level(4, "fully_connected", g=4),
    two_level(4, "switch", g=4),
    SLICES,
]
KINDS: tuple[CollectiveKind, ...] = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "reduce")
S = 1e6


def name(cluster: Cluster) -> str:
    return "+".join(f"{lv.topology}{lv.sizes}" for lv in cluster.levels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cluster", CLUSTERS, ids=name)
def test_the_schedule_puts_on_every_link_what_the_load_says(cluster: Cluster, kind: CollectiveKind) -> None:
    """Bytes of all phases, routed message by message, for every algorithm that can run. Out of a node's switch and back
    in go the 1/g that each rank carries on, which the measured rate of the reduction counts."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    for cost in communicator.costs(kind, group, every=True):
        plan = communicator.schedule(kind, S, group, cost.algorithm)
        sent = link_bytes(plan, communicator.topology)
        load = communicator.link_loads(kind, S, group, cost.algorithm)
        if cost.algorithm in ("switch", "switch_tree") and len(cluster.levels) > 1:
            assert (sent >= load * (1 - 1e-9)).all()
            assert (sent <= load * (1 + 1 / cluster.levels[0].size + 1e-9)).all()
        else:
            assert sent == pytest.approx(load, rel=1e-9), cost.algorithm
        assert (load / communicator.topology.cap).max() <= cost.per_byte_s * S * (1 + 1e-9)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=name)
def test_what_a_library_chooses_can_be_written_out_and_is_right(cluster: Cluster) -> None:
    """Each all-reduce that is chosen for some size, executed: every rank ends with every contribution exactly once."""
    communicator, n = Communicator(cluster), cluster.devices
    for cost in communicator.costs("all_reduce", Group(n)):
        plan = communicator.schedule("all_reduce", S, Group(n), cost.algorithm)
        for buffer in execute(plan, own(n, plan.pieces)):
            assert all(content == Counter(range(n)) for content in buffer), cost.algorithm


LOCK_STEP = {
    "direct", "halving_doubling", "hierarchical", "multislice", "pairwise", "recursive_doubling", "swing", "torus",
    "twisted_torus",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cluster", [c for c in CLUSTERS if c.levels[-1].topology != "dragonfly"], ids=name)
def test_the_price_of_a_lock_step_algorithm_is_what_its_phases_take(cluster: Cluster, kind: CollectiveKind) -> None:
    """Σ over phases of latency + max-min transfer: equal where the messages of a phase are equal, else a bound."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    for cost in communicator.costs(kind, group, every=True):
        if cost.algorithm in LOCK_STEP:
            plan = communicator.schedule(kind, S, group, cost.algorithm)
            solved = solve(plan, communicator.topology)
            if all(np.ptp(phase.bytes) == 0 for phase in plan.phases):
                assert cost.seconds(S) == pytest.approx(solved, rel=1e-9), cost.algorithm
            assert cost.seconds(S) <= solved * (1 + 1e-9)


def three_level(middle: str, outer: str) -> Cluster:
    """Nodes of two, four to a block, three blocks: flows that turn off to another port on two levels."""
    sizes = ((2,), (4,), (3,))
    names = zip(("switch", middle, outer), sizes, strict=True)
    levels = tuple(Level(f"level{i}", topology, size, link()) for i, (topology, size) in enumerate(names))
    return Cluster("three levels", "test", 24, levels)


BIG = [
    *CLUSTERS,
    flat("fat_tree", 48, options={"leaf": 4, "tiers": 3, "pod": 16}),
    flat("fat_tree", 30, options={"leaf": 3, "tiers": 3, "pod": 12}),
    two_level(16, "fat_tree", options={"leaf": 4}, oversubscription=2.0),
    two_level(16, "fat_tree", options={"leaf": 4}, oversubscription=3.0),
    two_level(16, "rail", g=4, options={"leaf": 2, "tiers": 3, "pod": 4}),
    two_level(9, "torus", g=4, nics=2),
    flat("torus", 4, 3, 4),
    flat("twisted_torus", 4, 4, 8),
    flat("dragonfly", 2, 3, 7),
    flat("hyperx", 4, 3, 5),
    three_level("rail", "fat_tree"),
    three_level("fat_tree", "rail"),
    three_level("rail", "rail"),
    three_level("ring", "torus"),
    three_level("fully_connected", "switch"),
    replace(flat("switch", 8), degraded_links=(("3", "net/switch0", 0.5),)),
    replace(two_level(16, "fat_tree", options={"leaf": 4}), routing="adaptive"),
]


@pytest.mark.parametrize("cluster", BIG, ids=lambda c: f"{name(c)}-{c.routing}-{c.levels[-1].options}")
def test_representatives_stand_for_all_flows(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows that are alike by symmetry routed once: the price and every link's load of all flows routed.  Groups that
    fill blocks of devices, that straddle them, and that leave some over; hops of a pipeline."""
    n = cluster.devices
    groups = [Group(n), *(Group(s, d) for s in (2, 3, 4, n // 2) for d in (1, 2, 3, 4) if s * d <= n)]
    kinds: tuple[CollectiveKind, ...] = ("all_reduce", "all_to_all", "broadcast", "reduce")

    def answers() -> list[tuple[float, float, list[float]]]:
        communicator, found = Communicator(cluster), []
        for group, kind in ((group, kind) for group in groups for kind in kinds):
            for cost in communicator.costs(kind, group, every=True):
                loads = communicator.link_loads(kind, 1.0, group, cost.algorithm)
                found.append((cost.fixed_s, cost.per_byte_s, loads.tolist()))
        hops = (communicator.hop(stride) for stride in (1, 2, 3, 4, n // 2, n // 3))
        return found + [(hop.fixed_s, hop.per_byte_s, []) for hop in hops]

    routed = answers()
    for module in ("sim.network.topology", "sim.network.composed"):
        monkeypatch.setattr(sys.modules[module], "FEW", 0)
    monkeypatch.setattr(sys.modules["sim.network.algorithms.double_binary_tree"], "FINE", 1)
    for one, all_of_them in zip(answers(), routed, strict=True):
        assert one[:2] == pytest.approx(all_of_them[:2], rel=1e-12, abs=1e-25)
        assert one[2] == pytest.approx(all_of_them[2], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 9, 12])
def test_rings_of_a_full_mesh_use_every_pair_equally_often(n: int) -> None:
    """Each ring visits everyone once; all ordered pairs occur equally often (n = 4 and 6 too, which no single set of
    rings can do: Tillson 1980)."""
    cycles = complete_cycles(n)
    assert all(sorted(cycle) == list(range(n)) for cycle in cycles)
    pairs = Counter((int(a), int(b)) for cycle in cycles for a, b in zip(cycle, np.roll(cycle, -1), strict=True))
    assert len(pairs) == n * (n - 1)
    assert len(set(pairs.values())) == 1


@pytest.mark.parametrize("links", [4, 6])
def test_rings_of_a_dgx1_use_up_its_nvlinks(links: int) -> None:
    """Hamiltonian cycles, both ways: each link of the cube mesh in as many as it has cables."""
    level = Level("net", "hybrid_cube_mesh", (8,), link(links_per_device=links))
    mesh = TOPOLOGIES["hybrid_cube_mesh"]
    cycles = mesh.cycles(level, 8)
    assert len(cycles) == links
    used = Counter((int(a), int(b)) for cycle in cycles for a, b in zip(cycle, np.roll(cycle, -1), strict=True))
    for by, share in mesh.rings(level, 8):
        assert [used[i, (i + by) % 8] / links for i in range(8)] == pytest.approx(np.broadcast_to(share, 8))


def test_resizing_keeps_what_is_broken_or_refuses_it() -> None:
    """A degraded port stays degraded in a smaller cluster; a dead link to a leaf that is gone is named."""
    cluster = replace(two_level(8, "fat_tree", options={"leaf": 2}), degraded_links=(("3", "node/switch0", 0.5),))
    small = resize(cluster, 32)
    worn = topology(small)
    whole = topology(replace(small, degraded_links=()))
    assert worn.cap.sum() < whole.cap.sum()
    with pytest.raises(InputError, match="no link between these nodes"):
        topology(resize(replace(cluster, dead_links=(("net/leaf3", "net/spine0.0"),)), 32))
    with pytest.raises(InputError, match="must hold every device"):
        topology(resize(replace(cluster, rank_order=tuple(reversed(range(64)))), 32))


def deepest(cluster: Cluster, group: Group) -> int:
    """The outermost level at which two members of some group of the axis lie apart, found by looking at every pair."""
    sizes = [level.size for level in cluster.levels]
    blocks = [int(np.prod(sizes[:number])) for number in range(len(sizes))]
    span, found = group.size * group.stride, -1
    for start in range(0, cluster.devices - span + 1, span):
        for first in range(start, start + group.stride):
            members = range(first, first + span, group.stride)
            apart = [number for number, block in enumerate(blocks) if len({m // block for m in members}) > 1]
            found = max(found, *apart)
    return found


@pytest.mark.parametrize(
    "cluster", [SLICES, two_level(4), two_level(3, "fat_tree", g=4), two_level(6, "ring", g=6)], ids=name
)
def test_the_level_an_axis_crosses_is_that_of_its_members(cluster: Cluster) -> None:
    """By enumeration of every pair of ranks, for every size and stride; every pair of a graph crosses its one level."""
    for size in range(2, cluster.devices + 1):
        for stride in range(1, cluster.devices // size + 1):
            group = Group(size, stride)
            assert level_of(cluster, group) == deepest(cluster, group), group
    assert level_of(from_graph(topology(flat("switch", 8)).graph(), "test"), Group(2)) == 0
