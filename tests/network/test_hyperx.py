"""HyperX against its paper (Ahn et al., SC 2009) and arithmetic."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from clusters import BANDWIDTH, flat

from sim.errors import InputError
from sim.network import Communicator, Group, maxmin, resize, topology


@pytest.mark.parametrize("sizes", [(2, 3), (2, 4, 3), (1, 2, 2, 2, 2), (3, 2, 5, 2)], ids=str)
def test_the_diameter_is_one_hop_per_dimension(sizes: tuple[int, ...]) -> None:
    """L hops between switches, and two to and from devices; S = 2 and T = 1 is a hypercube."""
    net = topology(flat("hyperx", *sizes))
    graph = net.graph()
    assert max(nx.single_source_shortest_path_length(graph, 0).values()) - 1 == len(sizes)
    switches = graph.subgraph([v for v in graph if isinstance(v, str)])
    assert {d for _, d in switches.out_degree()} == {sum(s - 1 for s in sizes[1:])}
    if set(sizes[1:]) == {2}:
        assert nx.is_isomorphic(switches.to_undirected(), nx.hypercube_graph(len(sizes) - 1))


@pytest.mark.parametrize(("t", "size", "links"), [(4, 4, 1.0), (2, 4, 1.0), (4, 8, 0.5)])
def test_the_bisection_is_the_paper_s(t: int, size: int, links: float) -> None:
    """Relative bisection β = K·S/(2T): the cut across a dimension carries β of what half of the devices send."""
    net = topology(flat("hyperx", t, size, size, options={"lane_links": links}))
    graph = net.graph()
    half = {v for v in graph if isinstance(v, str) and int(v.partition("switch")[2]) % size < size // 2}
    half |= {d for d in range(net.N) if d // t % size < size // 2}
    cut = nx.cut_size(graph, half, set(graph) - half, weight="capacity") / 2
    assert cut == pytest.approx(links * size / (2 * t) * net.N / 2 * BANDWIDTH)


def test_an_exchange_of_all_with_all_is_counted_as_it_is_routed() -> None:
    """T²·N/(T·S_k) messages over each lane of dimension k."""
    net = topology(flat("hyperx", 3, 4, 5))
    src, dst = np.divmod(np.arange(60 * 60), 60)
    load = np.bincount(net.routes(src[src != dst], dst[src != dst]).ravel() + 1, minlength=net.L + 1)[1:]
    counted, latency = net.routers[0].exchange(np.arange(60)[None, :], 1) or (None, 0.0)  # type: ignore[attr-defined]
    assert counted is not None
    assert counted.tolist() == load.tolist()
    assert set(load[120:200].tolist()) == {0, 9 * 5}
    assert set(load[200:].tolist()) == {0, 9 * 4}
    assert latency == pytest.approx(4e-6)


def test_neighbours_along_a_row_collide_where_switches_are_wide() -> None:
    """T devices of a switch all send to the next switch: one lane, a T-th of a port each; twice with two links."""
    for links in (1.0, 2.0):
        net = topology(flat("hyperx", 4, 4, 4, options={"lane_links": links}))
        here = np.arange(64)
        there = here // 16 * 16 + (here + 4) % 16
        assert maxmin(net.routes(here, there), net.cap) == pytest.approx(np.full(64, BANDWIDTH * links / 4))


def test_it_is_resized_and_refused() -> None:
    """Members per switch stay; a single size is no HyperX."""
    small = resize(flat("hyperx", 4, 8, 8), 64)
    assert small.levels[0].sizes == (4, 4, 4)
    with pytest.raises(InputError, match="at least two sizes"):
        Communicator(flat("hyperx", 8)).costs("all_reduce", Group(8))
