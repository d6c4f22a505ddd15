"""Slow devices: which stages of which replicas they slow."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.plan import Plan, slow_stages

PLAN = Plan(1, 8, data=2, tensor=2, pipeline=4)  # rank = tensor + 2·data + 4·stage


def test_a_rank_slows_its_stage() -> None:
    """Rank 9 is tensor rank 1 of replica 0 on stage 2."""
    assert slow_stages(PLAN, [(9, 1.5)]) == [{2: 1.5}]


def test_a_stage_runs_as_its_slowest_rank() -> None:
    """Ranks 8 and 9 share stage 2 of replica 0."""
    assert slow_stages(PLAN, [(8, 1.2), (9, 1.5)]) == [{2: 1.5}]


def test_replicas_are_told_apart_and_equal_ones_counted_once() -> None:
    """Rank 10 lies on replica 1, stage 2; the same stage as slow as in replica 0 is one case."""
    assert slow_stages(PLAN, [(8, 1.2), (10, 1.5), (0, 1.1)]) == [{0: 1.1, 2: 1.2}, {2: 1.5}]
    assert slow_stages(PLAN, [(8, 1.2), (10, 1.2)]) == [{2: 1.2}]


def test_the_order_of_ranks_decides() -> None:
    """With the pipeline innermost rank 1 is the second stage."""
    inner = Plan(1, 8, data=2, tensor=2, pipeline=4, order=("pipeline", "tensor", "context", "data"))
    assert slow_stages(inner, [(1, 2.0)]) == [{1: 2.0}]


def test_no_slow_device_is_one_even_case() -> None:
    """And a rank beyond the plan is refused."""
    assert slow_stages(PLAN, []) == [{}]
    with pytest.raises(InputError, match="ranks are 0 to 15"):
        slow_stages(PLAN, [(16, 2.0)])
