"""The schedules of every algorithm: `schedule(algorithm, kind, ranks, nbytes)`.

Pieces: all-reduce and reduce-scatter leave piece(s) r on rank index r; an all-gather starts from there; all-to-all has
N pieces per rank, piece s·N+d being what s holds for d (nbytes is what one rank holds: the buffer is N·nbytes).
Broadcast and reduce have rank index 0 as root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.errors import InputError, Problem
from sim.network.levels import Floats, Ints
from sim.network.multidimensional import Shape, fineness, hierarchical, torus
from sim.network.schedule import Phase, Schedule, Writer, halves, joined
from sim.network.trees import double_tree
from sim.ops import CollectiveKind


def ring(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Step t: rank r sends piece r-t-1 on and adds what it gets; then the finished pieces go round."""
    i = np.arange(w.n)
    to = (i + 1) % w.n
    scatter, gather = halves(kind)
    if kind in ("broadcast", "reduce"):
        _pipeline(w, kind)
        return
    if scatter:
        w.phase(i, to, (i - 1) % w.n, step=-1, reduce=True, repeat=w.n - 1)
    if gather:
        w.phase(i, to, i, step=-1, repeat=w.n - 1)


def _pipeline(w: Writer, kind: CollectiveKind) -> None:
    """Broadcast down the chain 0 → 1 → …, piece by piece; reduce up the chain … → 1 → 0."""
    down = kind == "broadcast"
    for t in range(w.pieces + w.n - 2):
        hop = np.arange(max(0, t - w.pieces + 1), min(w.n - 1, t + 1))  # hop h carries piece t-h
        if down:
            w.phase(hop, hop + 1, t - hop)
        else:
            w.phase(w.n - 1 - hop, w.n - 2 - hop, t - hop, reduce=True)


def bidirectional_ring(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Even half-pieces travel up, odd ones down, at the same time."""
    i = np.arange(w.n)
    up, down = (i + 1) % w.n, (i - 1) % w.n
    both, to = np.concatenate([i, i]), np.concatenate([up, down])
    step = np.repeat([-2, 2], w.n)
    scatter, gather = halves(kind)
    if scatter:
        w.phase(both, to, np.concatenate([2 * down, 2 * up + 1]), step=step, reduce=True, repeat=w.n - 1)
    if gather:
        w.phase(both, to, np.concatenate([2 * i, 2 * i + 1]), step=step, repeat=w.n - 1)


def recursive_doubling(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Exchange everything with i xor 1, 2, 4, …; ranks past the power of two fold in first and are told last."""
    if kind == "all_gather":
        distance = 1
        while distance < w.n:
            i = np.arange(w.n)
            w.phase(i, i ^ distance, i // distance * distance, distance)
            distance *= 2
        return
    p = 1 << (w.n.bit_length() - 1)
    extra, i, none = np.arange(p, w.n), np.arange(p), np.zeros(p, dtype=np.int64)
    w.phase(extra, extra - p, none[: w.n - p], w.pieces, reduce=True)
    distance = 1
    while distance < p:
        w.phase(i, i ^ distance, none, w.pieces, reduce=True)
        distance *= 2
    w.phase(extra - p, extra, none[: w.n - p], w.pieces)


def halving_doubling(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Exchange the half the partner keeps with i xor 1, then a quarter with i xor 2, …; then back.

    The largest messages go to the nearest ranks (Rabenseifner 2004: vector halving, distance doubling), so rank i
    keeps the piece whose number is i with its bits reversed.
    """
    p = 1 << (w.n.bit_length() - 1)
    extra, i = np.arange(p, w.n), np.arange(p)
    zero = np.zeros(w.n - p, dtype=np.int64)
    place = reversed_bits(p)
    w.phase(extra, extra - p, zero, w.pieces, reduce=True)
    steps = [(1 << k, p >> (k + 1)) for k in range(p.bit_length() - 1)]
    for distance, size in steps:
        partner = i ^ distance
        w.phase(i, partner, place[partner] // size * size, size, reduce=True)
    for distance, size in reversed(steps if kind == "all_reduce" else []):
        w.phase(i, i ^ distance, place // size * size, size)
    if kind == "all_reduce":
        w.phase(extra - p, extra, zero, w.pieces)


def reversed_bits(p: int) -> Ints:
    """0 … p-1 with their log₂p bits in reverse."""
    out, bits = np.zeros(p, dtype=np.int64), p.bit_length() - 1
    for k in range(bits):
        out |= (np.arange(p) >> k & 1) << (bits - 1 - k)
    return out


def direct(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Everyone to everyone at once."""
    src, dst = _all_pairs(w.n)
    if kind == "all_to_all":
        w.phase(src, dst, src * w.n + dst)
        return
    scatter, gather = halves(kind)
    if scatter:
        w.phase(src, dst, dst, reduce=True)
    if gather:
        w.phase(src, dst, src)


def pairwise(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """All-to-all in N-1 steps: r to r+k."""
    i = np.arange(w.n)
    for k in range(1, w.n):
        to = (i + k) % w.n
        w.phase(i, to, i * w.n + to)


def _all_pairs(n: int) -> tuple[Ints, Ints]:
    src, dst = np.divmod(np.arange(n * n), n)
    other = src != dst
    return src[other], dst[other]


def double_binary_tree(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Tree 0 carries the even pieces, tree 1 the odd ones, pipelined: a piece climbs one edge per phase
    (a node sends when all its children have sent), and comes down after the root has all of it."""
    if kind != "all_reduce":
        parent = double_tree(w.n)[0]
        _tree_phases(w, [(parent, np.arange(w.pieces))], up=kind == "reduce", down=kind == "broadcast")
        return
    first, second = double_tree(w.n)
    every = np.arange(w.pieces)
    _tree_phases(w, [(first, every[::2]), (second, every[1::2])], up=True, down=True)


def _tree_phases(w: Writer, trees: list[tuple[Ints, Ints]], up: bool, down: bool) -> None:
    """Pipelined reduction up and broadcast down the trees."""
    sends: dict[int, list[tuple[int, int, int, bool]]] = {}
    for parent, pieces in trees:
        level, height = _levels(parent)
        top = int(height.max())
        for r in np.flatnonzero(parent >= 0):
            p = int(parent[r])
            for order, piece in enumerate(pieces):
                if up:
                    sends.setdefault(int(height[r]) + order, []).append((int(r), p, int(piece), True))
                if down:
                    start = top * up + int(level[p]) + order
                    sends.setdefault(start, []).append((p, int(r), int(piece), False))
    for t in sorted(sends):
        src, dst, piece, reduce = (np.array(column) for column in zip(*sends[t], strict=True))
        w.phase(src, dst, piece, reduce=reduce)


def _levels(parent: Ints) -> tuple[Ints, Ints]:
    """(distance from the root, height above the deepest leaf below) of every node."""
    n = len(parent)
    level, height = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for r in range(n):
        at, steps = r, 0
        while parent[at] >= 0:
            at, steps = int(parent[at]), steps + 1
            height[at] = max(height[at], steps)
        level[r] = steps
    return level, height


def switch(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Piece k goes up to the switch, where it is added up, while piece k-1 comes down to everyone: K+1 phases."""
    i = np.arange(w.n)
    away = np.full(w.n, -1)
    for k in range(w.pieces + 1):
        parts = []
        scratch = Writer(w.ranks, w.nbytes, w.pieces)
        if k < w.pieces:
            scratch.phase(i, away, np.full(w.n, k), reduce=True)
        if k > 0:
            scratch.phase(away, i, np.full(w.n, k - 1))
        parts += scratch.phases
        w.phases.append(joined(*parts))


def send(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Rank index 0 sends to 1."""
    w.phase(np.array([0]), np.array([1]), np.array([0]))


SCHEDULES: dict[str, Callable[[Writer, CollectiveKind, Shape], None]] = {
    "ring": ring,
    "bidirectional_ring": bidirectional_ring,
    "recursive_doubling": recursive_doubling,
    "halving_doubling": halving_doubling,
    "direct": direct,
    "pairwise": pairwise,
    "hierarchical": hierarchical,
    "torus": torus,
    "double_binary_tree": double_binary_tree,
    "switch": switch,
    "send": send,
}


def schedule(
    algorithm: str,
    kind: CollectiveKind,
    ranks: int | Sequence[int],
    nbytes: float,
    shape: Shape = (),
    chunks: int = 4,
) -> Schedule:
    """The phases of a collective of `nbytes` (the full buffer of one rank) on `ranks` (a number, or device numbers).

    `shape`: members per level or torus dimension, innermost first (hierarchical, torus; default one dimension).
    `chunks`: pieces of pipelined algorithms (switch, double_binary_tree; broadcast and reduce along a ring).
    """
    devices = tuple(range(ranks)) if isinstance(ranks, int) else tuple(ranks)
    if algorithm not in SCHEDULES:
        raise InputError(
            Problem(f"no schedule for this algorithm; known: {', '.join(SCHEDULES)}", "algorithm", algorithm)
        )
    dims = shape or (len(devices),)
    if int(np.prod(dims)) != len(devices):
        raise InputError(Problem(f"sizes must multiply to the {len(devices)} ranks", "shape", str(dims)))
    whole = nbytes * len(devices) if kind == "all_to_all" else nbytes
    if needs_power(algorithm, kind) and len(devices) & (len(devices) - 1):
        rule = f"{algorithm} needs a power of two of ranks for {kind}; ring, direct and others take any number"
        raise InputError(Problem(rule, "ranks", str(len(devices))))
    w = Writer(devices, whole, piece_count(algorithm, kind, len(devices), dims, chunks))
    if len(devices) > 1:
        SCHEDULES[algorithm](w, kind, dims)
    return w.done(algorithm, kind)


def needs_power(algorithm: str, kind: CollectiveKind) -> bool:
    """Whether the schedule exists for powers of two only (an all-reduce folds the surplus ranks in)."""
    return algorithm in ("recursive_doubling", "halving_doubling") and kind in ("all_gather", "reduce_scatter")


def owner(algorithm: str, n: int, shape: Shape = ()) -> Ints:
    """Rank index that holds each piece between a reduce-scatter and an all-gather."""
    dims = shape or (n,)
    i = np.arange(n)
    place = [int(np.prod(dims[:k], dtype=np.int64)) for k in range(len(dims))]
    if algorithm == "bidirectional_ring":
        return np.repeat(i, 2)
    if algorithm == "halving_doubling":
        return reversed_bits(n)
    if algorithm not in ("hierarchical", "torus"):
        return i
    k = len(dims)
    parts = [tuple((j + m) % k for m in range(k)) for j in range(k)] if algorithm == "torus" else [tuple(range(k))]
    out = []
    for order in parts:
        piece, block = np.zeros(n, dtype=np.int64), n
        for d in order:
            block //= dims[d]
            piece += i // place[d] % dims[d] * block
        holder = np.empty(n, dtype=np.int64)
        holder[piece] = i
        fine = fineness(dims) if algorithm == "torus" else 1
        out += [np.repeat(holder, fine)] * (2 if algorithm == "torus" else 1)
    return np.concatenate(out)


def piece_count(algorithm: str, kind: CollectiveKind, n: int, shape: Shape, chunks: int) -> int:
    """Into how many pieces an algorithm divides the buffer."""
    power = 1 << (n.bit_length() - 1)
    if kind == "all_to_all":
        return n * n
    if algorithm in ("switch", "double_binary_tree") or (algorithm == "ring" and kind in ("broadcast", "reduce")):
        return chunks
    if algorithm == "send" or (algorithm == "recursive_doubling" and kind != "all_gather"):
        return 1
    pieces = {"bidirectional_ring": 2 * n, "torus": 2 * len(shape) * n * fineness(shape), "halving_doubling": power}
    return pieces.get(algorithm, n)


def all_to_all_unequal(nbytes: Floats, ranks: int | Sequence[int]) -> Schedule:
    """One phase in which rank i sends nbytes[i, j] to rank j, all at once (a mixture of experts' tokens)."""
    n = len(nbytes)
    devices = tuple(range(ranks)) if isinstance(ranks, int) else tuple(ranks)
    if nbytes.shape != (len(devices), len(devices)):
        rule = f"the byte matrix must be {len(devices)} × {len(devices)}"
        raise InputError(Problem(rule, "bytes", str(nbytes.shape)))
    src, dst = _all_pairs(n)
    size = nbytes[src, dst].astype(float)
    moved = size > 0
    src, dst, size = src[moved], dst[moved], size[moved]
    lookup, one = np.array(devices), np.ones(len(src), dtype=np.int64)
    phase = Phase(lookup[src], lookup[dst], size, src * n + dst, one, 0 * one, n * n * one, 0 * one)
    return Schedule("direct", "all_to_all", devices, float(nbytes.sum()), n * n, (phase,))
