"""Closed form = cost by routing = phase solver, where nothing contends.

Formulas: Thakur, Rabenseifner & Gropp 2005; a = latency of a path, b = 1/bandwidth, S bytes, N ranks.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from clusters import ALPHA, BANDWIDTH, flat, link, two_level

from sim.network import Cluster, Communicator, Group, Level, schedule, solve
from sim.network.algorithms.channels import TREE_EFFICIENCY

S = 1e9
A = 2 * ALPHA  # device → switch → device
B = 1 / BANDWIDTH
SIZES = (2, 3, 4, 5, 8, 16, 64)


def fold(n: int) -> tuple[int, float]:
    """(steps, seconds) of recursive algorithms: log₂ of the largest power of two, and the two fold steps."""
    steps = n.bit_length() - 1
    return steps, 0.0 if n == 1 << steps else 2 * (A + S * B)


CLOSED = {
    "ring": lambda n: 2 * (n - 1) * (A + S / n * B),
    "recursive_doubling": lambda n: fold(n)[0] * (A + S * B) + fold(n)[1],
    "halving_doubling": lambda n: fold(n)[0] * 2 * A + 2 * (1 - 1 / (1 << fold(n)[0])) * S * B + fold(n)[1],
    "direct": lambda n: 2 * (A + (n - 1) / n * S * B),
}


def check(cluster: Cluster, algorithm: str, expected: float, shape: tuple[int, ...] = ()) -> None:
    """Both ways of pricing give the formula to 1e-9."""
    communicator, n = Communicator(cluster), cluster.devices
    assert communicator.time("all_reduce", S, Group(n), algorithm) == pytest.approx(expected, rel=1e-9)
    plan = schedule(algorithm, "all_reduce", n, S, shape)
    assert solve(plan, communicator.topology) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("algorithm", CLOSED)
def test_all_reduce_on_a_switch(algorithm: str, n: int) -> None:
    """A non-blocking switch: the textbook formulas."""
    check(flat("switch", n), algorithm, CLOSED[algorithm](n))


@pytest.mark.parametrize("n", SIZES)
def test_bidirectional_ring_on_a_ring(n: int) -> None:
    """Each port has half of the bandwidth and carries half of the bytes; two devices share one doubled pair."""
    check(flat("ring", n), "bidirectional_ring", 2 * (n - 1) * (ALPHA + S / n * B))


@pytest.mark.parametrize("n", [3, 4, 5, 8, 16, 64])
def test_one_way_ring_on_a_ring_uses_half_the_ports(n: int) -> None:
    """Only clockwise links work: twice the transfer time of a bidirectional ring."""
    check(flat("ring", n), "ring", 2 * (n - 1) * (ALPHA + S / n * 2 * B))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("chunks", [1, 4, 32])
def test_switch_reduction_in_chunks(n: int, chunks: int) -> None:
    """K pieces up and down, one behind the other: (K+1)(α + S/K·β); the price is the limit of many pieces."""
    cluster = flat("switch", n)
    communicator = Communicator(cluster)
    plan = schedule("switch", "all_reduce", n, S, chunks=chunks)
    assert solve(plan, communicator.topology) == pytest.approx((chunks + 1) * (ALPHA + S / chunks * B), rel=1e-9)
    assert communicator.time("all_reduce", S, Group(n), "switch") == pytest.approx(2 * ALPHA + S * B, rel=1e-9)


@pytest.mark.parametrize("sizes", [(4, 4), (8, 8), (3, 3, 3), (4, 4, 4), (2, 2)])
def test_torus_with_equal_sizes(sizes: tuple[int, ...]) -> None:
    """k dimensions at once, both ways round: Σ_i 2(D-1)(α + S/(2k·D^i)·β_port), a port having B/2k."""
    k, size = len(sizes), sizes[0]
    port = B * 2 * k / (2 if size == 2 else 1)
    half = 1 if size == 2 else 2  # a pair of doubled links carries both halves of a ring of two
    expected = sum(2 * (size - 1) * (ALPHA + S / (half * k * size**i) * port) for i in range(1, k + 1))
    check(flat("torus", *sizes), "torus", expected, sizes)


@pytest.mark.parametrize("sizes", [(4, 8), (2, 3, 4), (3, 5), (2, 16)])
def test_torus_with_unequal_sizes(sizes: tuple[int, ...]) -> None:
    """The price is what the phase solver makes of the schedule."""
    communicator = Communicator(flat("torus", *sizes))
    n = math.prod(sizes)
    plan = schedule("torus", "all_reduce", n, S, sizes)
    solved = solve(plan, communicator.topology)
    assert communicator.time("all_reduce", S, Group(n), "torus") == pytest.approx(solved, rel=1e-9)


@pytest.mark.parametrize(("g", "nodes"), [(8, 2), (8, 16), (4, 3), (2, 5)])
def test_hierarchical(g: int, nodes: int) -> None:
    """Σ over levels 2(n_i-1)(α_i + S/(Π_{j≤i} n_j)·β_i)."""
    inner = 2 * (g - 1) * (2e-6 + S / g / 64e9)
    outer = 2 * (nodes - 1) * (8e-6 + S / g / nodes / 8e9)
    check(two_level(nodes, "switch", g=g), "hierarchical", inner + outer, (g, nodes))


@pytest.mark.parametrize("nodes", [2, 3, 4, 16])
def test_ring_over_nodes_uses_all_nics(nodes: int) -> None:
    """One ring per NIC crosses every node boundary once: the transfer takes the larger of NVLink's 2(N-1)/N·S/B and
    the NICs' 2(N-1)/N·S/(8·B_nic); here both links have the same rate per node."""
    n = 8 * nodes
    cost = Communicator(two_level(nodes, "fat_tree")).cost("all_reduce", Group(n), "ring")
    assert cost.per_byte_s == pytest.approx(2 * (n - 1) / n / 64e9, rel=1e-9)


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_ring_latency_counts_node_crossings(nodes: int) -> None:
    """A piece makes 2(N-1) hops along the ring; 2·nodes of them leave a node (N of 2N hops less the 2 cheapest)."""
    n = 8 * nodes
    cost = Communicator(two_level(nodes, "switch")).cost("all_reduce", Group(n), "ring")
    assert cost.fixed_s == pytest.approx(2 * nodes * 8e-6 + (2 * (n - 1) - 2 * nodes) * 2e-6, rel=1e-9)


def test_ring_of_one_rank_per_node_has_one_nic() -> None:
    """A data-parallel group with one rank in each node uses its own NIC only, all eight groups at once."""
    cost = Communicator(two_level(16, "fat_tree")).cost("all_reduce", Group(16, stride=8), "ring")
    assert cost.per_byte_s == pytest.approx(2 * 15 / 16 / 8e9, rel=1e-9)


def test_groups_that_share_a_nic_slow_each_other_down() -> None:
    """Eight data-parallel rings through two NICs per node: each gets a quarter of one NIC."""
    cost = Communicator(two_level(16, "fat_tree", nics=2)).cost("all_reduce", Group(16, stride=8), "ring")
    assert cost.per_byte_s == pytest.approx(2 * 15 / 16 / (8e9 / 4), rel=1e-9)
    alone = Communicator(two_level(16, "fat_tree", nics=2)).cost(
        "all_reduce", Group(16, ranks=tuple(range(0, 128, 8))), "ring"
    )
    assert alone.per_byte_s == pytest.approx(2 * 15 / 16 / 8e9, rel=1e-9)


@pytest.mark.parametrize("nodes", [2, 4, 16])
def test_double_binary_tree(nodes: int) -> None:
    """2[(g-1)α_node + log₂M·α_net] and 2·S over the NICs or twice the chain's (g-1)/g·S over NVLink, at 0.9."""
    cost = Communicator(two_level(nodes, "switch")).cost("all_reduce", Group(8 * nodes), "double_binary_tree")
    assert cost.fixed_s == pytest.approx(2 * (7 * 2e-6 + math.log2(nodes) * 8e-6), rel=1e-9)
    ideal = 2 * S / 64e9
    assert ideal * 0.8 <= cost.per_byte_s * S * TREE_EFFICIENCY <= ideal * 1.0001


def test_fully_connected_rings_use_every_link() -> None:
    """Rings are spread over all pairs: the full bandwidth of a device, as on a switch."""
    cost = Communicator(flat("fully_connected", 8)).cost("all_reduce", Group(8), "ring")
    assert cost.per_byte_s == pytest.approx(2 * 7 / 8 * B, rel=1e-9)


def test_dgx1_rings_use_every_nvlink() -> None:
    """The V100 cube mesh splits into Hamiltonian cycles over all six NVLinks of a device."""
    cost = Communicator(flat("hybrid_cube_mesh", 8)).cost("all_reduce", Group(8), "ring")
    assert cost.per_byte_s == pytest.approx(2 * 7 / 8 * B, rel=1e-9)


def test_four_of_a_dgx1_use_every_nvlink_that_stays_among_them() -> None:
    """4 of a V100's 6 links stay in the quad (NVIDIA DGX-1 white paper): two cycles, both ways."""
    cost = Communicator(flat("hybrid_cube_mesh", 8)).cost("all_reduce", Group(4), "ring")
    assert cost.per_byte_s == pytest.approx(2 * 3 / 4 * B * 6 / 4, rel=1e-9)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ["reduce_scatter", "all_gather"])
def test_halves_of_an_all_reduce(n: int, kind: str) -> None:
    """Reduce-scatter and all-gather by ring: (N-1)(α + S/N·β)."""
    time = Communicator(flat("switch", n)).time(kind, S, Group(n), "ring")  # type: ignore[arg-type]
    assert time == pytest.approx((n - 1) * (A + S / n * B), rel=1e-9)


@pytest.mark.parametrize("n", SIZES)
def test_all_to_all(n: int) -> None:
    """Direct: α + (N-1)/N·S·β; pairwise: (N-1)(α + S/N·β)."""
    communicator = Communicator(flat("switch", n))
    assert communicator.time("all_to_all", S, Group(n), "direct") == pytest.approx(A + (n - 1) / n * S * B, rel=1e-9)
    assert communicator.time("all_to_all", S, Group(n), "pairwise") == pytest.approx(
        (n - 1) * (A + S / n * B), rel=1e-9
    )
    plan = schedule("direct", "all_to_all", n, S)
    assert solve(plan, communicator.topology) == pytest.approx(A + (n - 1) / n * S * B, rel=1e-9)


def test_point_to_point_and_pipeline_hops() -> None:
    """α + S·β alone; a hop of one node sends all eight devices' messages at once through eight NICs."""
    communicator = Communicator(two_level(4, "fat_tree"))
    assert communicator.p2p(S, 0, 1) == pytest.approx(2e-6 + S / 64e9)
    assert communicator.p2p(S, 0, 9) == pytest.approx(8e-6 + S / 8e9)
    assert communicator.send(S, 8) == pytest.approx(8e-6 + S / 8e9)
    assert communicator.p2p(S, 3, 3) == 0.0


def test_slices_joined_by_a_network() -> None:
    """4×4 tori on a switch: 2·Σᵢ(D-1)(α + S/(4·D^i)·4β) inside, 2(M-1)(α + S/(16M)·β) between."""
    slices = Level("slice", "torus", (4, 4), link())
    net = Level("net", "switch", (4,), link(bandwidth=8e9, latency_s=4e-6))
    communicator = Communicator(Cluster("multislice", "test", 64, (slices, net)))
    inside = 2 * sum(3 * (ALPHA + S / (4 * 4**i) * 4 * B) for i in (1, 2))
    between = 2 * 3 * (8e-6 + S / 64 / 8e9)
    assert communicator.time("all_reduce", S, Group(64), "multislice") == pytest.approx(inside + between, rel=1e-9)
    assert communicator.choose("all_reduce", S, Group(64)).algorithm == "multislice"
    load = communicator.link_loads("all_reduce", S, Group(64), "multislice")
    assert load.max() == pytest.approx(2 * 15 / 16 * S / 4)  # every torus port alike


def test_unequal_all_to_all_shares_fairly() -> None:
    """0 sends 3 GB to 2, 1 sends 1 GB to 2: both at half the rate of 2's port until 1 is done, ends after 4 GB."""
    communicator = Communicator(flat("switch", 3))
    matrix = np.array([[0, 0, 3e9], [0, 0, 1e9], [0, 0, 0]])
    assert communicator.exchange(matrix, range(3)) == pytest.approx(A + 4e9 * B)


def test_one_device_needs_no_network() -> None:
    """A cluster of one."""
    assert Communicator(Cluster("one", "test", 1)).time("all_reduce", S, Group(1)) == 0.0
