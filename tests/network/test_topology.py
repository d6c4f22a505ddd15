"""Routes by arithmetic against networkx on the drawn graph, and what wrong clusters say."""

from __future__ import annotations

import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from clusters import ALPHA, BANDWIDTH, flat, two_level

from sim.errors import InputError
from sim.network import Cluster, Communicator, Edge, Group, Level, LinkType, Topology, maxmin, topology

FAT3 = {"options": {"leaf": 2, "pod": 4, "tiers": 3}}
SHORTEST = [
    flat("switch", 8),
    flat("fully_connected", 6),
    flat("ring", 2),
    flat("ring", 7),
    flat("ring", 8),
    flat("torus", 4, 4),
    flat("torus", 2, 3, 4),
    flat("mesh", 3, 5),
    flat("mesh", 2, 2, 3),
    flat("hybrid_cube_mesh", 8),
    flat("hyperx", 2, 3, 4),
    flat("fat_tree", 16, options={"leaf": 4}),
    flat("fat_tree", 16, options={"leaf": 4}, oversubscription=2.0),
    flat("fat_tree", 16, **FAT3),
    two_level(8, "fat_tree", g=4, options={"leaf": 2}),
    two_level(8, "rail", g=4, options={"leaf": 4, "pxn": 0}),
]
OTHERS = [
    two_level(8, "rail", g=4, options={"leaf": 4}),
    two_level(4, "torus", g=2),
    two_level(4, "fully_connected", g=2),
    flat("dragonfly", 2, 3, 4),
    flat("dragonfly", 2, 2, 7),
    replace(flat("dragonfly", 2, 3, 4), routing="valiant"),
    two_level(8, "rail", g=4, options={"leaf": 2, "pod": 4, "tiers": 3, "pxn": 0}),
    two_level(4, "switch", g=4, nics=2),
    two_level(4, "rail", g=4, nics=2),
    two_level(4, "ring", g=4, nics=2),
    two_level(4, "fully_connected", g=4, nics=1),
    two_level(4, "fat_tree", g=4, nics=8, options={"leaf": 2}),
]


def name(cluster: Cluster) -> str:
    return "+".join(f"{lv.topology}{lv.sizes}" for lv in cluster.levels)


def all_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    src, dst = np.divmod(np.arange(n * n), n)
    return src[src != dst], dst[src != dst]


def walk(net: Topology, row: np.ndarray, start: int, nic: dict[object, set[int]]) -> object:
    """Follow a route link by link; consecutive links must meet (at a NIC: at one of its devices)."""
    names, at = net.names(), start
    for hop in row[row >= 0]:
        a, b = names[int(hop)]
        assert a == at or at in nic.get(a, ()), f"link {a}→{b} does not start at {at}"
        at = b  # type: ignore[assignment]
    return at


def nics(net: Topology) -> dict[object, set[int]]:
    graph = net.graph()
    return {v: {u for u in graph.predecessors(v) if isinstance(u, int)} for v in graph if "nic" in str(v)}


@pytest.mark.parametrize("cluster", [*SHORTEST, *OTHERS], ids=name)
def test_every_route_is_a_path_from_source_to_destination(cluster: Cluster) -> None:
    """Link by link through the named ends; no link twice; the graph has every link once."""
    net = topology(cluster)
    src, dst = all_pairs(net.N)
    shared = nics(net)
    for seed in (None, 1):
        for s, d, row in zip(src, dst, net.routes(src, dst, seed), strict=True):
            end = walk(net, row, int(s), shared)
            assert end == d or d in shared.get(end, ())
            used = row[row >= 0]
            assert len(set(used)) == len(used)
    ids = [link for _, _, link in net.graph().edges(data="link") if link >= 0]
    assert sorted(ids) == sorted(net.names())
    assert len(set(net.names().values())) == len(ids)


@pytest.mark.parametrize("cluster", [c for c in SHORTEST if len(c.levels) == 1], ids=name)
def test_loads_equal_those_of_the_same_graph_as_an_edge_list(cluster: Cluster) -> None:
    """All-to-all over the drawn graph, given as edges and routed by search: the same bytes on the links out of and
    into every device, the same total, and no path longer."""
    net = topology(cluster)
    edges = tuple(Edge(a, b, data["capacity"], data["latency"]) for a, b, data in net.graph().edges(data=True))
    other = topology(Cluster("edges", "test", net.N, edges=edges))
    src, dst = all_pairs(net.N)
    one, two = loads(net, src, dst), loads(other, src, dst)
    assert sum(one.values()) == sum(two.values())
    if cluster.levels[0].topology in ("switch", "fully_connected", "fat_tree"):
        access = {pair for pair in one if isinstance(pair[0], int) or isinstance(pair[1], int)}
        assert {p: one[p] for p in access} == {p: two[p] for p in access}


def loads(net: Topology, src: np.ndarray, dst: np.ndarray) -> dict[tuple[object, object], int]:
    names = net.names()
    count = np.bincount(net.routes(src, dst).ravel() + 1, minlength=net.L + 1)[1:]
    return {names[i]: int(c) for i, c in enumerate(count) if c}


@pytest.mark.parametrize("shift", [1, 3, 8, 17])
def test_static_routes_of_a_full_fat_tree_do_not_collide(shift: int) -> None:
    """Non-blocking leaf–spine, everyone sends `shift` further: every flow gets the full port rate."""
    net = topology(flat("fat_tree", 64, options={"leaf": 8}))
    src = np.arange(64)
    assert maxmin(net.routes(src, (src + shift) % 64), net.cap) == pytest.approx(np.full(64, BANDWIDTH))


def test_links_between_switches_have_their_own_latency() -> None:
    """Two ports and two trunks; empty, a trunk is as slow as a port; the option of the level goes first."""
    link = LinkType("x", 1e9, 6e-6, hop_latency_s=1e-6)
    for options, given, seconds in (({}, link, 14e-6), ({}, replace(link, hop_latency_s=None), 24e-6),
                                    ({"hop_latency_s": 2e-6}, link, 16e-6)):  # fmt: skip
        level = Level("fabric", "fat_tree", (8,), given, options={"leaf": 4, **options})
        assert Communicator(Cluster("c", "", 8, (level,))).p2p(0.0, 0, 4) == pytest.approx(seconds, rel=1e-12)


def test_hash_ecmp_collides_reproducibly() -> None:
    """Hashed paths of 4,096 devices meet on trunks (slower than static), the same way for the same seed."""
    net = topology(flat("fat_tree", 4096, options={"leaf": 32}))
    src = np.arange(4096)
    dst = src ^ 1024
    static, hashed = (maxmin(net.routes(src, dst, seed), net.cap).min() for seed in (None, 5))
    assert static == pytest.approx(BANDWIDTH)
    assert hashed < 0.5 * BANDWIDTH
    assert maxmin(net.routes(src, dst, 5), net.cap).min() == hashed
    assert (net.routes(src, dst, 5) != net.routes(src, dst, 6)).any()


def test_oversubscription_divides_the_trunks() -> None:
    """4:1 leaves a quarter of the rate to flows that all leave their leaf."""
    net = topology(flat("fat_tree", 64, options={"leaf": 8}, oversubscription=4.0))
    src = np.arange(64)
    assert maxmin(net.routes(src, (src + 8) % 64), net.cap).sum() == pytest.approx(64 * BANDWIDTH / 4)


def test_valiant_spreads_what_minimal_routes_put_on_one_global_link() -> None:
    """Adversarial traffic, group to next group: one global link minimally, many by Valiant (Kim et al. 2008)."""
    minimal = flat("dragonfly", 4, 4, 9)
    src = np.arange(minimal.devices)
    dst = (src + 16) % minimal.devices
    slow = maxmin(topology(minimal).routes(src, dst), topology(minimal).cap)
    spread = topology(replace(minimal, routing="valiant"))
    assert slow.mean() == pytest.approx(BANDWIDTH / 16)
    assert maxmin(spread.routes(src, dst), spread.cap).mean() > 2 * slow.mean()


def test_rank_order_places_ranks_on_devices() -> None:
    """A ring in steps of two on a physical ring takes two hops; with the ranks placed so, one."""
    ring = flat("ring", 8)
    placed = replace(ring, rank_order=(0, 2, 4, 6, 1, 3, 5, 7))
    assert Communicator(ring).p2p(0.0, 0, 1) == pytest.approx(ALPHA)
    assert Communicator(placed).p2p(0.0, 0, 1) == pytest.approx(2 * ALPHA)


def test_dead_links_are_routed_around() -> None:
    """Three dead trunks of a fat tree: no route uses them, all pairs still meet, and one ring link dead means the
    long way round."""
    dead = (("net/leaf0", "net/spine0.0"), ("net/leaf0", "net/spine0.1"), ("net/leaf2", "net/spine0.3"))
    net = topology(replace(flat("fat_tree", 32, options={"leaf": 8}), dead_links=dead))
    src, dst = all_pairs(32)
    for s, d, row in zip(src, dst, net.routes(src, dst), strict=True):
        assert walk(net, row, int(s), {}) == d
    ring = topology(replace(flat("ring", 8), dead_links=(("0", "1"),)))
    assert int((ring.routes(np.array([0]), np.array([1])) >= 0).sum()) == 7


def test_a_degraded_link_slows_the_collective() -> None:
    """A port at half speed halves the ring's rate."""
    cluster = flat("switch", 8)
    slow = replace(cluster, degraded_links=(("3", "net/switch0", 0.5),))
    ratio = Communicator(slow).time("all_reduce", 1e12, Group(8), "ring") / Communicator(cluster).time(
        "all_reduce", 1e12, Group(8), "ring"
    )
    assert ratio == pytest.approx(2.0, rel=1e-3)


def test_edge_list_with_parallel_edges_and_switch() -> None:
    """Two NICs per device on a named switch: parallel edges add up."""
    both = [(d, "sw") for d in range(4)] + [("sw", d) for d in range(4)]
    edges = tuple(Edge(a, b, 10e9, 1e-6) for a, b in both * 2)
    communicator = Communicator(Cluster("own", "test", 4, edges=edges))
    assert communicator.time("all_reduce", 4e9, Group(4), "ring") == pytest.approx(6 * (2e-6 + 1e9 / 20e9))
    assert "ring" in {c.algorithm for c in communicator.costs("all_reduce", Group(4))}


def ring_edges(n: int) -> tuple[Edge, ...]:
    return tuple(Edge(a, b, 1e9, 1e-6) for i in range(n) for a, b in ((i, (i + 1) % n), ((i + 1) % n, i)))


LINE = tuple(Edge(a, b, 1e9, 1e-6) for i in range(3) for a, b in ((i, i + 1), (i + 1, i)))
WRONG = [
    (Cluster("x", "a", 4, edges=(*ring_edges(4), Edge(2, 9, 1e9, 0.0))), "no such device"),
    (Cluster("x", "a", 5, edges=ring_edges(4)), "without any link: device 4"),
    (Cluster("x", "a", 6, edges=(*LINE, Edge(4, 5, 1e9, 0.0), Edge(5, 4, 1e9, 0.0))), "ranks 4–5 cannot be reached"),
    (Cluster("x", "a", 4, edges=LINE, dead_links=(("1", "2"),)), "ranks 2–3 cannot reach ranks 0–1"),
    (replace(flat("torus", 4, 4), devices=15), "4 × 4 multiply to 16, the cluster has 15"),
    (flat("torsu", 4, 4), 'did you mean "torus"'),
    (flat("switch", 4, oversubscription=2.0), "no trunks to oversubscribe"),
    (flat("hybrid_cube_mesh", 4), "joins 8 devices"),
    (flat("dragonfly", 4, 4), "three sizes"),
    (flat("fully_connected", 4096), "at most 2,048 members"),
    (replace(flat("switch", 4), rank_order=(0, 1, 1, 3)), "rank_order"),
    (replace(flat("switch", 4), dead_links=(("net/swich0", "1"),)), "no link between"),
    (replace(flat("switch", 4), dead_links=(("net/switch0", "1"),)), "ranks 1 cannot"),
]


@pytest.mark.parametrize(("cluster", "says"), WRONG, ids=[s for _, s in WRONG])
def test_a_wrong_cluster_says_what_is_wrong(cluster: Cluster, says: str) -> None:
    """InputError with the rule and the value, before anything is simulated."""
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        Communicator(cluster)


def test_all_problems_are_found_at_once() -> None:
    """Two wrong edges and a lonely device: three problems."""
    edges = (*ring_edges(4), Edge(2, 9, 1e9, 0.0), Edge(8, 0, 1e9, 0.0))
    with pytest.raises(InputError) as wrong:
        topology(Cluster("x", "a", 5, edges=edges))
    assert len(wrong.value.problems) == 3


def test_bad_groups_and_algorithms() -> None:
    """A repeated rank, one outside, a group too large, and an algorithm that cannot run: why, and which can."""
    communicator = Communicator(
        flat(
            "switch",
            8,
        )
    )
    with pytest.raises(InputError, match="may occur once"):
        communicator.time("all_reduce", 1.0, Group(2, ranks=(1, 1)))
    with pytest.raises(InputError, match="ranks run from 0 to 7"):
        communicator.time("all_reduce", 1.0, Group(2, ranks=(1, 8)))
    with pytest.raises(InputError, match="16 ranks 1 apart need 16"):
        communicator.time("all_reduce", 1.0, Group(16))
    with pytest.raises(InputError, match=r"torus needs a group that fills dimensions.*can run here: b"):
        communicator.time("all_reduce", 1.0, Group(8), "torus")
    with pytest.raises(InputError, match=r"power of two.*can run here"):
        communicator.time("reduce_scatter", 1.0, Group(6), "halving_doubling")


def test_networkx_answers_cuts() -> None:
    """The graph serves cuts: halves of a 4×4 torus are joined by 8 link pairs of B/4."""
    graph = topology(flat("torus", 4, 4)).graph()
    half = {d for d in range(16) if d % 4 < 2}
    assert nx.cut_size(graph, half, set(graph) - half, weight="capacity") == pytest.approx(2 * 8 * BANDWIDTH / 4)
    assert math.isclose(nx.diameter(graph), 4)


def test_adaptive_routing_spreads_flows_over_all_spines():
    """Two rings of 12 nodes over leaves of 8: by static choice two flows meet on one downlink, spread they do not."""
    still = flat("fat_tree", 24, options={"leaf": 8})
    group = Group(12)
    times = [
        Communicator(replace(still, routing=routing)).time("all_reduce", 1e9, group, "ring")
        for routing in ("static", "adaptive")
    ]
    alone = Communicator(flat("switch", 24)).time("all_reduce", 1e9, group, "ring")
    assert times[0] > 1.5 * times[1]
    assert times[1] == pytest.approx(alone, rel=0.01)
