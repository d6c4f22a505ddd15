"""Rings over several levels or torus dimensions: one after the other, or rotated parts of the data in parallel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Messages, Step
from sim.network.topologies.base import Ints

#: (order of the digits, number of the part, direction round the rotated ones)
Part = tuple[tuple[int, ...], int, int]


def parts(case: Case, rotated: int) -> list[Part]:
    """One part, or two (there and back) for every way to rotate the first digits; the other digits come after."""
    rest = tuple(range(rotated, len(case.digits)))
    if not rotated:
        return [(rest, 0, 1)]
    orders = [tuple((j + m) % rotated for m in range(rotated)) + rest for j in range(rotated)]
    return [(order, 2 * j + (way < 0), way) for j, order in enumerate(orders) for way in (1, -1)]


def sub_rings(size: int, longest: int) -> int:
    """Rings one after the other, each of a part of the data, in which a short dimension walks round, so that its steps
    last as long as those of the longest one: round((D_max-1)/(D-1))."""
    return max(1, round((longest - 1) / (size - 1))) if size > 1 else 1


def fineness(shape: tuple[int, ...]) -> int:
    """Pieces per block of a torus schedule: a common multiple of the numbers of sub-rings."""
    return math.lcm(*(sub_rings(size, max(shape)) for size in shape))


class Dimensional(Algorithm):
    """Reduce-scatter digit by digit by rings, all-gather back.

    The first `rotated` digits are walked by all parts at once, part j beginning at digit j, in lock-step: a shorter one
    cuts its messages up (`sub_rings`); a part with fewer steps waits for the stage to end.
    """

    @classmethod
    def rotated(cls, case: Case) -> int:
        """How many digits are walked at once."""
        return 0

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        k = cls.rotated(case)
        return len(parts(case, k)) * case.n * (fineness(case.shape[:k]) if k else 1)

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        k = cls.rotated(case)
        fine = fineness(case.shape[:k]) if k else 1
        stages = [[rings(case, part, stage, k, fine) for part in parts(case, k)] for stage in range(len(case.digits))]
        scatter, gather = case.halves
        for half, order, which in ((scatter, stages, 0), (gather, stages[::-1], 1)):
            for stage in order if half else []:
                yield from lock_step([[(pair[which], steps) for pair, steps in ring] for ring in stage])


Rings = list[tuple[tuple[Messages, Messages], int]]


def rings(case: Case, part: Part, stage: int, rotated: int, fine: int) -> Rings:
    """The rings of one stage of one part, to be run one after the other: (to scatter, to gather), steps.

    Digits before this stage fix the range of pieces; a part of n·fine pieces counts them with its first digit as the
    most significant.
    """
    order, number, way = part
    k = order[stage]
    size, block = case.shape[k], case.n * fine
    for before in order[:stage]:
        block //= case.shape[before]
    window = block
    block //= size
    way = way if stage < rotated else 1
    cuts = sub_rings(size, max(case.shape[:rotated])) if stage < rotated else 1
    ends, count = case.shift((k, way)), block // cuts

    def first(cut: int, behind: int) -> Ints:
        base, width = np.full(case.n, number * case.n * fine + cut * count), case.n * fine
        for before in order[:stage]:
            width //= case.shape[before]
            base = base + case.layout.place(before) * width
        return base + (case.layout.place(k) - behind) % size * block

    def messages(cut: int, reduce: bool) -> Messages:
        return Messages(ends, lambda: first(cut, way if reduce else 0), count, -way * block, window, reduce)

    return [((messages(cut, True), messages(cut, False)), size - 1) for cut in range(cuts)] if size > 1 else []


def lock_step(side: list[list[tuple[Messages, int]]]) -> Iterator[Step]:
    """Sequences of (messages, steps) side by side: a new step whenever one of them changes."""
    ends = {sum(steps for _, steps in part[: i + 1]) for part in side for i in range(len(part))}
    at = 0
    for until in sorted(ends):
        live = []
        for part in side:
            start = 0
            for messages, steps in part:
                if start <= at < start + steps:
                    live.append(advanced(messages, at - start))
                start += steps
        yield Step(tuple(live), until - at)
        at = until


def advanced(messages: Messages, t: int) -> Messages:
    """The messages as they stand after t repetitions."""
    if not t:
        return messages

    def first() -> Ints:
        begin, window = messages.first(), messages.window
        base = begin // window * window
        return base + (begin - base + t * messages.step) % window

    return replace(messages, first=first)
