"""Channels: closed chains and trees of ranks that pieces of the buffer follow each other through.

An algorithm states one channel; its copies, moved along the inner digits of the ranks, share the buffer evenly.  What
the copies put on the links follows by symmetry: hand-overs that are images of each other are counted once.  What a
schedule sends follows by moving the channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest
from typing import ClassVar

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Ends, Listing, Messages, Step, ToSwitch
from sim.network.flows import Sends, Table, Traffic
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Ints
from sim.records import dataclass

#: Share of the ideal bandwidth a pipelined double tree reaches: NCCL tuning.cc multiplies tree bandwidth by 0.9.
TREE_EFFICIENCY = 0.9


@dataclass(frozen=True)
class Hierarchy:
    """Blocks 0 … n-1, each but the root below another one."""

    n: int

    def above(self, block: Ints) -> Ints:
        """The block above each; the root, of one block the only one: -1."""
        return np.full(len(block), -1)

    @cached_property
    def sends(self) -> tuple[Sends, ...]:
        """Every block to the one above it."""
        every = np.arange(self.n)
        above = self.above(every)
        return (handing(every, above, self.n),)

    @cached_property
    def depth(self) -> int:
        """Hand-overs from the farthest block to the root."""
        return int(hops(self.above(np.arange(self.n))).max())


def handing(place: Ints, above: Ints, n: int) -> Sends:
    """Some of n blocks to the ones above them, but for the root."""
    order = np.argsort(place)
    order = order[above[order] >= 0]
    return Sends(table=Table(place[order], (above - place)[order], n, 1, n))


def hops(above: Ints) -> Ints:
    """How far every block is from the root: ways twice as long, again and again."""
    at = np.append(above, -1)  # the last place is that above the root
    far = (at >= 0).astype(np.int64)
    while at.max() >= 0:
        far, at = far + far[at], at[at]
    return far[:-1]


@dataclass(frozen=True, eq=False)
class Handed(Ends):
    """Blocks of `low` ranks to those above them, or the other way."""

    case: Case
    blocks: Hierarchy
    low: int
    back: bool = False

    @cached_property
    def traffic(self) -> Traffic:
        """Kind by kind of hand-over."""
        layout = self.case.layout
        found = [
            self.case.topology.flows(layout.flows(sends.scaled(self.low), back=self.back))
            for sends in self.blocks.sends
        ]
        load = found[0].load
        for each in found[1:]:
            load = load + each.load
        return Traffic(load, max(each.latency for each in found))

    @cached_property
    def reversed(self) -> Handed:
        return replace(self, back=not self.back)


@dataclass(frozen=True, eq=False)
class HandOver:
    """Hand-overs of a channel that its copies map onto each other; `times` of the channel's copies use each of their
    images, `on_path` of them follow each other on the longest way, and then `free` that take no time."""

    ends: Ends
    times: float
    on_path: int
    free: int = 0


def plus(case: Case, place: Ints, other: Ints | int, moved: int, sign: int = 1) -> Ints:
    """Places in a block of the innermost `moved` digits, further by those of another place, digit by digit."""
    out = np.zeros_like(place)
    for i in range(moved):
        width, count = case.layout.weight(i), case.shape[i]
        out = out + (place // width + sign * (other // width)) % count * width
    return out


@dataclass(frozen=True, eq=False)
class Channel:
    """The ranks of digit 0, then of digit 1 … below their switch (`switched`), or in a chain ending at place 0; there
    a rank carries on what they have. Above them blocks hand over to the ones above them."""

    switched: tuple[bool, ...]
    blocks: Hierarchy

    def hand_overs(self, case: Case, moved: int) -> Iterator[HandOver]:
        """Those of the channel and its copies along the innermost `moved` digits that links are charged for: between
        ranks, and from ranks to switches, in the order of the longest way."""
        for digit, switched in enumerate(self.switched):
            low, count = case.layout.weight(digit), case.shape[digit]
            if switched:
                times = case.n // low * case.layout.weight(moved) / case.n
                yield HandOver(case.to_switch(digit), times, 1, int(digit < len(case.digits) - 1))
            else:
                yield HandOver(case.shift((digit, 1)), float(count - 1), count - 1)
        if self.blocks.n > 1:
            key = self.blocks, case.layout.weight(moved)
            if key not in case.memory:
                case.memory[key] = Handed(case, *key)
            yield HandOver(case.memory[key], 1.0, self.blocks.depth)

    def tree(self, case: Case) -> Tree:
        """One rank or switch after the other."""
        rank, above, carrier = np.arange(case.n), np.full(case.n, -1), np.arange(case.n)
        for digit, switched in enumerate(self.switched):
            blocks = carrier.reshape(-1, case.shape[digit])
            carrier = blocks[:, 0]
            if not switched:
                above[blocks[:, 1:]] = np.roll(blocks, -1, axis=1)[:, 1:]
                continue
            first, switch = rank[carrier], len(rank) + np.arange(len(blocks))
            above[blocks] = switch[:, None]
            carried = digit < len(case.digits) - 1
            rank = np.concatenate([rank, switch_number(case, digit, first), *((first,) * carried)])
            carrier = switch + len(blocks) * carried
            above = np.concatenate([above, *((carrier,) * carried), np.full(len(blocks), -1)])
        parent = self.blocks.above(np.arange(self.blocks.n))
        above[carrier] = np.where(parent >= 0, carrier[parent], -1)
        return Tree(rank, above)


@dataclass(frozen=True, eq=False)
class Tree:
    """Node i is rank `rank[i]` (a negative number: a switch that adds up what it is sent) and hands over to node
    `parent[i]`, towards the root (-1)."""

    rank: Ints
    parent: Ints

    def moved(self, case: Case, place: int, digits: int) -> Ints:
        """The ranks of the copy that is `place` further along the innermost digits."""
        out = self.rank.copy()
        ranks, width = out >= 0, case.layout.weight(digits)
        out[ranks] = out[ranks] // width * width + plus(case, out[ranks] % width, place, digits)
        for digit in range(len(case.digits)):
            low, here = case.layout.weight(digit), switch_digit(case, out) == digit
            out[here] -= place % low
        return out


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
    def channels(cls, case: Case) -> list[Channel]:
        """The channels."""
        raise NotImplementedError

    @classmethod
    def moved(cls, case: Case) -> int:
        """Innermost digits along which every channel has copies."""
        raise NotImplementedError

    ways: ClassVar[dict[str, tuple[bool, bool]]] = {"broadcast": (False, True), "reduce": (True, False)}

    @classmethod
    def directions(cls, case: Case) -> tuple[bool, bool]:
        """(up, down)"""
        return cls.ways.get(case.kind, (True, True))

    @classmethod
    def hand_overs(cls, case: Case) -> list[list[HandOver]]:
        """The priced hand-overs of each channel and its copies; kept."""
        key = cls.name, case.kind
        if key not in case.memory:
            case.memory[key] = [list(each.hand_overs(case, cls.moved(case))) for each in cls.channels(case)]
        found: list[list[HandOver]] = case.memory[key]
        return found

    @classmethod
    def sent(cls, case: Case) -> Iterator[tuple[Ends, float]]:
        """(who sends to whom, share of the buffer) of every channel, up and down."""
        up, down = cls.directions(case)
        found = cls.hand_overs(case)
        for group in (group for groups in found for group in groups):
            share = group.times / (len(found) * case.layout.weight(cls.moved(case)))
            yield from ((ends, share) for ends in (*((group.ends,) * up), *((group.ends.reversed,) * down)))

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
        """Latency of the longest way up (or down) any channel; of a hand-over, the slower of the ways it is used."""
        up, down = cls.directions(case)

        def latency(ends: Ends) -> float:
            return max(ends.latency if up else 0.0, ends.reversed.latency if down else 0.0)

        return max(
            pairwise([x for each in way for x in (latency(each.ends),) * each.on_path + (0.0,) * each.free])
            for way in cls.hand_overs(case)
        )

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        """Every channel has as many."""
        channels = len(cls.channels(case)) * case.layout.weight(cls.moved(case))
        return channels * max(1, chunks // channels)

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """A piece climbs one edge per step (a node sends when all below it have), and comes down from the root."""
        moved, trees, sends = cls.moved(case), [each.tree(case) for each in cls.channels(case)], Pipeline()
        channels = [(tree, place) for place in range(case.layout.weight(moved)) for tree in trees]
        heights = {id(tree): levels(tree.parent) for tree in trees}
        for number, (tree, place) in enumerate(channels):
            own = np.arange(number, pieces, len(channels))
            sends.climb(tree, heights[id(tree)], tree.moved(case, place, moved), own, *cls.directions(case))
        yield from sends.steps(case)


def pairwise(seconds: list[float]) -> float:
    """Their sum by sums of two, four, eight …"""
    while len(seconds) > 1:
        seconds = [a + b for a, b in zip_longest(seconds[::2], seconds[1::2], fillvalue=0.0)]
    return sum(seconds)


class Pipeline:
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
                    parts.append(Messages(Listing(case, target, source), lambda piece=piece: piece, reduce=adds))  # type: ignore[misc]
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
