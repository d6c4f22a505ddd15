"""Rings over several levels or torus dimensions: one after the other, or rotated parts of the data in parallel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from sim.network.algorithms.base import Algorithm, Case, Ends, Messages, Pieces, Step
from sim.network.topologies.base import Ints
from sim.records import dataclass

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


@dataclass(frozen=True)
class Leg:
    """A stage of a part: everyone's place on the ring walked, its size, to whom each sends, and in how many rings one
    after the other."""

    place: Pieces
    size: int
    ends: Ends
    cuts: int = 1


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
        return len(parts(case, k)) * case.n * cls.fine(case)

    @classmethod
    def fine(cls, case: Case) -> int:
        """Pieces per block of a part."""
        k = cls.rotated(case)
        return fineness(case.shape[:k]) if k else 1

    @classmethod
    def leg(cls, case: Case, part: Part, stage: int) -> Leg:
        """The ring of one stage of one part."""
        (order, _, way), rotated = part, cls.rotated(case)
        k, size = order[stage], case.shape[order[stage]]
        place = partial(case.layout.place, k)
        if stage >= rotated:
            return Leg(place, size, case.shift((k, 1)))
        return Leg(place, size, case.shift((k, way)), sub_rings(size, max(case.shape[:rotated])))

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        rotated, block, digits = cls.rotated(case), case.n * cls.fine(case), range(len(case.digits))
        walks = [([cls.leg(case, part, stage) for stage in digits], part) for part in parts(case, rotated)]
        stages = [
            [
                rings(legs[: stage + 1], number * block, block, way if stage < rotated else 1)
                for legs, (_, number, way) in walks
            ]
            for stage in digits
        ]
        scatter, gather = case.halves
        for half, order, which in ((scatter, stages, 0), (gather, stages[::-1], 1)):
            for stage in order if half else []:
                yield from lock_step([[(pair[which], steps) for pair, steps in ring] for ring in stage])


Rings = list[tuple[tuple[Messages, Messages], int]]


def rings(legs: list[Leg], begin: int, pieces: int, way: int) -> Rings:
    """The rings of the last of these stages of one part, to be run one after the other: (to scatter, to gather), steps.

    Stages before it fix the range of its pieces, `pieces` of them from `begin` on, with the first stage's place as the
    most significant.
    """
    *before, leg = legs
    window = pieces
    for each in before:
        window //= each.size
    block = window // leg.size
    count = block // leg.cuts

    def first(cut: int, behind: int) -> Ints:
        base, width = begin + cut * count + (leg.place() - behind) % leg.size * block, pieces
        for each in before:
            width //= each.size
            base = base + each.place() % each.size * width
        return base

    def messages(cut: int, reduce: bool) -> Messages:
        return Messages(leg.ends, lambda: first(cut, way if reduce else 0), count, -way * block, window, reduce)

    if leg.size == 1:
        return []
    return [((messages(cut, True), messages(cut, False)), leg.size - 1) for cut in range(leg.cuts)]


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
