"""Swing against its paper (De Sensi et al., NSDI 2024, arXiv 2401.09356)."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from clusters import ALPHA, BANDWIDTH, flat
from test_schedules import execute, own, owners

from sim.errors import InputError
from sim.network import Communicator, Group, schedule, solve

S = 1e9
TORI = [(8,), (16,), (4, 4), (8, 8), (4, 8), (2, 4, 8), (4, 4, 4)]


def distances(sizes: tuple[int, ...]) -> list[int]:
    """δ of every step: 1, 1, 3, 5, 11 … in each dimension, taking turns, those that are through left out."""
    delta = [1, 1, 3, 5, 11, 21, 43]  # the paper's figure 3: |1 - 2 + 4 - 8 + …|
    steps = range(max(sizes).bit_length() - 1)
    return [delta[sigma] for sigma in steps for size in sizes if size >> (sigma + 1)]


@pytest.mark.parametrize("sizes", TORI, ids=str)
def test_every_contribution_arrives_once(sizes: tuple[int, ...]) -> None:
    """Executed symbolically, all-reduce and its halves."""
    n = math.prod(sizes)
    plan = schedule("swing", "all_reduce", n, S, sizes)
    assert all(content == Counter(range(n)) for buffer in execute(plan, own(n, plan.pieces)) for content in buffer)
    holders = owners("swing", n, sizes)
    assert sorted(Counter(holders).values()) == [plan.pieces // n] * n


@pytest.mark.parametrize("sizes", [(8,), (16,), (4, 4), (8, 8), (16, 16), (4, 4, 4), (8, 8, 8)], ids=str)
def test_the_time_on_a_torus_is_the_paper_s_formula(sizes: tuple[int, ...]) -> None:
    """Σ 2(δ·α + δ·S/2^(s+1)/B): every port works in every step; the phases take as long."""
    communicator, group = Communicator(flat("torus", *sizes)), Group(math.prod(sizes))
    expected = sum(2 * d * (ALPHA + S / 2 ** (s + 1) / BANDWIDTH) for s, d in enumerate(distances(sizes)))
    assert communicator.time("all_reduce", S, group, "swing") == pytest.approx(expected, rel=1e-9)
    if group.size <= 64:
        plan = communicator.schedule("all_reduce", S, group, "swing")
        assert solve(plan, communicator.topology) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sizes", [(64, 64), (16, 16, 16), (8, 8, 8, 8)], ids=str)
def test_the_congestion_deficiency_tends_to_that_of_the_paper(sizes: tuple[int, ...]) -> None:
    """Bytes over the busiest link relative to 2·S/B, summed over endless steps in D dimensions:
    (1 - 2^-D)/3·(2/(1 - 2^(1-D)) + 1/(1 + 2^-D)) = 1.2, 1.04, 1.008 (recalled of its table: 1.19, 1.03, 1.008)."""
    step = 2.0 ** -len(sizes)
    limit = (1 - step) / 3 * (2 / (1 - 2 * step) + 1 / (1 + step))
    cost = Communicator(flat("torus", *sizes)).cost("all_reduce", Group(math.prod(sizes)), "swing")
    assert cost.per_byte_s * BANDWIDTH / 2 == pytest.approx(limit, abs=0.02)


def test_where_it_wins_and_where_not() -> None:
    """On 8 × 8: fewer hops than halving and doubling at any size, faster than torus rings for small buffers only."""
    communicator, group = Communicator(flat("torus", 8, 8)), Group(64)
    for nbytes in (32.0, 1e9):
        swing, halving = (communicator.time("all_reduce", nbytes, group, a) for a in ("swing", "halving_doubling"))
        assert swing < halving
    small, large = (
        [communicator.time("all_reduce", nbytes, group, a) for a in ("swing", "torus")] for nbytes in (32.0, 1e9)
    )
    assert small[0] < small[1]
    assert large[0] > large[1]


def test_twelve_ranks_are_refused() -> None:
    with pytest.raises(InputError, match="swing needs a power of two of ranks, the group has 12; can run here"):
        Communicator(flat("torus", 3, 4)).time("all_reduce", 1.0, Group(12), "swing")
