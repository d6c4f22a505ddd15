"""Ring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sim.network.algorithms.base import SCATTERS, Algorithm, Case, Listing, Messages, Moved, Step
from sim.network.algorithms.channels import plus
from sim.network.flows import Sends
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Floats, Ints


class Ring(Algorithm):
    """Pipelined ring: hops·α + hops/N·S·β, hops = 2(N-1) for all-reduce, N-1 for its halves; broadcast and reduce pass
    all of S through the ring once: (N-1)·α + S·β.  Source: Thakur, Rabenseifner & Gropp, IJHPCA 19 (2005).

    The ring goes from rank to rank in order.  Its copies, moved along all digits but the top one, use every port of a
    node; and each goes round the innermost members in every way that their topology has rings.
    """

    name = "ring"
    kinds = (*SCATTERS, "broadcast", "reduce")
    ways = 1  # directions in which pieces travel

    @classmethod
    def streams(cls, case: Case) -> list[tuple[int, list[tuple[Moved, float]]]]:
        """The hand-overs r → r+1 of the ring and its copies, alike ones together: how many a ring has, (who to whom,
        share of the rings) for every way round the innermost members; kept.

        Alike are those that carry as far: the digits up to one go one further, and that is the last one unless they
        were all at their end."""
        if "ring" not in case.memory:
            level, top = case.level(0), len(case.digits) - 1
            rings = case.of_level(0).rings(level, case.shape[0]) if level else ((1, 1.0),)
            width, found = case.layout.weight(top), list[tuple[int, list[tuple[Moved, float]]]]()
            for last, count in enumerate(case.shape):
                times = (count - 1) * (width // case.layout.weight(last + 1)) if last < top else 1
                ways = [way(case, last, ring, times / width) for ring in rings] if times else []
                found += [(times * case.n // width, ways)] if ways else []
            case.memory["ring"] = found
        kept: list[tuple[int, list[tuple[Moved, float]]]] = case.memory["ring"]
        return kept

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
        for ends, share in (stream for _, streams in cls.streams(case) for stream in streams):
            total = total + ends.load * (share / cls.ways)
            if cls.ways == 2:
                total = total + ends.reversed.load * (share / 2)
        for ends, share in cls.closing(case) if case.kind not in SCATTERS else ():
            total = total.without(ends.load * share)
        return total * cls.share(case)

    @classmethod
    def closing(cls, case: Case) -> Iterator[tuple[Moved, float]]:
        """The hand-overs that close the rings, and their share of them: a broadcast sends nothing to rank 0, a
        reduction nothing from it."""
        root, into = np.zeros(1, dtype=np.int64), case.kind == "broadcast"
        for ends, share in (stream for _, streams in cls.streams(case) for stream in streams):
            turns = tuple((-by, block) for by, block in ends.sends.turns) if into else ends.sends.turns
            other = int(Sends(turns).led(root)[1][0])
            sender = other if into else 0
            rate = 1.0 if ends.weight is None else float(ends.weight[sender % len(ends.weight)])
            if rate:
                once = Sends(((-other, case.n),), only=(other, other + 1, case.n))
                yield Moved(case, once, back=not into), share * rate

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        slowest = [(max(ends.latency for ends, _ in streams), count) for count, streams in cls.streams(case)]
        return cls.priced(case, along(case.n, slowest, cls.hops(case)), cls.load(case).per_byte)

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
                ends = Listing(case, np.concatenate([np.roll(ring, -sign) for ring in rings]), at)
                start = base + (place - sign * first) % case.n * cls.ways + way
                parts.append(Messages(ends, lambda start=start: start, 1, -sign * cls.ways, window, reduce))  # type: ignore[misc]
            return Step(tuple(parts), case.n - 1)

        if scatter:
            yield half(1, reduce=True)
        if gather:
            yield half(0, reduce=False)


def way(case: Case, last: int, ring: tuple[int, float | Floats], share: float) -> tuple[Moved, float]:
    """The hand-overs that go so much further round the innermost members, and one along the other digits up to one, and
    their share of the rings."""
    by, weight = ring
    moves = ((0, by), *((digit, 1) for digit in range(1, last + 1) if case.shape[digit] > 1))
    if isinstance(weight, float):
        return case.shift(*moves), share * weight
    return replace(case.shift(*moves), weight=weight), share


def orders(case: Case) -> list[Ints]:
    """The ranks along every ring, each from rank 0's place on."""
    level, here, inner = case.level(0), np.arange(case.n), len(case.digits) - 1
    cycles = case.of_level(0).cycles(level, case.shape[0]) if level else (np.arange(case.shape[0]),)
    width, count, found = case.layout.weight(inner), case.shape[0], []
    for cycle in cycles:
        for place in range(width):
            copy = here // width * width + plus(case, here % width, place, inner)
            ranks = copy - copy % count + cycle[copy % count]
            found.append(np.roll(ranks, -int(np.flatnonzero(ranks == 0)[0])))
    return found


def chain(case: Case, rings: list[Ints], chunks: int) -> Iterator[Step]:
    """Broadcast from rank 0 along every ring, piece by piece; reduce along it to rank 0."""
    away = case.kind == "broadcast"
    lines = rings if away else [np.roll(ring, -1) for ring in rings]
    for t in range(chunks + case.n - 2):
        hop = np.arange(max(0, t - chunks + 1), min(case.n - 1, t + 1))  # hop h carries piece t-h
        piece = np.concatenate([c * chunks + t - hop for c in range(len(lines))])
        ends = Listing(
            case, np.concatenate([line[hop + 1] for line in lines]), np.concatenate([line[hop] for line in lines])
        )
        yield Step((Messages(ends, lambda piece=piece: piece, reduce=not away),))  # type: ignore[misc]


def along(n: int, hand_overs: list[tuple[float, int]], hops: int) -> float:
    """Latency of `hops` ≤ 2(N-1) successive hand-overs along a ring, (latency, how many) of each kind, at the worst
    start: whole rounds plus the remaining hops with the cheapest left out."""
    rounds, rest = divmod(hops, n)
    total = rounds * sum(latency * count for latency, count in hand_overs)
    for latency, count in sorted(hand_overs, reverse=True):
        total += latency * min(count, rest)
        rest -= min(count, rest)
    return total
