"""Channels: closed chains and trees of ranks that pieces of the buffer follow each other through.

An algorithm states one channel; its copies, moved along the inner digits of the ranks, share the buffer evenly.  What
the copies put on the links follows by symmetry: hand-overs that are images of each other are counted once.  What a
schedule sends follows by moving the channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Ends, Messages, Step, ToSwitch
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Floats, Ints

#: Share of the ideal bandwidth a pipelined double tree reaches: NCCL tuning.cc multiplies tree bandwidth by 0.9.
TREE_EFFICIENCY = 0.9


@dataclass(frozen=True, eq=False)
class Alike:
    """Hand-overs of a channel that its copies map onto each other: which, and how they lie; `times` of the channel's
    copies use each of their images."""

    edges: Ints
    ends: Ends
    moves: tuple[tuple[int, int], ...]  # (digit, by) where all go equally far, else empty
    times: float


def alike(case: Case, source: Ints, target: Ints, moved: int) -> Iterator[Alike]:
    """The hand-overs rank → rank of one channel in classes, for copies along the innermost `moved` digits."""
    width = case.layout.weight(moved)
    apart = plus(case, target % width, source % width, moved, -1)
    rows = np.full((width, case.n // width), -1, dtype=np.int64)
    rows[source % width, source // width] = target // width * width + apart
    left = np.flatnonzero((rows >= 0).any(axis=1))
    while len(left):
        row = rows[left[0]]
        same = (rows[left] == row).all(axis=1)
        mine = np.zeros(width, dtype=bool)
        mine[left[same]] = True
        block = np.flatnonzero(row >= 0)
        moves = displacement(case, block * width, row[block]) if len(block) == len(row) else ()
        if moves:
            ends = case.shift(*moves)
        else:
            place = np.tile(np.arange(width), len(block))
            home, far = np.repeat(block * width, width), np.repeat(row[block], width)
            to = far // width * width + plus(case, far % width, place, moved)
            ends = Ends(case, to, home + place)
        yield Alike(np.flatnonzero(mine[source % width]), ends, moves, float(same.sum()))
        left = left[~same]


def plus(case: Case, place: Ints, other: Ints | int, moved: int, sign: int = 1) -> Ints:
    """Places in a block of the innermost `moved` digits, further by those of another place, digit by digit."""
    out = np.zeros_like(place)
    for i in range(moved):
        width, count = case.layout.weight(i), case.shape[i]
        out = out + (place // width + sign * (other // width)) % count * width
    return out


def displacement(case: Case, source: Ints, target: Ints) -> tuple[tuple[int, int], ...]:
    """How much further all digits go, where that is the same for all; else nothing."""
    moves = []
    for i, count in enumerate(case.shape):
        width = case.layout.weight(i)
        by = (target // width - source // width) % count
        if (by != by[0]).any():
            return ()
        if by[0]:
            moves.append((i, int(by[0])))
    return tuple(moves)


@dataclass(frozen=True, eq=False)
class Tree:
    """Node i is rank `rank[i]` (a negative number: a switch that adds up what it is sent) and hands over to node
    `parent[i]`, towards the root (-1)."""

    rank: Ints
    parent: Ints

    @property
    def edges(self) -> tuple[Ints, Ints, Ints]:
        """(node below, its rank, the rank above) of every edge."""
        below = np.flatnonzero(self.parent >= 0)
        return below, self.rank[below], self.rank[self.parent[below]]

    def moved(self, case: Case, place: int, digits: int) -> Ints:
        """The ranks of the copy that is `place` further along the innermost digits."""
        out = self.rank.copy()
        ranks, width = out >= 0, case.layout.weight(digits)
        out[ranks] = out[ranks] // width * width + plus(case, out[ranks] % width, place, digits)
        for digit in range(len(case.digits)):
            low, here = case.layout.weight(digit), switch_digit(case, out) == digit
            out[here] -= place % low
        return out

    def longest(self, seconds: Floats) -> float:
        """The longest way of any node to the root, if the edge above each takes so long: the lengths of ways twice as
        long, again and again."""
        at, total = np.append(self.parent, -1), np.append(seconds, 0.0)  # the last place is that above the root
        while at.max() >= 0:
            total, at = total + total[at], at[at]
        return float(total.max())


def switch_number(case: Case, digit: int, block: Ints) -> Ints:
    """The switch of a digit that joins the ranks from `block` on; copies along inner digits have one each."""
    return -1 - (digit * case.n + block)


def switch_digit(case: Case, number: Ints) -> Ints:
    """The digit of each switch; ranks: -1."""
    return np.where(number < 0, (-1 - number) // case.n, -1)


class Piped(Algorithm):
    """Pieces climb trees and come down one behind another: (up + down)·(longest way) + load.  Hand-overs reach
    `TREE_EFFICIENCY` of their rate, but those of a single switch its whole rate of reduction.  What a switch hands to
    the rank that carries it on, and takes back, is in the measured rate."""

    @classmethod
    def trees(cls, case: Case) -> list[Tree]:
        """The channels."""
        raise NotImplementedError

    @classmethod
    def moved(cls, case: Case) -> int:
        """Digits along which every tree has copies."""
        raise NotImplementedError

    ways: ClassVar[dict[str, tuple[bool, bool]]] = {"broadcast": (False, True), "reduce": (True, False)}

    @classmethod
    def directions(cls, case: Case) -> tuple[bool, bool]:
        """(up, down)"""
        return cls.ways.get(case.kind, (True, True))

    @classmethod
    def hand_overs(cls, case: Case) -> list[tuple[Tree, list[Alike]]]:
        """The priced hand-overs of each tree and its copies; kept."""
        key = cls.name, case.kind
        if key not in case.memory:
            case.memory[key] = [(tree, list(priced(case, tree, cls.moved(case)))) for tree in cls.trees(case)]
        found: list[tuple[Tree, list[Alike]]] = case.memory[key]
        return found

    @classmethod
    def sent(cls, case: Case) -> Iterator[tuple[Ends, float]]:
        """(who sends to whom, share of the buffer) of every tree, up and down."""
        up, down = cls.directions(case)
        found = cls.hand_overs(case)
        for group in (group for _, groups in found for group in groups):
            share = group.times / (len(found) * case.layout.weight(cls.moved(case)))
            yield from ((ends, share) for ends in (*((group.ends,) * up), *((group.ends.back,) * down)))

    @classmethod
    def load(cls, case: Case) -> Load:
        total = Load(case.topology.ledger)
        for ends, share in cls.sent(case):
            total = total + ends.load * share
        return total

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        among, through = Load(case.topology.ledger), Load(case.topology.ledger)
        for ends, share in cls.sent(case):
            if isinstance(ends, ToSwitch):
                through = through + ends.load * (share * ends.slow)
            else:
                among = among + ends.load * share
        alone = not among.per_byte and len(case.digits) == 1  # one switch, with nothing that follows upon it
        per_byte = max(among.per_byte, through.per_byte) / (1.0 if alone else TREE_EFFICIENCY)
        return cls.priced(case, sum(cls.directions(case)) * cls.longest(case), per_byte)

    @classmethod
    def longest(cls, case: Case) -> float:
        """Latency of the longest way up (or down) any tree."""
        most = 0.0
        for tree, found in cls.hand_overs(case):
            seconds = np.zeros(len(tree.rank))
            for group in found:
                seconds[group.edges] = cls.latency(case, group.ends)
            most = max(most, tree.longest(seconds))
        return most

    @classmethod
    def latency(cls, case: Case, ends: Ends) -> float:
        """Of a hand-over, the slower of the ways it is used."""
        up, down = cls.directions(case)
        return max(ends.latency if up else 0.0, ends.back.latency if down else 0.0)

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        """Every channel has as many."""
        channels = len(cls.trees(case)) * case.layout.weight(cls.moved(case))
        return channels * max(1, chunks // channels)

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """A piece climbs one edge per step (a node sends when all below it have), and comes down from the root."""
        moved, trees, sends = cls.moved(case), cls.trees(case), Sends()
        channels = [(tree, place) for place in range(case.layout.weight(moved)) for tree in trees]
        heights = {id(tree): levels(tree.parent) for tree in trees}
        for number, (tree, place) in enumerate(channels):
            own = np.arange(number, pieces, len(channels))
            sends.climb(tree, heights[id(tree)], tree.moved(case, place, moved), own, *cls.directions(case))
        yield from sends.steps(case)


def priced(case: Case, tree: Tree, moved: int) -> Iterator[Alike]:
    """The hand-overs of a tree and its copies that links are charged for: between ranks, and from ranks to switches."""
    below, child, above = tree.edges
    among = np.flatnonzero((child >= 0) & (above >= 0))
    for group in alike(case, child[among], above[among], moved) if len(among) else ():
        yield replace(group, edges=below[among[group.edges]])
    digit = np.where(child >= 0, switch_digit(case, above), -1)
    for i in range(int(digit.max(initial=-1)) + 1):
        up = below[digit == i]
        yield Alike(up, case.to_switch(i), (), len(up) * case.layout.weight(moved) / case.n)


class Sends:
    """Messages of single pieces by the step in which they leave."""

    def __init__(self) -> None:
        self.at: dict[int, list[tuple[int, int, int, bool]]] = {}

    def climb(self, tree: Tree, heights: tuple[Ints, Ints], rank: Ints, pieces: Ints, up: bool, down: bool) -> None:
        """Pieces up and down a tree, one behind the other. What comes out of a switch replaces what a rank has."""
        level, height = heights
        top = int(height.max())
        for node in np.flatnonzero(tree.parent >= 0).tolist():
            above = int(tree.parent[node])
            low, high = int(rank[node]), int(rank[above])
            for order, piece in enumerate(pieces.tolist()):
                if up:
                    self.at.setdefault(int(height[node]) + order, []).append((low, high, piece, low >= 0))
                if down:
                    step = top * up + int(level[above]) + order
                    self.at.setdefault(step, []).append((high, low, piece, False))

    def steps(self, case: Case) -> Iterator[Step]:
        for t in sorted(self.at):
            parts = []
            for adds in (True, False):
                rows = [row[:3] for row in self.at[t] if row[3] == adds]
                if rows:
                    source, target, piece = np.array(rows, dtype=np.int64).T
                    parts.append(Messages(Ends(case, target, source), lambda piece=piece: piece, reduce=adds))  # type: ignore[misc]
            yield Step(tuple(parts))


def levels(parent: Ints) -> tuple[Ints, Ints]:
    """(distance from the root, height above the deepest leaf below) of every node."""
    level, height = np.zeros(len(parent), dtype=np.int64), np.zeros(len(parent), dtype=np.int64)
    at, steps = parent, 0
    while (here := np.flatnonzero(at >= 0)).size:
        steps += 1
        level[here] = steps
        height[at[here]] = steps
        at = np.where(at >= 0, parent[at], -1)
    return level, height
