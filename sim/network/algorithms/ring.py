"""Ring."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from sim.network.algorithms.base import SCATTERS, Algorithm, Case, Ends, Messages, Step
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Ints


class Ring(Algorithm):
    """Pipelined ring: hops·α + hops/N·S·β, hops = 2(N-1) for all-reduce, N-1 for its halves; broadcast and reduce pass
    all of S through the ring once: (N-1)·α + S·β.  Source: Thakur, Rabenseifner & Gropp, IJHPCA 19 (2005).

    Rings use every port of a node: one for every place of a rank below the top digit, and every ring of members that
    the innermost topology has.  Ring c = (c₀, c₁, …) enters each block at digit c and leaves it at c-1, so at digit i a
    rank hands over to the rank whose digits 0 … i are one further, in the share Π_{j<i} 1/n_j · (nᵢ-1)/nᵢ of the rings
    (the top digit: all).
    """

    name = "ring"
    kinds = (*SCATTERS, "broadcast", "reduce")
    ways = 1  # directions in which pieces travel

    @classmethod
    def streams(cls, case: Case) -> Iterator[tuple[int, Ends, float]]:
        """(digit, hand-over there, share of the rings) of all rings together."""
        share, top = 1.0, len(case.digits) - 1
        level = case.level(0)
        rings = case.of_level(0).rings(level, case.shape[0]) if level else ((1, 1.0),)
        for i, digit in enumerate(case.digits):
            part = share if i == top else share * (digit.count - 1) / digit.count
            for by, weight in rings:
                ends = case.shift((0, by), *((k, 1) for k in range(1, i + 1)))
                if isinstance(weight, float):
                    yield i, ends, part * weight
                else:
                    yield i, ends.weighed(weight[case.layout.place(0)]), part
            share /= digit.count

    @classmethod
    def hops(cls, case: Case) -> int:
        return case.passes * (case.n - 1)

    @classmethod
    def share(cls, case: Case) -> float:
        """Buffers that pass every hand-over of all rings."""
        return 1.0 if case.kind in ("broadcast", "reduce") else cls.hops(case) / case.n

    @classmethod
    def load(cls, case: Case) -> Load:
        total = Load(case.topology.ledger)
        for _, ends, share in cls.streams(case):
            total = total + ends.load * (share / cls.ways)
            if cls.ways == 2:
                total = total + ends.back.load * (share / 2)
        return total * cls.share(case)

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        latency = [0.0] * len(case.digits)
        for i, ends, _ in cls.streams(case):
            latency[i] = max(latency[i], ends.latency)
        return cls.priced(case, along(case, latency, cls.hops(case)), cls.load(case).per_byte)

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        each = chunks if case.kind in ("broadcast", "reduce") else cls.ways * case.n
        return len(orders(case)) * each

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """Step t: the rank at place p of a ring sends piece p-t-1 on and adds what it gets; then the finished pieces go
        round."""
        rings = orders(case)
        if case.kind in ("broadcast", "reduce"):
            yield from chain(case, rings, pieces // len(rings))
            return
        scatter, gather = case.halves
        window = cls.ways * case.n
        place = np.tile(np.arange(case.n), len(rings))
        base = np.repeat(np.arange(len(rings)), case.n) * window
        at = np.concatenate(rings)

        def half(first: int, reduce: bool) -> Step:
            parts = []
            for way in range(cls.ways):
                sign = -1 if way else 1
                ends = Ends(case, np.concatenate([np.roll(ring, -sign) for ring in rings]), at)
                start = base + (place - sign * first) % case.n * cls.ways + way
                parts.append(Messages(ends, lambda start=start: start, 1, -sign * cls.ways, window, reduce))  # type: ignore[misc]
            return Step(tuple(parts), case.n - 1)

        if scatter:
            yield half(1, reduce=True)
        if gather:
            yield half(0, reduce=False)


def orders(case: Case) -> list[Ints]:
    """The ranks along every ring, each from rank 0's place on."""
    level = case.level(0)
    cycles = case.of_level(0).cycles(level, case.shape[0]) if level else (np.arange(case.shape[0]),)
    found = []
    for cycle in cycles:
        for entry in product(*(range(count) for count in case.shape[:-1])):
            index, top = np.zeros(1, dtype=np.int64), len(case.shape) - 1
            for i in range(top, -1, -1):
                count = case.shape[i]
                place = (np.arange(count) + (entry[i] if i < top else 0)) % count
                member = cycle[place] if i == 0 else place
                index = (index[:, None] + member * case.layout.weight(i)).ravel()
            found.append(np.roll(index, -int(np.flatnonzero(index == 0)[0])))
    return found


def chain(case: Case, rings: list[Ints], chunks: int) -> Iterator[Step]:
    """Broadcast from rank 0 along every ring, piece by piece; reduce along it to rank 0."""
    away = case.kind == "broadcast"
    lines = rings if away else [np.roll(ring, -1) for ring in rings]
    for t in range(chunks + case.n - 2):
        hop = np.arange(max(0, t - chunks + 1), min(case.n - 1, t + 1))  # hop h carries piece t-h
        piece = np.concatenate([c * chunks + t - hop for c in range(len(lines))])
        ends = Ends(
            case, np.concatenate([line[hop + 1] for line in lines]), np.concatenate([line[hop] for line in lines])
        )
        yield Step((Messages(ends, lambda piece=piece: piece, reduce=not away),))  # type: ignore[misc]


def along(case: Case, level_latency: list[float], hops: int) -> float:
    """Latency of `hops` ≤ 2(N-1) successive hands-over along ring 0, at the worst start: whole rounds plus the
    remaining hops with the cheapest left out."""
    inside, counted = case.n, list[tuple[float, int]]()
    for i, digit in enumerate(case.digits):
        inside //= digit.count
        counted.append((level_latency[i], digit.count if i == len(case.digits) - 1 else (digit.count - 1) * inside))
    rounds, rest = divmod(hops, case.n)
    total = rounds * sum(latency * count for latency, count in counted)
    for latency, count in sorted(counted, reverse=True):
        total += latency * min(count, rest)
        rest -= min(count, rest)
    return total
