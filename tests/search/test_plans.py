"""The plan search: finds what exhaustive simulation finds, explains, and says why nothing fits."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))

from tiny import CHIP, GIB, NUMERICS, cluster, model

from sim.device.records import Memory
from sim.engine import simulate_step
from sim.errors import InfeasibleError
from sim.network import Communicator
from sim.plan.screen import Limits, Screen, candidates
from sim.search import search

LIMITS = Limits(sub_batch=(1, 4), virtual_stages=(1, 2))


def test_the_search_finds_what_simulating_every_plan_finds() -> None:
    """Within a tie of the best of all plans that fit, each simulated."""
    communicator = Communicator(cluster(16))
    screen = Screen(model(), NUMERICS, CHIP, communicator)
    fitting = [c for c in screen.run(candidates(model(), 16, 64, LIMITS)) if c.time_s is not None]
    best = min(simulate_step(screen.prepared(c.plan), "recursion").time_s for c in fitting)
    found = search(model(), NUMERICS, CHIP, communicator, 64, LIMITS)
    assert found.ranked[0].step.time_s <= best * 1.01
    assert found.fitting == len(fitting) <= found.considered


def test_the_ranking_says_why_others_lose() -> None:
    """Sorted by time; the first is the fastest, others name what they spend more on."""
    found = search(model(), NUMERICS, CHIP, Communicator(cluster(16)), 64, LIMITS)
    times = [r.step.time_s for r in found.ranked]
    assert times == sorted(times)
    assert found.ranked[0].why.startswith("fastest")
    assert all("%" in r.why or "tie" in r.why for r in found.ranked[1:])


def test_plans_that_do_not_fit_are_not_results() -> None:
    """Half the memory: what remains fits."""
    small = replace(CHIP, memory=Memory(2.5 * GIB, 1e12, 1.0))
    found = search(model(), NUMERICS, small, Communicator(cluster(16)), 64, LIMITS)
    assert found.fitting < found.considered
    assert all(r.memory.fits for r in found.ranked)


def test_nothing_fits_is_said_with_the_smallest_need() -> None:
    """InfeasibleError with need, capacity and levers."""
    tiny = replace(CHIP, memory=Memory(1e6, 1e12, 1.0))
    with pytest.raises(InfeasibleError) as caught:
        search(model(), NUMERICS, tiny, Communicator(cluster(4)), 16, LIMITS)
    assert caught.value.reason.need_bytes > caught.value.reason.have_bytes == 1e6
    assert caught.value.reason.levers
