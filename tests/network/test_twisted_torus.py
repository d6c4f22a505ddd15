"""The twisted torus against its papers (Cámara et al., TPDS 2010; Jouppi et al., ISCA 2023) and arithmetic."""

from __future__ import annotations

import math
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from clusters import ALPHA, BANDWIDTH, flat, link
from test_schedules import execute, own

from sim.errors import InputError
from sim.network import Cluster, Communicator, Group, Level, resize, solve, topology

S = 1e9
SHAPES = [(2, 4), (2, 2, 4), (4, 2, 4), (4, 4, 8), (4, 8, 8), (4, 8)]


@pytest.mark.parametrize("sizes", [(3, 6), (3, 3, 6), (3, 6, 6)], ids=str)
def test_all_dimensions_are_alike(sizes: tuple[int, ...]) -> None:
    """Without the cables of one dimension the rest is the same graph, whichever it is; not so on the plain torus."""

    def without(kind: str, dimension: int) -> nx.Graph[int]:
        names = topology(flat(kind, *sizes)).names()
        return nx.Graph([pair for number, pair in names.items() if number // 2 % len(sizes) != dimension])

    for kind, alike in (("twisted_torus", True), ("torus", False)):
        first, *others = (without(kind, k) for k in range(len(sizes)))
        assert all(nx.vf2pp_is_isomorphic(first, other) for other in others) == alike


@pytest.mark.parametrize(("k", "long", "hops"), [(4, 1, 6), (4, 2, 6), (8, 1, 12), (8, 2, 12)])
def test_the_longest_way_is_one_and_a_half_k(k: int, long: int, hops: int) -> None:
    """3k/2 in three dimensions, where the plain tori have 2k and 5k/2; on the graph by networkx."""
    sizes = (*(k,) * (3 - long), *(2 * k,) * long)
    graph = topology(flat("twisted_torus", *sizes)).graph()
    assert max(nx.single_source_shortest_path_length(graph, 0).values()) == hops == 3 * k // 2
    plain = topology(flat("torus", *sizes)).graph()
    assert max(nx.single_source_shortest_path_length(plain, 0).values()) == (3 + long) * k // 2


@pytest.mark.parametrize("sizes", [(4, 4, 8), (4, 8, 8), (4, 8)], ids=str)
def test_the_bisection_is_twice_that_of_the_torus(sizes: tuple[int, ...]) -> None:
    """Cables across the cut that halves a dimension, the least over dimensions: k x k x 2k has 4k², untwisted 2k²."""

    def least(kind: str) -> float:
        net, cuts = topology(flat(kind, *sizes)), []
        graph = net.graph()
        for k, size in enumerate(sizes):
            stride = math.prod(sizes[:k])
            half = {d for d in range(net.N) if d // stride % size < size // 2}
            cuts.append(nx.cut_size(graph, half, set(graph) - half))
        return min(cuts)

    assert least("twisted_torus") == 2 * least("torus")


@pytest.mark.parametrize(
    ("sizes", "published", "error"), [((4, 4, 8), 1.63, 4.7), ((4, 8, 8), 1.31, 5.1)], ids=["4x4x8", "4x8x8"]
)
def test_an_exchange_gains_what_tpu_v4_s_paper_measured(sizes: tuple[int, ...], published: float, error: float) -> None:
    """From link loads alone, the error stated; no way of routing can gain more than long dimension over mean load."""
    n = math.prod(sizes)
    nets = {kind: Communicator(flat(kind, *sizes)) for kind in ("torus", "twisted_torus")}
    slow, fast = (net.cost("all_to_all", Group(n), "direct").per_byte_s for net in nets.values())
    assert 100.0 * (slow / fast / published - 1.0) == pytest.approx(error, abs=0.1)
    mean = nx.average_shortest_path_length(nets["twisted_torus"].topology.graph()) * (n - 1) / 6
    assert slow / fast <= max(sizes) / 8 * n / mean
    loads = nets["twisted_torus"].link_loads("all_to_all", 1.0, Group(n), "direct")
    assert loads.max() / loads.mean() < 1.03
    assert loads.mean() * n == pytest.approx(mean)


@pytest.mark.parametrize("sizes", [*SHAPES, (8, 4, 4), (2, 2, 2, 4), (2, 4, 4, 4)], ids=str)
def test_an_all_reduce_uses_every_port_all_the_time(sizes: tuple[int, ...]) -> None:
    """A torus of s stages of k, then 2k: Σ 2(D-1)(α + S/(2d·ΠD)·2d/B) in which all bytes add up to 2(N-1)/N·S/B."""
    n, stages = math.prod(sizes), sorted(sizes)
    expected = sum(2 * (size - 1) * ALPHA for size in stages) + 2 * (n - 1) / n * S / BANDWIDTH
    net = Communicator(flat("twisted_torus", *sizes))
    assert net.time("all_reduce", S, Group(n), "twisted_torus") == pytest.approx(expected, rel=1e-9)
    plan = net.schedule("all_reduce", S, Group(n), "twisted_torus")
    assert solve(plan, net.topology) == pytest.approx(expected, rel=1e-9)
    if n <= 64:
        for buffer in execute(plan, own(n, plan.pieces)):
            assert all(content == Counter(range(n)) for content in buffer)


def test_twisted_slices_are_joined_by_a_network() -> None:
    """Reduce-scatter inside, rings between with 1/16 of the buffer each, all-gather inside."""
    slices = Level("slice", "twisted_torus", (2, 2, 4), link())
    net = Level("net", "switch", (3,), link(bandwidth=8e9, latency_s=4e-6))
    cluster = Communicator(Cluster("slices", "test", 48, (slices, net)))
    plan = cluster.schedule("all_reduce", S, Group(48), "twisted_torus")
    for buffer in execute(plan, own(48, plan.pieces)):
        assert all(content == Counter(range(48)) for content in buffer)
    inside = 2 * (1 + 1 + 3) * ALPHA + 2 * 15 / 16 * S / BANDWIDTH
    between = 2 * 2 * (8e-6 + S / 16 / 3 / 8e9)
    assert cluster.time("all_reduce", S, Group(48), "twisted_torus") == pytest.approx(inside + between, rel=1e-9)


def test_a_line_of_a_short_dimension_is_not_closed() -> None:
    """Four in a row of k = 4: the ring's last message goes back over the links of the others (both ways: twice)."""
    twisted, plain = (Communicator(flat(kind, 4, 4, 8)) for kind in ("twisted_torus", "torus"))
    costs = [net.cost("all_reduce", Group(4), "bidirectional_ring").per_byte_s for net in (twisted, plain)]
    assert costs[0] == pytest.approx(2 * costs[1])
    along = [net.cost("all_reduce", Group(8, 16), "bidirectional_ring").per_byte_s for net in (twisted, plain)]
    assert along[0] == pytest.approx(along[1])


def test_it_is_resized_and_refused() -> None:
    assert resize(flat("twisted_torus", 4, 4, 8), 1024).levels[0].sizes == (8, 8, 16)
    assert resize(flat("twisted_torus", 4, 4, 8), 256).levels[0].sizes == (4, 8, 8)
    for sizes in ((4, 4, 4), (4, 8, 12), (1, 1, 2), (2, 2, 4, 4), (8,)):
        with pytest.raises(InputError, match="a twisted torus has"):
            Communicator(flat("twisted_torus", *sizes)).costs("all_reduce", Group(2))
    with pytest.raises(InputError, match="at most 65,536 members"):
        Communicator(flat("twisted_torus", 32, 64, 64)).costs("all_reduce", Group(2))


def test_the_numbering_is_that_of_the_lattice() -> None:
    """One step beyond the end of x leads k further in y and z."""
    names = topology(flat("twisted_torus", 2, 4, 4)).names()
    assert names[(1 * 3 + 0) * 2] == (1, 0 + 2 * (2 + 4 * 2))
    assert names[(0 * 3 + 1) * 2 + 1] == (0, 2 * 3)
    assert len(set(names.values())) == 32 * 6
    assert np.unique([a for a, _ in names.values()], return_counts=True)[1].tolist() == [6] * 32
