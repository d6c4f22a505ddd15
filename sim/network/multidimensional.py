"""Schedules over several levels or torus dimensions: one after the other, or rotated parts of the data in parallel."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from sim.network.schedule import Phase, Writer, halves, joined
from sim.ops import CollectiveKind

Shape: TypeAlias = tuple[int, ...]


def hierarchical(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """Ring reduce-scatter over digit 0, 1, …; ring all-gather over …, 1, 0.

    The piece index counts digit 0 as the most significant, so that every stage works on a contiguous range.
    """
    stages = [_ring_stage(w, shape, tuple(range(len(shape))), i, offset=0, way=1) for i in range(len(shape))]
    scatter, gather = halves(kind)
    for half, order in ((scatter, stages), (gather, stages[::-1])):
        for down, up, steps in order if half else []:
            part = down if order is stages else up
            w.phases.append(joined(part, repeat=steps))


def _ring_stage(
    w: Writer,
    shape: Shape,
    order: tuple[int, ...],
    stage: int,
    offset: int,
    way: int,
    fine: int = 1,
    cut: tuple[int, int] = (0, 1),
) -> tuple[Phase, Phase, int]:
    """(reduce-scatter messages, all-gather messages, steps) of one stage of a multi-dimensional ring.

    `order` lists dimensions from the first stage on; digits before `stage` fix the range, this stage walks `way` round
    with part u of v (`cut`) of every block; a block of the last stage has `fine` pieces.
    """
    n, i = w.n, np.arange(w.n)
    place = [int(np.prod(shape[:k], dtype=np.int64)) for k in range(len(shape))]
    digit = [i // place[k] % shape[k] for k in range(len(shape))]
    block, base = n * fine, np.full(n, offset * n * fine)
    for k in order[:stage]:
        block //= shape[k]
        base = base + digit[k] * block
    k, window = order[stage], block
    block //= shape[k]
    x, size = digit[k], shape[k]
    to = i + ((x + way) % size - x) * place[k]
    scratch = Writer(w.ranks, w.nbytes, w.pieces)
    count = block // cut[1]
    for piece, reduce in (((x - way) % size, True), (x, False)):
        first = base + piece * block + cut[0] * count
        scratch.phase(i, to, first, count, step=-way * block, window=window, reduce=reduce)
    if size == 1:
        return _empty(), _empty(), 0
    return scratch.phases[0], scratch.phases[1], size - 1


def fineness(shape: Shape) -> int:
    """Pieces per block of a torus schedule: a common multiple of the numbers of sub-rings."""
    return math.lcm(*(sub_rings(size, max(shape)) for size in shape))


def _empty() -> Phase:
    none = np.zeros(0, dtype=np.int64)
    return Phase(none, none, none.astype(float), none, none, none, none, none)


def sub_rings(size: int, longest: int) -> int:
    """Rings one after the other, each of a part of the data, in which a short dimension walks round, so that its steps
    last as long as those of the longest one: round((D_max-1)/(D-1))."""
    return max(1, round((longest - 1) / (size - 1))) if size > 1 else 1


def torus(w: Writer, kind: CollectiveKind, shape: Shape) -> None:
    """k parts × 2 directions; part j does dimensions j, j+1, …; stage by stage all parts work at once, in lock-step.

    A shorter dimension cuts its messages up (`sub_rings`); a part with fewer steps waits for the stage to end.
    Dimensions differ, so parts never share a link.
    """
    k = len(shape)
    stages = []
    for s in range(k):
        parts = []
        for j in range(k):
            order = tuple((j + m) % k for m in range(k))
            parts.append(_sub_stages(w, shape, order, s, offset=2 * j, way=1))
            parts.append(_sub_stages(w, shape, order, s, offset=2 * j + 1, way=-1))
        stages.append(parts)
    scatter, gather = halves(kind)
    for half, order_of, pick in ((scatter, stages, 0), (gather, stages[::-1], 1)):
        for parts in order_of if half else []:
            _lock_step(w, [[((p[0], p[1])[pick], p[2]) for p in part] for part in parts])


def _sub_stages(
    w: Writer, shape: Shape, order: tuple[int, ...], stage: int, offset: int, way: int
) -> list[tuple[Phase, Phase, int]]:
    """The rings of one stage of one part, to be run one after the other."""
    rings = sub_rings(shape[order[stage]], max(shape))
    fine = fineness(shape)
    return [_ring_stage(w, shape, order, stage, offset, way, fine, cut=(u, rings)) for u in range(rings)]


def _lock_step(w: Writer, parts: list[list[tuple[Phase, int]]]) -> None:
    """Parts, each a sequence of (phase, steps), side by side: a new phase whenever one of them changes."""
    ends = {sum(steps for _, steps in part[: i + 1]) for part in parts for i in range(len(part))}
    at = 0
    for until in sorted(ends - {0}):
        live = []
        for part in parts:
            start = 0
            for phase, steps in part:
                if start <= at < start + steps:
                    live.append(_advanced(phase, at - start))
                start += steps
        w.phases.append(joined(*live, repeat=until - at))
        at = until


def _advanced(p: Phase, t: int) -> Phase:
    """The phase as it stands after t repetitions."""
    return Phase(p.src, p.dst, p.bytes, p.pieces_at(t), p.count, p.step, p.window, p.reduce)
