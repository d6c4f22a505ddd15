"""Twisted torus: the cables that close a short dimension are shifted by half of each long one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Final

import numpy as np

from sim.errors import Problem
from sim.network.records import Level
from sim.network.topologies.base import Floats, Ints, LevelTopology, Name
from sim.network.topologies.torus import Grid

#: Members of a twisted level: every difference of two has its way in a table.
MOST: Final = 1 << 16


class TwistedTorus(Grid):
    """Sizes k and 2k: one step beyond the end of a dimension of k leads k further in every dimension of 2k.

    k×2k, k×k×2k and k×2k×2k become alike in all their dimensions (the lattices ℤ², FCC and BCC), so that an exchange of
    all with all loads every link alike; in the plain torus the long dimensions hold it up.  A way is a shortest
    vector of the lattice; where there are several, the table takes those that even the links out.
    Source: Cámara, Moretó, Vallejo, Beivide, Miguel-Alonso, Martínez & Navaridas, "Twisted torus topologies for
    enhanced interconnection networks", IEEE TPDS 21 (12), 2010; on TPU v4: Jouppi et al., ISCA 2023.
    """

    names = ("twisted_torus",)
    many_sizes = True
    wraps = True

    def doubled(self, size: int) -> bool:
        """Beyond the end of a short dimension lies another member, even where it is of two."""
        return False

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        if level.size > MOST:
            rule = f"at most {MOST:,} members of a twisted torus are routed"
            return [Problem(rule, f"{path}.sizes", f"{level.size:,}")]
        if twists(level.sizes):
            return []
        rule = "a twisted torus has one dimension of 2k and others of k, or one of k and others of 2k; k is at least 2"
        return [Problem(rule, f"{path}.sizes", str(list(level.sizes)), hint="like [4, 4, 8] or [4, 8, 8]")]

    @classmethod
    def resized(cls, level: Level, members: int) -> Level:
        """The same dimensions long, or other ones; a plain product, which `check` refuses, where there is none."""
        short, n = min(level.sizes), len(level.sizes)
        shapes = [tuple(size // short for size in level.sizes), *((1,) * (n - j) + (2,) * j for j in range(1, n))]
        for shape in shapes:
            k = round((members / int(np.prod(shape))) ** (1.0 / n))
            if k**n * int(np.prod(shape)) == members:
                return replace(level, sizes=tuple(k * each for each in shape))
        return super().resized(level, members)

    @property
    def symmetric(self) -> tuple[str, ...]:
        """A shift along a long dimension maps cables onto cables."""
        return ("instance", *(f"d{k}" for k, size in enumerate(self.dims) if size > min(self.dims)), "port")

    def moves_alike(self, axis: str, delta: Ints) -> bool:
        """A way depends on the difference only."""
        return True

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s, k = self.shape, len(self.dims)
        at, to = src // s.block % s.n, dst // s.block % s.n
        plane = (src // s.block // s.n) * s.ports + s.port(src)
        far = member_at(self.dims, [y - x for x, y in zip(places(self.dims, at), places(self.dims, to), strict=True)])
        left = ways(self.dims)[far]
        columns: list[Ints] = []
        for dimension in range(k):
            rest = left[:, dimension]
            for _ in range(int(np.abs(rest).max(initial=0))):
                sign = np.sign(rest)
                columns.append(np.where(rest != 0, ((plane * s.n + at) * k + dimension) * 2 + (sign < 0), -1))
                at, rest = beside(self.dims, at, dimension, sign), rest - sign
        return np.stack(columns, axis=1) if columns else np.full((len(src), 1), -1, dtype=np.int64)

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """All members: each link of a dimension and direction carries the sum of all ways."""
        s = self.shape
        if inside > 1 or rows.shape[1] != s.n or len(np.unique(rows // s.block % s.n)) != s.n:
            return LevelTopology.exchange(self, rows, inside)
        way = ways(self.dims)
        each = _both(way).sum(axis=0).reshape(2, -1).T
        load = np.zeros((s.instances * s.ports, s.n, *each.shape))
        plane = rows[:, 0] // s.block // s.n * s.ports + s.port(rows[:, 0])
        np.add.at(load, plane, each)
        return load.ravel(), float(np.abs(way).sum(axis=1).max()) * s.level.link.latency_s

    def end(self, link: int) -> tuple[Name, Name] | None:
        rest, bit = divmod(link, 2)
        rest, k = divmod(rest, len(self.dims))
        plane, at = divmod(rest, self.shape.n)
        there = beside(self.dims, np.array([at]), k, (1, -1)[bit])
        return self.plane_node(plane, at), self.plane_node(plane, int(there[0]))


def twists(sizes: tuple[int, ...]) -> bool:
    """Whether dimensions of these sizes can be twisted: all but one are k, or all but one 2k."""
    short = sizes.count(min(sizes))
    return min(sizes) > 1 and {size / min(sizes) for size in sizes} == {1.0, 2.0} and 1 in (short, len(sizes) - short)


def places(sizes: tuple[int, ...], member: Ints) -> list[Ints]:
    """Of members in every dimension."""
    strides = np.cumprod([1, *sizes[:-1]]).tolist()
    return [member // stride % size for stride, size in zip(strides, sizes, strict=True)]


def member_at(sizes: tuple[int, ...], at: list[Ints]) -> Ints:
    """The members at these places, which may lie beyond the ends."""
    short = min(sizes)
    beyond = sum((x // size for x, size in zip(at, sizes, strict=True) if size == short), np.zeros_like(at[0]))
    found, stride = np.zeros_like(at[0]), 1
    for x, size in zip(at, sizes, strict=True):
        found += (x if size == short else x + beyond * (size // 2)) % size * stride
        stride *= size
    return found


def beside(sizes: tuple[int, ...], member: Ints, dimension: int, by: Ints | int) -> Ints:
    """The members so many steps further."""
    at = places(sizes, member)
    at[dimension] = at[dimension] + by
    return member_at(sizes, at)


@cache
def ways(sizes: tuple[int, ...]) -> Ints:
    """way[difference, dimension]: signed steps of a shortest way; `sizes[0]` varies fastest.

    Of several shortest ones, each difference in turn takes that which adds least to the squares of the loads, until
    none changes: the largest load is then within a hundredth or two of the mean.
    """
    shifts = np.array(list(product((-2, -1, 0, 1, 2), repeat=len(sizes)))) @ _lattice(sizes)
    count = int(np.prod(sizes))
    here = np.stack(np.unravel_index(np.arange(count), sizes[::-1])[::-1], axis=1)
    least = np.full(count, np.iinfo(np.int64).max)
    for shift in shifts:
        least = np.minimum(least, np.abs(here + shift).sum(axis=1))
    choices: list[list[Ints]] = [[] for _ in range(count)]
    for shift in shifts:
        way = here + shift
        for at in np.flatnonzero(np.abs(way).sum(axis=1) == least).tolist():
            choices[at].append(way[at])
    return _evened(choices)


def _lattice(sizes: tuple[int, ...]) -> Ints:
    """The shifts that lead back: round each dimension, with half of the long ones where it is short."""
    rows = np.diag(sizes)
    short = np.array(sizes) == min(sizes)
    for k in np.flatnonzero(short).tolist():
        rows[k, ~short] = np.array(sizes)[~short] // 2
    return rows


def _evened(choices: list[list[Ints]]) -> Ints:
    """One way of each, even over dimensions and directions."""
    found = np.array([each[0] for each in choices])
    load = _both(found).sum(axis=0)
    changed = True
    while changed:
        changed = False
        for at, each in enumerate(choices):
            if len(each) == 1:
                continue
            others = load - _both(found[at])
            sums = ((others + _both(np.array(each))) ** 2).sum(axis=1)
            if sums.min() < (load**2).sum():
                found[at], changed = each[int(sums.argmin())], True
                load = others + _both(found[at])
    return found


def _both(way: Ints) -> Ints:
    """Steps up every dimension, then down."""
    return np.concatenate([np.maximum(way, 0), np.maximum(-way, 0)], axis=-1)
