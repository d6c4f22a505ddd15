"""Every schedule is executed symbolically: each rank must end with exactly the right data, nothing twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sim.errors import InputError
from sim.network import Schedule, schedule

SIZES = (2, 3, 4, 5, 7, 8, 13, 16)
Buffers = list[list[Counter[int]]]


def execute(plan: Schedule, state: Buffers) -> Buffers:
    """Run a schedule on buffers whose pieces are multisets of the ranks that contributed to them."""
    ends = {int(end) for phase in plan.phases for end in (*phase.src, *phase.dst)}
    switches = sorted((end for end in ends if end < 0), reverse=True)
    index = {device: i for i, device in enumerate((*plan.ranks, *switches))}
    state += [[Counter() for _ in range(plan.pieces)] for _ in switches]  # accumulators
    for phase in plan.phases:
        for t in range(phase.repeat):
            start = phase.pieces_at(t)
            news = []
            for f in range(len(phase.src)):
                for piece in range(start[f], start[f] + phase.count[f]):
                    news.append(
                        (index[int(phase.dst[f])], piece, state[index[int(phase.src[f])]][piece], phase.reduce[f])
                    )
            merged = {(d, p): Counter(state[d][p]) for d, p, _, _ in news}
            for d, p, content, reduce in news:
                merged[d, p] = merged[d, p] + content if reduce else Counter(content)
            for (d, p), content in merged.items():
                state[d][p] = content
    return state[: len(plan.ranks)]


def own(n: int, pieces: int) -> Buffers:
    return [[Counter([r]) for _ in range(pieces)] for r in range(n)]


def owners(algorithm: str, n: int, shape: tuple[int, ...]) -> list[int]:
    """Who holds each piece between the halves: the one rank with all contributions after a reduce-scatter (recursive
    doubling only gathers: rank i has piece i)."""
    if algorithm == "recursive_doubling":
        return list(range(n))
    plan = schedule(algorithm, "reduce_scatter", n, 1e6, shape)
    state, full = execute(plan, own(n, plan.pieces)), Counter(range(n))
    found = [[r for r in range(n) if state[r][piece] == full] for piece in range(plan.pieces)]
    assert all(len(ranks) == 1 for ranks in found)
    return [ranks[0] for ranks in found]


ALL = [
    ("ring", SIZES), ("bidirectional_ring", SIZES), ("recursive_doubling", SIZES), ("halving_doubling", SIZES),
    ("direct", SIZES), ("double_binary_tree", SIZES), ("switch", SIZES), ("hierarchical", SIZES), ("torus", SIZES),
]  # fmt: skip
SHAPES = [(2, 2), (4, 2), (3, 5), (2, 3, 4), (2, 2, 2), (4, 3), (8, 4), (1, 4)]


@pytest.mark.parametrize(("algorithm", "n"), [(a, n) for a, sizes in ALL for n in sizes])
def test_all_reduce_leaves_every_contribution_once_on_every_rank(algorithm: str, n: int) -> None:
    """After an all-reduce each piece on each rank is the sum of every rank's piece, each exactly once."""
    plan = schedule(algorithm, "all_reduce", range(10, 10 + n), 1e6)
    for buffer in execute(plan, own(n, plan.pieces)):
        assert all(content == Counter(range(n)) for content in buffer)


@pytest.mark.parametrize("algorithm", ["hierarchical", "torus"])
@pytest.mark.parametrize("shape", SHAPES)
def test_multidimensional_all_reduce(algorithm: str, shape: tuple[int, ...]) -> None:
    """Also over several levels or dimensions of unequal sizes."""
    n = int(np.prod(shape))
    plan = schedule(algorithm, "all_reduce", n, 1e6, shape)
    for buffer in execute(plan, own(n, plan.pieces)):
        assert all(content == Counter(range(n)) for content in buffer)


HALVES = [("ring", n, ()) for n in SIZES] + [("bidirectional_ring", n, ()) for n in SIZES]
HALVES += [("direct", n, ()) for n in SIZES] + [
    (a, int(np.prod(s)), s) for a in ("hierarchical", "torus") for s in SHAPES
]


@pytest.mark.parametrize(("algorithm", "n", "shape"), [*HALVES, *[("halving_doubling", n, ()) for n in (2, 4, 8, 16)]])
def test_reduce_scatter_leaves_the_full_sum_with_its_owner(algorithm: str, n: int, shape: tuple[int, ...]) -> None:
    """Each rank owns its 1/N of the pieces, complete."""
    plan = schedule(algorithm, "reduce_scatter", n, 1e6, shape)
    state = execute(plan, own(n, plan.pieces))
    holders = owners(algorithm, n, shape)
    assert sorted(Counter(holders).values()) == [plan.pieces // n] * n
    for piece, rank in enumerate(holders):
        assert state[rank][piece] == Counter(range(n))


@pytest.mark.parametrize(
    ("algorithm", "n", "shape"), [*HALVES, *[("recursive_doubling", n, ()) for n in (2, 4, 8, 16)]]
)
def test_all_gather_brings_every_piece_everywhere(algorithm: str, n: int, shape: tuple[int, ...]) -> None:
    """Starting from owners only, every rank ends with every piece."""
    plan = schedule(algorithm, "all_gather", n, 1e6, shape)
    state: Buffers = [[Counter() for _ in range(plan.pieces)] for _ in range(n)]
    holders = owners(algorithm, n, shape)
    for piece, rank in enumerate(holders):
        state[rank][piece] = Counter([rank])
    for buffer in execute(plan, state):
        assert [set(c) for c in buffer] == [{r} for r in holders]


@pytest.mark.parametrize("algorithm", ["direct", "pairwise"])
@pytest.mark.parametrize("n", SIZES)
def test_all_to_all_transposes(algorithm: str, n: int) -> None:
    """Rank d ends with piece s·N+d of every rank s, and each rank sends bytes·(N-1)/N."""
    plan = schedule(algorithm, "all_to_all", n, 1e6)
    state: Buffers = [[Counter([r]) if p // n == r else Counter() for p in range(n * n)] for r in range(n)]
    state = execute(plan, state)
    for d in range(n):
        assert all(state[d][s * n + d] == Counter([s]) for s in range(n))
    assert plan.total_bytes == pytest.approx(1e6 * (n - 1))


@pytest.mark.parametrize("algorithm", ["ring", "double_binary_tree"])
@pytest.mark.parametrize("n", SIZES)
def test_broadcast_and_reduce(algorithm: str, n: int) -> None:
    """A broadcast brings the root's buffer everywhere; a reduce brings the sum to the root. A shifted tree has
    rank 0 as root too."""
    plan = schedule(algorithm, "broadcast", n, 1e6)
    for buffer in execute(plan, own(n, plan.pieces)):
        assert all(content == Counter([0]) for content in buffer)
    plan = schedule(algorithm, "reduce", n, 1e6)
    assert all(content == Counter(range(n)) for content in execute(plan, own(n, plan.pieces))[0])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("algorithm", ["ring", "bidirectional_ring", "direct", "hierarchical", "torus"])
def test_all_reduce_moves_the_least_possible_bytes(algorithm: str, n: int) -> None:
    """Bandwidth-optimal algorithms send 2(N-1)·S in all (Patarasuk & Yuan 2009)."""
    assert schedule(algorithm, "all_reduce", n, 1e6).total_bytes == pytest.approx(2 * (n - 1) * 1e6)


def test_an_algorithm_that_needs_a_power_of_two_says_so() -> None:
    """Recursive doubling gathers powers of two only."""
    with pytest.raises(InputError, match="power of two"):
        schedule("recursive_doubling", "all_gather", 6, 1e6)
    with pytest.raises(InputError, match="no schedule for this algorithm"):
        schedule("rnig", "all_reduce", 6, 1e6)
    with pytest.raises(InputError, match="multiply"):
        schedule("torus", "all_reduce", 6, 1e6, (4, 2))
