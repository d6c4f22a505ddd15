"""Who sends to whom in all groups at once, told by arithmetic: what is alike by symmetry is looked at once.

Devices are numbers, and so are what groups do with them: a digit of a rank is turned, a table says which blocks of
ranks send how far, and that is repeated in every group.  An axis of a level counts devices too, (d % top) // width:
`Flows.recurs` tells which shifts along it map the messages onto each other, so that a level that is symmetric along the
axis needs to be shown no more of it; where any two places of the axis are alike to the level, `Flows.alike` tells which
of them hold the same messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from math import gcd, lcm
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from sim.network.load import Load, Runs, begins, runs_between
from sim.network.topologies.base import Floats, Ints
from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

Turns: TypeAlias = tuple[tuple[int, int], ...]  # (by, block): adds `by` modulo `block` to number % block
Kept: TypeAlias = Callable[[Ints], Ints]  # of the links of every route those that are counted, others -1

#: How many more units are shown if they recur than if each kind were told apart.
SHORT = 4


class Traffic(NamedTuple):
    """What messages put on every link, and the largest latency of a path (s)."""

    load: Load
    latency: float


class Ends(NamedTuple):
    """From, to, relative bytes (None: one each), and the devices whose messages they are."""

    src: Ints
    dst: Ints
    weight: Floats | None
    own: Ints

    def chosen(self, here: NDArray[np.bool_]) -> Ends:
        """Some of them."""
        return Ends(self.src[here], self.dst[here], None if self.weight is None else self.weight[here], self.own[here])


@dataclass(frozen=True)
class Listed:
    """Messages one by one."""

    src: Ints
    dst: Ints
    weight: Floats | None = None

    @property
    def every(self) -> Ends:
        return Ends(self.src, self.dst, self.weight, self.src)


@dataclass(frozen=True)
class Table:
    """Of every `span` numbers, in blocks of `low`, those at `place` (sorted) in every `period` go `by` blocks
    further, and stay among them."""

    place: Ints
    by: Ints
    period: int
    low: int
    span: int

    def recurs(self, used: int) -> int:
        """Numbers after which the same ones of the first `used` send as far again."""
        block = self.low * self.period
        return block if self.span % block == 0 or used <= self.span else self.span

    def led(self, number: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Which of the numbers go anywhere, and how far those go."""
        at = number % self.span // self.low % self.period
        index = np.minimum(np.searchsorted(self.place, at), len(self.place) - 1)
        goes = self.place[index] == at
        return goes, self.by[index[goes]] * self.low


@dataclass(frozen=True)
class Sends:
    """Which numbers send, and to which: as turns and a table lead; `only` (low, high, span): those with
    low ≤ number % span < high."""

    turns: Turns = ()
    table: Table | None = None
    only: tuple[int, int, int] | None = None

    def scaled(self, stride: int) -> Sends:
        """The same among numbers that far apart, for all in between."""
        turns = tuple((by * stride, block * stride) for by, block in self.turns)
        table, only = self.table, self.only
        if table is not None:
            table = replace(table, low=table.low * stride, span=table.span * stride)
        return Sends(turns, table, None if only is None else (only[0] * stride, only[1] * stride, only[2] * stride))

    def led(self, number: Ints) -> tuple[Ints, Ints]:
        """(from, to) of the numbers that send."""
        if self.only is not None:
            low, high, span = self.only
            number = number[(number % span >= low) & (number % span < high)]
        to = number
        for by, block in self.turns:
            to = to + ((number + by) % block - number % block)
        if self.table is None:
            return number, to
        goes, far = self.table.led(number)
        return number[goes], to[goes] + far

    @cached_property
    def grain(self) -> int:
        """All go a multiple of this far."""
        return gcd(*(each for turn in self.turns for each in turn), 0 if self.table is None else self.table.low)

    @cached_property
    def reach(self) -> int:
        """All stay in blocks of this many numbers."""
        return lcm(*(block for _, block in self.turns), 1 if self.table is None else self.table.span)


@dataclass(frozen=True)
class Flows:
    """One message of (`back`: to) each of the first `used` devices d that send, whose other end is found from d alone.
    weight: relative bytes of rank (d // stride) % len(weight)."""

    used: int
    sends: Sends
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
        device, to = self.sends.led(device[device < self.used])
        weight = None if self.weight is None else self.weight[device // self.stride % len(self.weight)]
        return Ends(to, device, weight, device) if self.back else Ends(device, to, weight, device)

    @property
    def grain(self) -> int:
        return self.sends.grain

    @property
    def reach(self) -> int:
        return self.sends.reach

    def recurs(self, width: int, top: int) -> tuple[int, int]:
        """(period, run) along the axis (d % top) // width: messages that many places further, or of as many places in a
        row from a multiple on, are images of each other.

        Turning the digits below `block` is addition modulo `block`: it commutes with a shift modulo `top` if both are
        the same, if the shift is by whole blocks, or if the turn is by whole `top`s.
        """
        turns, table, only = self.sends.turns, self.sends.table, self.sends.only
        held = [(block, gcd(by, block)) for by, block in turns if block != top and (block % top or by % top)]
        if table is not None and table.low % top:
            held.append((table.recurs(self.used), table.low))
        if only is not None and gcd(*only) % top:
            held.append((only[2], gcd(*only)))
        if self.weight is not None and self.stride % top:
            held.append((self.stride * len(self.weight), 1))
        if self.used % top:
            held.append((top, self.used))
        period = lcm(width, *(block if top % block == 0 else top for block, _ in held))
        run = gcd(top, *(grain for _, grain in held)) if held else width
        return (period if top % period == 0 else top) // width, 1 if run % width else run // width

    def changes(self) -> Iterator[tuple[int, Ints]]:
        """(period, devices): at these devices of every period begins something else than before."""
        table, only = self.sends.table, self.sends.only
        yield from ((block, np.array([0, -by % block])) for by, block in self.sends.turns if by % block)
        if table is not None:
            period = table.recurs(self.used)
            at = np.sort(np.concatenate([table.place, table.place + 1]))
            at = at[begins(at)]
            at = at if period == table.low * table.period else np.arange(table.span // table.low)
            yield period, at * table.low
        if only is not None:
            yield only[2], np.array(only[:2])
        if self.weight is not None:
            yield self.stride * len(self.weight), np.arange(len(self.weight)) * self.stride

    def alike(self, width: int, count: int, texture: int = 1) -> Runs:
        """Runs of units (`width` devices, the first `count`) that hold the same messages but for the unit's place, of
        steps that are a multiple of `texture`.

        Between two changes all devices do the same.  Where changes are many, units are told by what recurs instead."""
        edges, every = [np.array([0, count, self.used // width, -(-self.used // width)])], texture
        for period, at in self.changes():
            again, times = lcm(width, period) // width, -(-self.used // period)
            every = lcm(every, again)
            if again <= times * int(begins(at // width).sum()):
                texture = lcm(texture, again)
            else:
                device = (np.arange(times)[:, None] * period + at).ravel()
                edges += [device // width, -(-device // width)]
        found = np.sort(np.concatenate(edges))
        found = found[begins(found) & (found <= count)]
        told = runs_between(found, min(texture, count))
        if count % every == 0 and self.used == count * width and every <= SHORT * len(told):
            return Runs(runs_between(np.array([0, count]), every), every)
        return Runs(told, texture if len(found) == 2 and count % texture == 0 else 0)
