"""How the groups of one parallel axis lie over the cluster: devices of every group, and the digits of a rank.

A group's ranks, sorted by device, count in mixed radix: digit i runs over the members of one level (or of one torus
dimension) that the group visits.  Digit 0 is innermost.  Groups that are not regular have a single digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.errors import InputError, Problem
from sim.network.levels import Ints
from sim.network.records import Cluster, Group, Level


@dataclass(frozen=True)
class Digit:
    """`count` members of level `level` (−1: no regular level); `dimension` of a torus, else 0."""

    count: int
    level: int
    dimension: int = 0


@dataclass(frozen=True)
class Layout:
    """devices[G, n] of all groups that communicate at once, sorted along a row, and their common digits."""

    devices: Ints
    digits: tuple[Digit, ...]

    @property
    def n(self) -> int:
        return int(self.devices.shape[1])

    def weight(self, digit: int) -> int:
        """Place value of a digit: product of the counts inside it."""
        return int(np.prod([d.count for d in self.digits[:digit]], dtype=np.int64))

    def moved(self, *digits: int, by: int = 1) -> Ints:
        """For every rank index the index whose given digits are `by` further (cyclically)."""
        index = np.arange(self.n)
        out = index.copy()
        for i in digits:
            place, count = self.weight(i), self.digits[i].count
            x = index // place % count
            out += ((x + by) % count - x) * place
        return out

    def pairs(self, to: Ints, chosen: Ints | None = None) -> tuple[Ints, Ints]:
        """Flows of all groups from rank index i (of `chosen`, default all) to `to[i]`."""
        if chosen is None:
            return self.devices.ravel(), self.devices[:, to].ravel()
        return self.devices[:, chosen].ravel(), self.devices[:, to].ravel()


def group_matrix(cluster: Cluster, group: Group) -> Ints:
    """devices[G, n] in rank order, before sorting."""
    order = np.array(cluster.rank_order, dtype=np.int64) if cluster.rank_order else None
    if group.ranks:
        check_ranks(cluster, group.ranks)
        rows = np.array([group.ranks], dtype=np.int64)
    else:
        span = group.size * group.stride
        if group.size < 1 or group.stride < 1:
            raise InputError(Problem("a group has at least one rank, and a stride of at least one", "group"))
        if span > cluster.devices:
            rule = f"{group.size} ranks {group.stride} apart need {span} devices, the cluster has {cluster.devices}"
            raise InputError(Problem(rule, path="group", value=str(group.size)))
        used = cluster.devices // span * span
        rows = np.arange(used).reshape(-1, group.size, group.stride).transpose(0, 2, 1).reshape(-1, group.size)
    return rows if order is None else order[rows]


def check_ranks(cluster: Cluster, ranks: tuple[int, ...]) -> None:
    """Every rank once and inside the cluster."""
    problems = []
    repeated = sorted({r for r in ranks if ranks.count(r) > 1}) if len(set(ranks)) < len(ranks) else []
    if repeated:
        problems.append(Problem("every rank may occur once in a group", "group.ranks", f"{repeated[0]} more than once"))
    outside = [r for r in ranks if not 0 <= r < cluster.devices]
    if outside:
        problems.append(Problem(f"ranks run from 0 to {cluster.devices - 1}", "group.ranks", str(outside[0])))
    if problems:
        raise InputError(*problems)


def layout(cluster: Cluster, group: Group) -> Layout:
    """Devices and digits of a group."""
    devices = np.sort(group_matrix(cluster, group), axis=1)
    digits = digits_of(cluster.levels, devices) if cluster.levels else None
    n = devices.shape[1]
    return Layout(devices, digits if digits is not None else (Digit(n, -1),))


def digits_of(levels: tuple[Level, ...], devices: Ints) -> tuple[Digit, ...] | None:
    """Mixed-radix digits of regular groups, None if the groups are not regular."""
    digits: list[Digit] = []
    n, inside, block = devices.shape[1], 1, 1
    for i, level in enumerate(levels):
        torus = level.topology in ("torus", "mesh", "ring")
        for k, size in enumerate(level.sizes if torus else (level.size,)):
            block *= size
            together = members_in_block(devices, block)
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
