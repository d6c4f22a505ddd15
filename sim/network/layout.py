"""How the groups of one parallel axis lie over the cluster: devices of every group, and the digits of a rank.

A group's ranks, sorted by device, count in mixed radix: digit i runs over the members of one level (or of one torus
dimension) that the group visits.  Digit 0 is innermost.  Groups that are not regular have a single digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from math import lcm, prod

import numpy as np

from sim.errors import InputError, Problem
from sim.network.flows import Flows, Listed, Sends
from sim.network.records import Cluster, Group, Level
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import Floats, Ints
from sim.records import dataclass


@dataclass(frozen=True)
class Digit:
    """`count` members of level `level` (−1: no regular level); `dimension` of a torus, else 0."""

    count: int
    level: int
    dimension: int = 0


@dataclass(frozen=True)
class Layout:
    """The groups that communicate at once, of `n` ranks each, and their common digits.

    Rank r of group g is device g // stride * stride * n + g % stride + r * stride; or a row of `listed` says, sorted.
    """

    n: int
    digits: tuple[Digit, ...]
    stride: int = 1
    groups: int = 1
    listed: Ints | None = None

    @cached_property
    def devices(self) -> Ints:
        """devices[group, rank]"""
        if self.listed is not None:
            return self.listed
        every = np.arange(self.groups * self.n).reshape(-1, self.n, self.stride)
        return every.transpose(0, 2, 1).reshape(-1, self.n)

    def first(self, rank: int) -> int:
        """The device of a rank of the first group."""
        return rank * self.stride if self.listed is None else int(self.listed[0, rank])

    def weight(self, digit: int) -> int:
        """Place value of a digit: product of the counts inside it."""
        return prod(d.count for d in self.digits[:digit])

    def place(self, digit: int) -> Ints:
        """A digit of every rank index."""
        return np.arange(self.n) // self.weight(digit) % self.digits[digit].count

    def turn(self, digit: int, by: int) -> tuple[int, int]:
        """That a digit goes so much further, cyclically."""
        width = self.weight(digit)
        return by * width, width * self.digits[digit].count

    def flows(self, sends: Sends, weight: Floats | None = None, back: bool = False) -> Flows | Listed:
        """Messages of the ranks of all groups that send. `weight`: relative bytes of rank r are
        weight[r % len(weight)]. `back`: the other way."""
        if self.listed is None:
            return Flows(self.groups * self.n, sends.scaled(self.stride), weight, self.stride, back)
        source, to = sends.led(np.arange(self.n))
        each = None if weight is None else np.tile(weight[source % len(weight)], self.groups)
        ends = self.listed[:, source].ravel(), self.listed[:, to].ravel()
        return Listed(*(ends[::-1] if back else ends), each)


def aligned(stride: int, span: int, block: int) -> bool:
    """Whether blocks of so many devices hold a part of what lies between two ranks, whole ranks, or whole groups."""
    return stride % block == 0 or block % span == 0 or (block % stride == 0 and span % block == 0)


def group_matrix(cluster: Cluster, group: Group) -> Ints:
    """devices[G, n] in rank order, before sorting."""
    check_group(cluster, group)
    if group.ranks:
        rows = np.array([group.ranks], dtype=np.int64)
    else:
        groups = cluster.devices // (group.size * group.stride) * group.stride
        rows = Layout(group.size, (), group.stride, groups).devices
    return np.array(cluster.rank_order, dtype=np.int64)[rows] if cluster.rank_order else rows


def check_group(cluster: Cluster, group: Group) -> None:
    """The group fits: every rank once and inside the cluster."""
    problems = []
    if group.ranks:
        ranks = group.ranks
        repeated = sorted({r for r in ranks if ranks.count(r) > 1}) if len(set(ranks)) < len(ranks) else []
        if repeated:
            value = f"{repeated[0]} more than once"
            problems.append(Problem("every rank may occur once in a group", "group.ranks", value))
        outside = [r for r in ranks if not 0 <= r < cluster.devices]
        if outside:
            problems.append(Problem(f"ranks run from 0 to {cluster.devices - 1}", "group.ranks", str(outside[0])))
    elif group.size < 1 or group.stride < 1:
        problems.append(Problem("a group has at least one rank, and a stride of at least one", "group"))
    elif (span := group.size * group.stride) > cluster.devices:
        rule = f"{group.size} ranks {group.stride} apart need {span} devices, the cluster has {cluster.devices}"
        problems.append(Problem(rule, path="group", value=str(group.size)))
    if problems:
        raise InputError(*problems)


def layout(cluster: Cluster, group: Group) -> Layout:
    """Devices and digits of a group."""
    if group.ranks or cluster.rank_order:
        devices = np.sort(group_matrix(cluster, group), axis=1)
        groups, n = devices.shape
        lay = Layout(n, (Digit(n, -1),), groups=groups, listed=devices)
    else:
        check_group(cluster, group)
        groups = cluster.devices // (group.size * group.stride) * group.stride
        lay = Layout(group.size, (Digit(group.size, -1),), group.stride, groups)
    digits = digits_of(cluster.levels, _together(lay), lay.n) if cluster.levels else None
    return lay if digits is None else replace(lay, digits=digits)


def level_of(cluster: Cluster, group: Group) -> int:
    """Outermost level of the cluster that some group of the axis crosses; −1: a group of one, or no levels (a graph
    has a single level, 0)."""
    if (len(group.ranks) or group.size) == 1:
        return -1
    if not cluster.levels:
        return 0 if cluster.edges else -1
    check_group(cluster, group)
    if group.ranks or cluster.rank_order:
        devices = group_matrix(cluster, group)
        low, high = devices.min(axis=1), devices.max(axis=1)
        inside = 1
        for number, level in enumerate(cluster.levels):
            inside *= level.size
            if np.array_equal(low // inside, high // inside):
                return number
    # group k of an axis starts at k·span, and the groups between its ranks, up to stride - 1 further, end with it at
    # (k+1)·span: all lie in blocks if blocks are whole spans, or if all groups fit into one block
    span, inside = group.size * group.stride, 1
    for number, level in enumerate(cluster.levels):
        inside *= level.size
        if inside % span == 0 or cluster.devices // span <= inside // span:
            return number
    return len(cluster.levels) - 1


def _together(lay: Layout) -> Callable[[int], int | None]:
    """How many consecutive ranks share a block of devices, if the same everywhere."""

    def by_arithmetic(block: int) -> int | None:
        stride, span = lay.stride, lay.n * lay.stride
        if stride % block == 0:
            return 1
        if block % span == 0:
            return lay.n
        if block % stride == 0 and span % block == 0:
            return block // stride
        if lay.n % min(lay.n, -(-block // stride)):
            return None  # as many of the first group lie in the first block
        kinds = min(lay.groups, lcm(span, block) // span * stride)  # then groups lie over blocks as the first ones do
        return members_in_block(replace(lay, groups=kinds).devices, block)

    return by_arithmetic if lay.listed is None else lambda block: members_in_block(lay.devices, block)


def digits_of(levels: tuple[Level, ...], together_in: Callable[[int], int | None], n: int) -> tuple[Digit, ...] | None:
    """Mixed-radix digits of regular groups of n, None if the groups are not regular."""
    digits: list[Digit] = []
    inside, block = 1, 1
    for i, level in enumerate(levels):
        for k, size in enumerate(level.sizes if TOPOLOGIES[level.topology].grid else (level.size,)):
            block *= size
            together = together_in(block)
            if together is None or together % inside:
                return None
            if together > inside:
                digits.append(Digit(together // inside, i, k))
            inside = together
    return tuple(digits) if inside == n else None


def members_in_block(devices: Ints, block: int) -> int | None:
    """How many consecutive ranks share a block of devices, if the same everywhere."""
    home = devices // block
    count = int((home[0] == home[0, 0]).sum())
    if devices.shape[1] % count:
        return None
    runs = home.reshape(len(home), -1, count)
    regular = (runs == runs[:, :, :1]).all() and (np.diff(runs[:, :, 0], axis=1) > 0).all()
    return count if regular else None
