"""Who sends to whom in all groups at once, told by arithmetic: what is alike by symmetry is looked at once.

Devices are numbers, and so are what groups do with them: a digit of a rank is turned (`turns`), a table says which
block of ranks sends to which (`table`), and that is repeated in every group.  An axis of a level counts devices too,
(d % top) // width; `Flows.recurs` tells which shifts along it map the messages onto each other, so that a level that is
symmetric along the axis needs to be shown no more of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from math import gcd, lcm
from typing import NamedTuple, TypeAlias

import numpy as np

from sim.network.load import Load
from sim.network.topologies.base import Floats, Ints
from sim.records import dataclass

Ends: TypeAlias = "tuple[Ints, Ints, Floats | None]"  # from, to, relative bytes (None: one each)
Turns: TypeAlias = tuple[tuple[int, int], ...]  # (by, block): adds `by` modulo `block` to number % block
Kept: TypeAlias = Callable[[Ints], Ints]  # of the links of every route those that are counted, others -1

#: Blocks of a table that are looked at one by one.
LONG = 1 << 10


class Traffic(NamedTuple):
    """What messages put on every link, and the largest latency of a path (s)."""

    load: Load
    latency: float


@dataclass(frozen=True)
class Listed:
    """Messages one by one."""

    src: Ints
    dst: Ints
    weight: Floats | None = None

    @property
    def every(self) -> Ends:
        return self.src, self.dst, self.weight


@dataclass(frozen=True)
class Flows:
    """One message of (`back`: to) each of the first `used` devices d, whose other end is found from d alone.

    turns: see there.  table: device d lies in block (d // low) % len(table) of
    `low` devices and sends to the same place of block table[…], or nothing (-1).  weight: relative bytes of rank
    (d // stride) % len(weight).
    """

    used: int
    turns: Turns = ()
    table: Ints | None = None
    low: int = 1
    weight: Floats | None = None
    stride: int = 1
    back: bool = False

    @property
    def reversed(self) -> Flows:
        """The other way."""
        return replace(self, back=not self.back)

    @property
    def every(self) -> Ends:
        """All of them."""
        return self.at(np.arange(self.used))

    def at(self, device: Ints) -> Ends:
        """Those of some devices."""
        device, to = led(device[device < self.used], self.turns, self.table, self.low)
        weight = None if self.weight is None else self.weight[device // self.stride % len(self.weight)]
        return (to, device, weight) if self.back else (device, to, weight)

    @property
    def parts(self) -> tuple[Flows, ...]:
        """Of a long table apart what recurs after some √len(table) of its blocks, and the rest."""
        if self.table is None or len(self.table) < LONG:
            return (self,)
        many = len(self.table)
        period = gcd(many, 1 << many.bit_length() // 2)
        rows = (self.table - np.arange(many)).reshape(-1, period)
        first = self.table[:period]
        recurs = (rows == rows[0]).all(axis=0) & (first >= 0) & (first < period)
        if not recurs.any():
            return (self,)
        rest = np.where(recurs, -1, self.table.reshape(-1, period)).ravel()
        return replace(self, table=np.where(recurs, first, -1)), replace(self, table=rest)

    def recurs(self, width: int, top: int) -> tuple[int, int]:
        """(period, run) along the axis (d % top) // width: messages that many places further, or of as many places in a
        row from a multiple on, are images of each other.

        Turning the digits below `block` is addition modulo `block`: it commutes with a shift modulo `top` if both are
        the same, if the shift is by whole blocks, or if the turn is by whole `top`s.
        """
        held = [(block, gcd(by, block)) for by, block in self.turns if block != top and (block % top or by % top)]
        if self.table is not None and self.low % top:
            held.append((self.low * len(self.table), self.low))
        if self.weight is not None and self.stride % top:
            held.append((self.stride * len(self.weight), 1))
        if self.used % top:
            held.append((top, self.used))
        period = lcm(width, *(block if top % block == 0 else top for block, _ in held))
        run = gcd(top, *(grain for _, grain in held)) if held else width
        return (period if top % period == 0 else top) // width, 1 if run % width else run // width

    @cached_property
    def grain(self) -> int:
        """All messages go a multiple of this far."""
        return gcd(*(each for turn in self.turns for each in turn), self.low if self.table is not None else 0)

    @cached_property
    def reach(self) -> int:
        """All messages stay in blocks of this many devices."""
        return lcm(*(block for _, block in self.turns), 1 if self.table is None else self.low * len(self.table))


def turned(number: Ints, turns: Turns) -> Ints:
    """Where turns lead."""
    to = number
    for by, block in turns:
        to = to + ((number + by) % block - number % block)
    return to


def led(number: Ints, turns: Turns, table: Ints | None, low: int) -> tuple[Ints, Ints]:
    """(from, to) of the numbers that send, where turns and a table of blocks lead."""
    to = turned(number, turns)
    if table is None:
        return number, to
    place = number // low % len(table)
    sends = table[place] >= 0
    return number[sends], (to + (table[place] - place) * low)[sends]
