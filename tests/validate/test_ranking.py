"""Rank correlation of plans: ties within 2 %, groups that differ in their plan alone."""

from __future__ import annotations

import pytest

from sim.validation.ranking import ceiling, rankings, ranks, spearman
from sim.validation.validation import Comparison, Measure, Request


def test_close_times_share_their_rank() -> None:
    """100 and 101 are closer than 2 %: both 1.5; 110 is third."""
    assert ranks([100.0, 101.0, 110.0]) == [1.5, 1.5, 3.0]
    assert ranks([110.0, 100.0, 120.0]) == [2.0, 1.0, 3.0]


def test_spearman_of_the_textbook_cases() -> None:
    """Same order 1, reverse −1, 1 − 6·Σd²/(n(n²−1)) between (here d = 1, 1 of n = 4: 0.8); all tied: 0."""
    times = [1.0, 2.0, 3.0, 4.0]
    assert spearman(times, [10.0, 20.0, 40.0, 80.0]) == pytest.approx(1.0)
    assert spearman(times, times[::-1]) == pytest.approx(-1.0)
    assert spearman(times, [1.0, 3.0, 2.0, 4.0]) == pytest.approx(0.8)
    assert spearman(times, [1.0, 1.001, 1.002, 1.003]) == 0.0


def test_groups_differ_in_their_plan_alone() -> None:
    """Six rows of one model rank together; a row on more devices and groups of four rows do not count."""

    def row(number: int, devices: int, error: float) -> tuple[Request, Comparison]:
        overrides = {"workload.sizes.depth": 4, "cluster.devices": devices, "plan.tensor": number}
        measure = Measure("step_time_s", "step_time_s", 1.0)
        request = Request(f"r{number}", "set", {}, overrides, (), measure, 1.0)
        times = (1.0 + number, (1.0 + number) * (1.0 + error))
        return request, Comparison(f"r{number}", "set", *times, error, (), "chip", times[0], 1.0, True)

    pairs = [row(k, 8, 0.0) for k in range(6)] + [row(k, 16, 0.5) for k in range(6, 10)]
    (found,) = rankings([p[0] for p in pairs], [p[1] for p in pairs])
    assert found.rows == tuple(f"r{k}" for k in range(6))
    assert found.correlation == pytest.approx(1.0)
    assert found.spread == pytest.approx(5.0)
    assert found.ceiling == pytest.approx(1.0)


def test_repeated_measurements_set_a_ceiling() -> None:
    """Two plans measured twice, interleaved: ranks 1, 3 and 2, 4 have means 2 and 3, whose correlation with the ranks
    is √(Σ(mean − 2.5)²/Σ(rank − 2.5)²) = √(1/5)."""
    assert ceiling([1.0, 2.0, 3.0, 4.0], ["a", "b", "a", "b"]) == pytest.approx(0.2**0.5)
    assert ceiling([1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "d"]) == pytest.approx(1.0)
