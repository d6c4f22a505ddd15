"""Message level against the phase solver, the closed forms and the slow-link recursion; flow level beside it."""

from __future__ import annotations

import pytest

from sim.engine.flows import simulate_flows
from sim.engine.messages import Links, Message, Phase, ring_with_slow_links, simulate_messages, simulate_schedule
from sim.network import Cluster, Level, LinkType, schedule, solve, topology

S = 64e6
ALPHA, BW = 1e-6, 50e9
LINK = LinkType("test", bandwidth=BW, latency_s=ALPHA)


def cluster(kind: str, *sizes: int, link: LinkType = LINK) -> Cluster:
    n = 1
    for size in sizes:
        n *= size
    return Cluster("test", "", n, (Level("level", kind, sizes, link),))


CASES = [
    *(("ring", "switch", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("ring", "ring", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("bidirectional_ring", "ring", (n,)) for n in (3, 4, 5, 8, 16, 64)),
    *(("recursive_doubling", "switch", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("halving_doubling", "switch", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("direct", "switch", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("direct", "fully_connected", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("switch", "switch", (n,)) for n in (2, 3, 4, 5, 8, 16, 64)),
    *(("torus", "torus", sizes) for sizes in ((2, 2), (3, 3), (4, 4), (8, 8), (2, 2, 2), (3, 3, 3), (4, 4, 4))),
    *(("torus", "torus", sizes) for sizes in ((4, 2), (3, 5), (8, 4), (4, 3, 2))),
]


@pytest.mark.parametrize(("algorithm", "kind", "sizes"), CASES)
def test_message_and_flow_level_equal_the_phase_solver(algorithm: str, kind: str, sizes: tuple[int, ...]) -> None:
    """Without contention a barrier per phase costs nothing: the three levels agree to 1e-9."""
    c = cluster(kind, *sizes)
    topo = topology(c)
    shape = sizes if algorithm == "torus" else ()
    plan = schedule(algorithm, "all_reduce", c.devices, S, shape)
    phase = solve(plan, topo)
    assert simulate_schedule(plan, topo).time == pytest.approx(phase, rel=1e-9)
    if c.devices <= 16:
        assert simulate_flows(plan, topo).time == pytest.approx(phase, rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 16, 64])
def test_ring_equals_its_closed_form(n: int) -> None:
    """2(N-1)·(2α + S/N·β) over one switch (two links a hop), in both message and flow level."""
    c = cluster("switch", n)
    plan = schedule("ring", "all_reduce", n, S)
    expected = 2 * (n - 1) * (2 * ALPHA + S / n / BW)
    assert simulate_schedule(plan, topology(c)).time == pytest.approx(expected, rel=1e-9)
    assert simulate_flows(plan, topology(c)).time == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("inner", "outer"), [(2, 2), (4, 4), (8, 8), (4, 16)])
def test_hierarchical_over_two_levels(inner: int, outer: int) -> None:
    """Reduce-scatter in the node, rings per rail, all-gather: message = phase."""
    levels = (Level("node", "switch", (inner,), LINK), Level("fabric", "switch", (outer,), LINK))
    c = Cluster("two levels", "", inner * outer, levels)
    plan = schedule("hierarchical", "all_reduce", c.devices, S, (inner, outer))
    assert simulate_schedule(plan, topology(c)).time == pytest.approx(solve(plan, topology(c)), rel=1e-9)


@pytest.mark.parametrize("n", [3, 5, 8, 16])
@pytest.mark.parametrize("slow", [0.5, 0.1])
def test_a_slow_link_in_a_ring_is_the_max_plus_recursion(n: int, slow: float) -> None:
    """Real rings pipeline latency behind a slow link; the recursion gives the same times to 1e-9."""
    capacity = [BW] * n
    capacity[n // 2] *= slow
    ring = Phase(tuple(Message(r, (r + 1) % n, S / n, (r,)) for r in range(n)), repeat=2 * (n - 1))
    run = simulate_messages([ring], n, Links(capacity, [ALPHA] * n))
    expected = ring_with_slow_links([S / n / c for c in capacity], ALPHA, 2 * (n - 1))
    assert run.time == pytest.approx(expected, rel=1e-9)
    barrier = 2 * (n - 1) * (ALPHA + S / n / (BW * slow))
    assert run.time <= barrier * (1 + 1e-12)


def test_store_and_forward_pays_every_link_and_chunks_pipeline() -> None:
    """One message over three links: 3·(L + S/B) whole; K chunks: 3·L + (K+2)/K·S/B."""
    links = Links([BW] * 3, [ALPHA] * 3)
    whole = simulate_messages([Phase((Message(0, 1, S, (0, 1, 2)),))], 2, links, forwarding="store_and_forward")
    assert whole.time == pytest.approx(3 * (ALPHA + S / BW), rel=1e-12)
    piece = [Phase((Message(0, 1, S / 8, (0, 1, 2)),))]
    cut = simulate_messages(piece, 2, links, chunks=8, forwarding="store_and_forward")
    assert cut.time == pytest.approx(3 * ALPHA + 10 / 8 * S / BW, rel=1e-12)


def test_links_are_first_in_first_out() -> None:
    """Two messages on one link: the second waits for the first, not for its latency."""
    phase = Phase((Message(0, 1, S, (0,)), Message(0, 2, S, (0,))))
    run = simulate_messages([phase], 3, Links([BW], [ALPHA]))
    first, last = S / BW + ALPHA, 2 * S / BW + ALPHA
    assert run.rank_times == pytest.approx((last, first, last), rel=1e-12)  # the sender is done when all is delivered
    assert run.busy[0] == pytest.approx(2 * S / BW, rel=1e-12)


def test_flow_level_shares_one_link_between_two_flows() -> None:
    """Two flows on one up-link take twice as long; busy time is the same as one after the other."""
    c = cluster("switch", 4)
    plan = schedule("direct", "all_to_all", 4, S)
    assert simulate_flows(plan, topology(c)).time == pytest.approx(2 * ALPHA + 3 / 4 * S / BW, rel=1e-9)


def test_events_of_a_ring_are_counted() -> None:
    """One event per message, one per step to serve requests, one to begin per rank: 2N(N-1) + 2(N-1) + N."""
    n = 16
    plan = schedule("ring", "all_reduce", n, S)
    assert simulate_schedule(plan, topology(cluster("switch", n))).events == 2 * n * (n - 1) + 2 * (n - 1) + n
