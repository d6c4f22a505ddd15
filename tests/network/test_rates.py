"""Max-min fairness is proved by its certificate; fluid finish times against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import fluid, maxmin
from sim.network.rates import phase_transfer
from sim.network.topologies.base import Floats, Ints


@st.composite
def networks(draw: st.DrawFn) -> tuple[Ints, Floats]:
    """Random flows over random links."""
    links, flows, hops = draw(st.integers(1, 12)), draw(st.integers(1, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    routes = np.full((flows, hops), -1, dtype=np.int64)
    for row in routes:
        length = rng.integers(1, min(hops, links) + 1)
        row[:length] = rng.choice(links, length, replace=False)
    cap = np.array(draw(st.lists(st.floats(0.1, 100.0), min_size=links, max_size=links)))
    return routes, cap


def progressive_filling(routes: Ints, cap: Floats) -> Floats:
    """Textbook: raise all rates together, freeze flows of the link that fills first (Bertsekas & Gallager 6.5.2)."""
    rate, left, active = np.zeros(len(routes)), cap.astype(float).copy(), set(range(len(routes)))
    while active:
        count = np.zeros(len(cap))
        for f in active:
            count[[x for x in routes[f] if x >= 0]] += 1
        share = np.where(count > 0, left / np.maximum(count, 1), np.inf)
        worst = int(share.argmin())
        raise_by = max(share[worst], 0.0)
        for f in active:
            rate[f] += raise_by
        left -= raise_by * count
        active -= {f for f in active if worst in routes[f]}
    return rate


@settings(max_examples=50, deadline=None)
@given(networks())
def test_certificate_of_max_min(network: tuple[Ints, Floats]) -> None:
    """No link above capacity, and every flow has a saturated link on which its rate is the largest."""
    routes, cap = network
    rate = maxmin(routes, cap)
    load = np.zeros(len(cap))
    fastest = np.zeros(len(cap))
    for f, row in enumerate(routes):
        used = row[row >= 0]
        load[used] += rate[f]
        fastest[used] = np.maximum(fastest[used], rate[f])
    assert (load <= cap * (1 + 1e-9)).all()
    for f, row in enumerate(routes):
        used = row[row >= 0]
        assert any(load[x] >= cap[x] * (1 - 1e-9) and rate[f] >= fastest[x] * (1 - 1e-9) for x in used)


@settings(max_examples=50, deadline=None)
@given(networks())
def test_local_bottlenecks_give_the_rates_of_progressive_filling(network: tuple[Ints, Floats]) -> None:
    """The max-min allocation is unique."""
    assert maxmin(*network) == pytest.approx(progressive_filling(*network), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(networks())
def test_equal_flows_end_when_the_fullest_link_ends(network: tuple[Ints, Floats]) -> None:
    """The slowest flow has the smallest fair share: the shortcut equals the fluid model."""
    routes, cap = network
    nbytes = np.full(len(routes), 7.0)
    assert phase_transfer(routes, cap, nbytes) == pytest.approx(float(fluid(routes, cap, nbytes).max()), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 2**32))
def test_unequal_flows_never_beat_the_load_bound(network: tuple[Ints, Floats], seed: int) -> None:
    """No schedule is faster than the bytes on the fullest link over its capacity."""
    routes, cap = network
    nbytes = np.random.default_rng(seed).uniform(1, 10, len(routes))
    load = np.zeros(len(cap))
    for f, row in enumerate(routes):
        load[row[row >= 0]] += nbytes[f]
    assert fluid(routes, cap, nbytes).max() >= (load / cap).max() * (1 - 1e-9)


def test_freed_capacity_is_shared_again() -> None:
    """Flows of 1 and 3 bytes on one link of 2 B/s: 1 B/s each until t = 1, then 2 B/s: ends at 1 and 2."""
    routes = np.zeros((2, 1), dtype=np.int64)
    assert fluid(routes, np.array([2.0]), np.array([1.0, 3.0])) == pytest.approx([1.0, 2.0])


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 11), st.floats(0.1, 1.0))
def test_a_slower_link_never_speeds_up_equal_flows(network: tuple[Ints, Floats], link: int, factor: float) -> None:
    """In one phase of equal flows."""
    routes, cap = network
    slower = cap.copy()
    slower[link % len(cap)] *= factor
    nbytes = np.full(len(routes), 3.0)
    assert phase_transfer(routes, slower, nbytes) >= phase_transfer(routes, cap, nbytes) * (1 - 1e-12)


def test_a_flow_without_links_is_not_limited() -> None:
    """A route of padding only has an infinite rate."""
    assert maxmin(np.array([[-1], [0]]), np.array([4.0])).tolist() == [np.inf, 4.0]
