"""What must hold on any cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from clusters import flat, two_level
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.network import (
    Cluster,
    CollectiveCost,
    Communicator,
    Group,
    LinkType,
    communicator_of,
    schedule,
    solve,
    topology,
    wider,
)
from sim.network.communicator import envelope
from sim.ops import CollectiveKind

KINDS: tuple[CollectiveKind, ...] = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "reduce")
CLUSTERS = [
    flat("switch", 8),
    flat("ring", 6),
    flat("torus", 4, 4),
    flat("torus", 2, 3),
    flat("mesh", 3, 4),
    flat("fully_connected", 6),
    flat("hybrid_cube_mesh", 8),
    flat("fat_tree", 16, options={"leaf": 4}, oversubscription=2.0),
    flat("dragonfly", 2, 2, 4),
    two_level(4, "rail"),
    two_level(3, "fat_tree", nics=4),
    two_level(4, "ring", g=4),
]
CLUSTER = st.sampled_from(CLUSTERS)
KIND = st.sampled_from(KINDS)
BYTES = st.floats(1.0, 1e12)
FACTOR = st.floats(1.0, 100.0)


def with_links(cluster: Cluster, change: Callable[[LinkType], LinkType]) -> Cluster:
    return replace(cluster, levels=tuple(replace(level, link=change(level.link)) for level in cluster.levels))


def seconds(cluster: Cluster, kind: CollectiveKind, nbytes: float) -> dict[str, float]:
    costs = Communicator(cluster).costs(kind, Group(cluster.devices), every=True)
    return {c.algorithm: c.seconds(nbytes) for c in costs}


@settings(max_examples=40, deadline=None)
@given(CLUSTER, KIND, st.floats(1e6, 1e12), st.integers(1, 4))
def test_wide_links_cost_what_routing_them_anew_gives(
    cluster: Cluster, kind: CollectiveKind, bandwidth: float, stride: int
) -> None:
    """Clusters priced by the routes of a narrower one: every figure as of their own routes, to the bit."""
    communicator_of.cache_clear()  # it keeps the last 64: of an earlier example the wide one, and not its narrow one
    cluster = with_links(cluster, lambda x: replace(x, bandwidth=bandwidth * x.bandwidth / 8e9, fast_bandwidth=0.5))
    group = Group(cluster.devices // stride, stride)
    alone = Communicator(cluster)
    for wide in (communicator_of(cluster), communicator_of(wider(cluster, 2))):
        times = 1 if wide.cluster == cluster else 2
        for every in (False, True):
            costs = [replace(c, per_byte_s=c.per_byte_s / times) for c in alone.costs(kind, group, every)]
            assert list(wide.costs(kind, group, every)) == costs
        assert wide.send(1e9, 1) == alone.hop(1).fixed_s + 1e9 * (alone.hop(1).per_byte_s / times)
        assert wide.launch_s(kind, group) == alone.launch_s(kind, group)
    assert communicator_of(wider(cluster, 2)).narrow is communicator_of(cluster).narrow


@settings(max_examples=40, deadline=None)
@given(CLUSTER, KIND, BYTES, FACTOR)
def test_time_never_falls_with_bytes_latency_or_slower_links(
    cluster: Cluster, kind: CollectiveKind, nbytes: float, factor: float
) -> None:
    """More bytes, all latencies longer, all bandwidths lower: no algorithm gets faster."""
    before = seconds(cluster, kind, nbytes)
    later = with_links(cluster, lambda x: replace(x, latency_s=x.latency_s * factor))
    slower = with_links(cluster, lambda x: replace(x, bandwidth=x.bandwidth / factor))
    for after in (seconds(cluster, kind, nbytes * factor), seconds(later, kind, nbytes), seconds(slower, kind, nbytes)):
        assert after.keys() == before.keys()
        assert all(after[a] >= before[a] * (1 - 1e-12) for a in before)


@settings(max_examples=40, deadline=None)
@given(CLUSTER, BYTES)
def test_the_chosen_algorithm_is_the_cheapest_of_the_candidates(cluster: Cluster, nbytes: float) -> None:
    """Lower envelope, for one size and for an array of sizes."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    best = min(c.seconds(nbytes) for c in communicator.costs("all_reduce", group))
    assert communicator.time("all_reduce", nbytes, group) == best
    assert communicator.choose("all_reduce", nbytes, group).seconds(nbytes) == best
    assert communicator.times("all_reduce", [nbytes, nbytes], group) == pytest.approx([best, best])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7), st.integers(0, 7), st.booleans(), st.sampled_from(["ring", "direct", "halving_doubling"]))
def test_an_automorphism_changes_nothing(dx: int, dy: int, mirror: bool, algorithm: str) -> None:
    """Turning and mirroring a torus: the schedule on the images of the ranks takes the same time."""
    cluster = flat("torus", 8, 8) if algorithm != "direct" else flat("torus", 5, 5)
    net, size = topology(cluster), cluster.levels[0].sizes[0]
    rank = np.arange(net.N)
    x, y = rank % size, rank // size
    image = ((-x if mirror and algorithm == "ring" else x) + dx) % size + ((y + dy) % size) * size
    if algorithm == "halving_doubling":  # ties of even sizes go by parity: keep it
        image = (x + 2 * dx) % size + ((y + 2 * dy) % size) * size
    one = solve(schedule(algorithm, "all_reduce", range(net.N), 1e9), net)
    two = solve(schedule(algorithm, "all_reduce", image.tolist(), 1e9), net)
    assert two == pytest.approx(one, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(CLUSTER, st.sampled_from(["ring", "bidirectional_ring", "direct", "hierarchical", "torus"]))
def test_bytes_on_links_are_what_the_algorithm_moves(cluster: Cluster, algorithm: str) -> None:
    """Bytes leaving devices' own ports add up to at least 2(N-1)·S, and exactly on a switch."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    able = {c.algorithm for c in communicator.costs("all_reduce", group, every=True)}
    if algorithm not in able:
        return
    total = communicator.link_loads("all_reduce", 1e9, group, algorithm).sum()
    least = 2 * (cluster.devices - 1) * 1e9
    assert total >= least * (1 - 1e-9)
    if cluster.levels[0].topology == "switch" and len(cluster.levels) == 1:
        assert total == pytest.approx(2 * least)  # one link up, one link down


@settings(max_examples=40, deadline=None)
@given(CLUSTER, st.sampled_from(["ring", "bidirectional_ring", "double_binary_tree", "direct"]))
def test_price_is_never_below_the_fullest_link(cluster: Cluster, algorithm: str) -> None:
    """Transfer time ≥ bytes on any link over its capacity."""
    communicator, group = Communicator(cluster), Group(cluster.devices)
    load = communicator.link_loads("all_reduce", 1e9, group, algorithm)
    cost = communicator.cost("all_reduce", group, algorithm)
    assert cost.per_byte_s * 1e9 >= (load / communicator.topology.cap).max() * (1 - 1e-9)


@pytest.mark.parametrize(("size", "stride"), [(8, 1), (4, 1), (4, 8), (2, 4), (8, 4), (16, 2), (32, 1)])
def test_groups_together_never_beat_one_alone(size: int, stride: int) -> None:
    """All groups of an axis share links; the first group alone is at least as fast."""
    communicator = Communicator(two_level(4, "fat_tree", nics=4))
    place, rest = stride, 32 // (size * stride)
    first = tuple(range(0, size * stride, stride))
    together = communicator.cost("all_reduce", Group(size, stride), "ring")
    alone = communicator.cost("all_reduce", Group(size, ranks=first), "ring")
    assert together.per_byte_s >= alone.per_byte_s * (1 - 1e-12)
    assert place * rest >= 1
    assert together.fixed_s == pytest.approx(alone.fixed_s)


def test_a_collective_of_one_costs_nothing() -> None:
    """No ranks to talk to."""
    communicator = Communicator(flat("switch", 8))
    assert communicator.time("all_reduce", 1e9, Group(1)) == 0.0
    assert communicator.times("all_reduce", [1.0, 2.0], Group(1)).tolist() == [0.0, 0.0]


def test_irregular_groups_still_run() -> None:
    """Any list of ranks: uneven over the nodes."""
    communicator = Communicator(two_level(4, "rail"))
    group = Group(5, ranks=(0, 1, 2, 9, 31))
    costs = {c.algorithm: c for c in communicator.costs("all_reduce", group, every=True)}
    assert {"ring", "double_binary_tree", "direct", "halving_doubling"} <= costs.keys()
    assert all(math.isfinite(c.seconds(1e9)) for c in costs.values())


def test_a_barrier_costs_latency_only() -> None:
    """log₂N exchanges of nothing."""
    communicator = Communicator(flat("switch", 16))
    assert communicator.time("barrier", 1e9, Group(16)) == pytest.approx(4 * 2e-6)


def test_a_named_algorithm_takes_its_better_protocol() -> None:
    """Small messages use the low-latency protocol (2/5 of the latency, 1/4 of the rate), large ones do not."""
    cluster = with_links(flat("switch", 8), lambda x: replace(x, fast_latency=0.4, fast_bandwidth=0.25))
    communicator, group = Communicator(cluster), Group(8)
    plain = communicator.cost("all_reduce", group, "ring")
    assert communicator.time("all_reduce", 1.0, group, "ring") == pytest.approx(0.4 * plain.fixed_s, rel=1e-3)
    assert communicator.time("all_reduce", 1e9, group, "ring") == plain.seconds(1e9)
    assert communicator.choose("all_reduce", 1.0, group).algorithm.endswith("/low-latency")
    assert communicator.time("all_reduce", 1e9, group, "ring/low-latency") == pytest.approx(
        0.4 * plain.fixed_s + 4e9 * plain.per_byte_s
    )
    with pytest.raises(InputError, match="no low-latency protocol"):
        Communicator(flat("switch", 8)).time("all_reduce", 1.0, group, "ring/low-latency")
    assert communicator.link_loads("all_reduce", 1.0, group).sum() > 0
    assert communicator.schedule("all_reduce", 1.0, group).phases


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e-3), st.floats(0, 1e-9)), min_size=1, max_size=8), BYTES)
def test_lower_envelope_keeps_the_cheapest_line_of_every_size(lines: list[tuple[float, float]], nbytes: float) -> None:
    """Pruned lines never matter."""
    costs = [CollectiveCost(str(i), a, b) for i, (a, b) in enumerate(lines)]
    kept = envelope(costs)
    assert min(c.seconds(nbytes) for c in kept) == pytest.approx(min(c.seconds(nbytes) for c in costs), rel=1e-9)
    assert min(c.fixed_s for c in kept) == min(c.fixed_s for c in costs)
    assert [c.per_byte_s for c in kept] == sorted({c.per_byte_s for c in kept}, reverse=True)


@pytest.mark.parametrize(("size", "stride"), [(8, 1), (4, 1), (2, 4), (4, 8), (16, 2)])
@pytest.mark.parametrize("algorithm", ["halving_doubling", "recursive_doubling", "direct", "hierarchical"])
def test_sub_groups_in_any_layout_cost_what_their_schedules_take(size: int, stride: int, algorithm: str) -> None:
    """Contiguous and strided groups: the price of all groups at once is the phase solver's on the union of the
    groups' messages."""
    communicator, group = Communicator(two_level(4, "switch", nics=4)), Group(size, stride)
    if algorithm not in {c.algorithm for c in communicator.costs("all_reduce", group, every=True)}:
        return
    rows = communicator.case("all_reduce", group).layout.devices
    whole = communicator.schedule("all_reduce", 1e8, group, algorithm, every=True)
    assert whole.ranks == tuple(rows.ravel().tolist())
    assert whole.messages == len(rows) * communicator.schedule("all_reduce", 1e8, group, algorithm).messages
    assert communicator.time("all_reduce", 1e8, group, algorithm) == pytest.approx(
        solve(whole, communicator.topology), rel=1e-9
    )


def test_a_message_pays_its_own_launch_and_not_the_knee_of_collectives() -> None:
    """Send: path latency + `message_base_s` (NCCL tuning.cc, 8.4 us); a link that names none pays `base_s`."""
    knee = with_links(flat("switch", 8), lambda x: replace(x, base_s=94e-6))
    own = with_links(knee, lambda x: replace(x, message_base_s=8.4e-6))
    path = Communicator(flat("switch", 8)).send(0.0, 1)
    assert Communicator(knee).send(0.0, 1) == pytest.approx(path + 94e-6)
    assert Communicator(own).send(0.0, 1) == pytest.approx(path + 8.4e-6)
    assert Communicator(own).p2p(0.0, 0, 5) == pytest.approx(path + 8.4e-6)
    assert Communicator(own).time("all_reduce", 1.0, Group(8)) >= 94e-6


ODD = [
    flat("torus", 1, 4),
    flat("dragonfly", 2, 1, 4),
    flat("fat_tree", 10, options={"leaf": 3}),
    flat("fat_tree", 30, options={"leaf": 3, "tiers": 3, "pod": 12}),
    two_level(5, "rail", g=3, nics=2),
    two_level(3, "torus", g=4, nics=2),
    two_level(5, "rail", g=4),
]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ODD), KIND, st.data())
def test_no_link_is_busy_for_longer_than_the_collective(
    cluster: Cluster, kind: CollectiveKind, data: st.DataObject
) -> None:
    """Odd shapes, any list of ranks, every algorithm: bytes over capacity of every link fit into the time."""
    ranks = data.draw(st.lists(st.integers(0, cluster.devices - 1), min_size=2, unique=True))
    communicator, group = Communicator(cluster), Group(len(ranks), ranks=tuple(ranks))
    for cost in communicator.costs(kind, group, every=True):
        loads = communicator.link_loads(kind, 1.0, group, cost.algorithm)
        assert loads.sum() > 0
        assert (loads / communicator.topology.cap).max() <= cost.per_byte_s * (1 + 1e-9)
