"""Loads of an exchange of all with all: counted = routed one by one; sampled is close."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from clusters import flat, link, two_level
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import Cluster, Communicator, Group, Level, exchange, topology
from sim.network.composed import Composed
from sim.network.exchange import Counting, shifted_pairs
from sim.network.layout import Layout, layout


def three_level() -> Cluster:
    levels = (
        Level("board", "torus", (2, 3), link()),
        Level("rack", "ring", (4,), link(bandwidth=16e9)),
        Level("hall", "fat_tree", (4,), link(bandwidth=8e9), options={"leaf": 2}),
    )
    return Cluster("three", "test", 96, levels)


CLUSTERS = [
    flat("switch", 8),
    *(flat("ring", n) for n in (2, 3, 6, 7, 8, 12)),
    flat("torus", 4, 6),
    flat("torus", 2, 5, 4),
    flat("twisted_torus", 3, 6),
    flat("twisted_torus", 2, 4, 4),
    flat("mesh", 3, 4),
    flat("mesh", 2, 2, 4),
    flat("fully_connected", 6),
    flat("hybrid_cube_mesh", 8),
    flat("fat_tree", 24, options={"leaf": 4}, oversubscription=2.0),
    flat("fat_tree", 48, options={"leaf": 4, "tiers": 3, "pod": 16}),
    flat("dragonfly", 2, 2, 4),
    flat("dragonfly", 2, 3, 7),
    two_level(4, "rail", options={"leaf": 2}),
    two_level(4, "rail", options={"leaf": 2, "pxn": 0}),
    two_level(6, "fat_tree", nics=4, options={"leaf": 2}),
    two_level(4, "ring", g=4),
    two_level(9, "torus", g=4, nics=2),
    two_level(4, "fully_connected", g=4),
    three_level(),
]


def routed(cluster: Cluster, lay: Layout) -> tuple[np.ndarray, float]:
    """One message at a time, as the routes say."""
    net = topology(cluster)
    load, latency = np.zeros(net.L), 0.0
    for src, dst in shifted_pairs(lay, np.arange(1, lay.n)):
        routes = net.routes(src, dst)
        load += np.bincount(routes.ravel() + 1, minlength=net.L + 1)[1:]
        latency = max(latency, float(net.latency(routes).max()))
    return load, latency


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(CLUSTERS), st.data())
def test_counted_loads_are_those_of_the_routes(cluster: Cluster, data: st.DataObject) -> None:
    """Any group the counting takes on, contiguous, strided or listed, by formula or one group for all that lie alike:
    every link carries what routing puts on it, and the longest path is as long."""
    n = cluster.devices
    size = data.draw(st.sampled_from([d for d in range(2, n + 1) if n % d == 0]))
    stride = data.draw(st.sampled_from([d for d in range(1, n // size + 1) if (n // size) % d == 0]))
    listed = data.draw(st.booleans())
    some = data.draw(st.sets(st.integers(0, n - 1), min_size=2)) if listed else set[int]()
    group = Group(len(some) or size, stride, tuple(sorted(some)))
    lay, whole = layout(cluster, group), topology(cluster)
    assert isinstance(whole, Composed)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("sim.network.topology", "sim.network.composed") if data.draw(st.booleans()) else ():
            patch.setattr(sys.modules[module], "FEW", 0)
        found = Counting(whole).run(lay)
    if found is None:
        return
    load, latency = routed(cluster, lay)
    assert found.load.every() == pytest.approx(load, rel=1e-12)
    assert found.latency == pytest.approx(latency, rel=1e-12)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: f"{c.levels[-1].topology}{c.devices}")
def test_a_whole_cluster_is_counted(cluster: Cluster) -> None:
    """No shape falls back to a sample, apart from ports that several devices share and rails without detours."""
    whole = topology(cluster)
    assert isinstance(whole, Composed)
    counted = Counting(whole).run(layout(cluster, Group(cluster.devices)))
    last = cluster.levels[-1]
    shared = last.topology == "torus" and last.nics is not None
    assert (counted is None) == (shared or last.options.get("pxn") == 0)
    if counted is not None:
        assert counted.load.every() == pytest.approx(
            routed(cluster, layout(cluster, Group(cluster.devices)))[0], rel=1e-12
        )


def test_all_to_all_on_a_ring_is_the_textbook_formula() -> None:
    """Bisection of a ring: N²/4 messages cross two cuts of two links, N²/8 bytes on the fullest link for large N."""
    n = 1024
    cost = Communicator(flat("ring", n)).cost("all_to_all", Group(n), "direct")
    port = link().bandwidth / 2
    assert cost.per_byte_s == pytest.approx(n / 8 / port, rel=1e-2)


@pytest.mark.parametrize("routing", ["ecmp", "valiant"])
def test_hashed_exchange_expects_equal_shares(routing: str) -> None:
    """By hash, counting gives the mean over flows; the routed loads scatter round it."""
    cluster = replace(flat("fat_tree", 64, options={"leaf": 8}), routing=routing)
    whole = topology(cluster)
    assert isinstance(whole, Composed)
    found = Counting(whole).run(layout(cluster, Group(64)))
    assert found is not None
    load = routed(cluster, layout(cluster, Group(64)))[0]
    assert found.load.every().sum() == load.sum()
    assert found.load.every() == pytest.approx(load, rel=0.5)


@pytest.mark.parametrize("cluster", [flat("ring", 256), two_level(32, "rail", g=8), flat("dragonfly", 4, 4, 16)])
def test_sampled_exchange_is_close_to_the_whole(cluster: Cluster) -> None:
    """Where nothing is counted (a random rank order, say), a sample of shifts comes within 10 % of the fullest link."""
    whole, lay = topology(cluster), layout(cluster, Group(cluster.devices))
    load, latency = routed(cluster, lay)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "VISITS", 1 << 14)
        patch.setattr(exchange.Counting, "run", lambda self, lay: None)
        found = exchange.exchange(whole, lay)
    assert not found.exact
    assert (found.load.every() / whole.cap).max() == pytest.approx((load / whole.cap).max(), rel=0.1)
    assert found.latency == pytest.approx(latency, rel=0.1)


BIG = [
    flat("ring", 1024),
    flat("torus", 16, 16, 16),
    flat("torus", 32, 32, 64),
    flat("mesh", 64, 64),
    two_level(576, "rail"),
    two_level(3072, "fat_tree"),
    flat("dragonfly", 16, 16, 64),
    flat("ring", 65536),
]


@pytest.mark.parametrize("cluster", BIG, ids=lambda c: f"{c.levels[-1].topology}{c.devices}")
def test_large_exchanges_touch_few_numbers(cluster: Cluster) -> None:
    """All-to-all of thousands: counted, not routed."""
    whole, lay = topology(cluster), layout(cluster, Group(cluster.devices))
    found = exchange.exchange(whole, lay)
    assert found.exact
