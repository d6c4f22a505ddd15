"""Reduction in the switches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Step
from sim.network.algorithms.double_binary_tree import Sends
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Ints


def reducing(case: Case, first: int | None = None) -> str:
    """Refusal of groups whose (first) digits lack switches that add up."""
    for i in range(len(case.digits[:first])):
        level = case.level(i)
        if level is None:
            return "needs a group that fills levels evenly"
        if not level.link.in_network_reduction or not case.of_level(i).reduces:
            return f"needs switches that reduce, level {level.name} has none"
    return ""


class Switch(Algorithm):
    """Every rank sends S and receives S once, the levels pipelined: α + S·max β.  A node sends S once over all its
    ports, each of its g ranks 1/g; that this comes out of the node's switch to the rank, and back in, is in the rate.
    Rate = reduction efficiency of each link type.  Source: Graham et al., COM-HPC 2016."""

    name = "switch"
    kinds = ("all_reduce",)

    @classmethod
    def refusal(cls, case: Case) -> str:
        return reducing(case)

    @classmethod
    def share(cls, case: Case, digit: int) -> float:
        """Of the buffer, over each port of a digit's level, each way."""
        return 1.0 / case.layout.weight(digit)

    @classmethod
    def ports(cls, case: Case, digit: int) -> tuple[Load, float]:
        """One byte up and down the ports of a digit's level, and the latency up and down: only ports count."""
        ends = case.shift((digit, 1))
        src, dst = case.layout.pairs(ends.to)
        routes = case.topology.routes(src, dst)
        own = own_ports(case, digit, routes)
        load = case.topology.counted(np.stack(own, axis=1))
        return load, float(case.topology.latency(routes).max())

    @classmethod
    def load(cls, case: Case) -> Load:
        total = Load(case.topology.ledger)
        for i in range(len(case.digits)):
            total = total + cls.ports(case, i)[0] * cls.share(case, i)
        return total

    @classmethod
    def step_cost(cls, case: Case, digit: int) -> tuple[float, float]:
        """(s per byte, latency) at one digit's switches."""
        load, latency = cls.ports(case, digit)
        level = case.level(digit)
        slow = (
            level.link.efficiency / level.link.reduction_efficiency
            if level and level.link.reduction_efficiency
            else 1.0
        )
        return load.per_byte * cls.share(case, digit) * slow, latency

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        found = [cls.step_cost(case, i) for i in range(len(case.digits))]
        return cls.priced(case, sum(latency for _, latency in found), max(beta for beta, _ in found))

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        """A piece has one rank of the node (and of every block above) to carry it further."""
        carriers = case.layout.weight(len(case.digits) - 1)
        return carriers * max(1, chunks // carriers) if carriers > 1 else chunks

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """Piece k goes up to the switch, where it is added up, while piece k-1 comes down to everyone: K+1 steps.
        Through several levels: up to the node's switch, from it to the piece's carrier, up to the next switch …"""
        sends = Sends()
        for piece in range(pieces):
            step = piece
            for i in range(len(case.digits)):
                step = through(sends, case, i, piece, step, up=True)
            for i in reversed(range(len(case.digits))):
                step = through(sends, case, i, piece, step, up=False)
        yield from sends.steps(case)


def through(sends: Sends, case: Case, digit: int, piece: int, step: int, up: bool) -> int:
    """A piece into the switches of a digit, and out of them: to its carrier on the way up if the piece goes further up;
    to all on the way down. The next step."""
    width = case.layout.weight(digit)
    carriers = np.flatnonzero(np.arange(case.n) % width == piece % width) if width > 1 else np.arange(case.n)
    block = width * case.shape[digit]
    further = digit < len(case.digits) - 1
    onwards = carriers[carriers % block == piece % block] if further else carriers[:0]
    number = -1 - (digit * case.n + carriers // block * width + piece % width)
    home = dict(zip(carriers.tolist(), number.tolist(), strict=True))
    if up:
        for rank in carriers.tolist():
            sends.add(step, rank, home[rank], piece, True)
        for rank in onwards.tolist():
            sends.add(step + 1, home[rank], rank, piece, False)
        return step + 1 + bool(further)
    for rank in onwards.tolist():
        sends.add(step, rank, home[rank], piece, False)
    for rank in carriers.tolist():
        sends.add(step + bool(further), home[rank], rank, piece, False)
    return step + 1 + bool(further)


def own_ports(case: Case, digit: int, routes: Ints) -> tuple[Ints, Ints]:
    """The first and the last link of every route that belong to the digit's own level (others lead to its port)."""
    low, high = case.topology.span_of(case.digits[digit].level)
    own = (routes >= low) & (routes < high)
    rows, column = np.arange(len(routes)), np.arange(routes.shape[1])
    return routes[rows, own.argmax(axis=1)], routes[rows, np.where(own, column, 0).max(axis=1)]
