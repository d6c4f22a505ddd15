"""Torus of any number of dimensions, and what it shares with the mesh and the ring."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sim.network.topologies.base import PAIRS, Drawing, Floats, Ints, LevelTopology, Name, Shape


class Grid(LevelTopology):
    """n-dimensional torus (`wraps`) or mesh, dimension-order routing, the shorter way round; ties by parity of source.

    A device's bandwidth covers all its links: a port has 1/(2·dimensions) of it.  A wrapped dimension of two devices
    has ONE link pair: both ports are cabled to the same neighbour, so it has twice a port's capacity; without wrap it
    has one port's.  With several devices per member every port index forms a plane of its own, and a flow first crosses
    the inner level to the device whose port lies in the destination's plane.
    Link id: ((plane·n + member)·dimensions + dimension)·2 + direction (0 up, 1 down); `sizes[0]` varies fastest.
    """

    grid = True
    drawing: ClassVar[Drawing] = "grid"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = shape.block > 1
        self.dims = shape.level.sizes
        k = len(self.dims)
        capacity: float | Floats = shape.port_capacity / (2 * k)
        if any(map(self.doubled, self.dims)):
            capacity = capacity * np.array([[2.0 if self.doubled(size) else 1.0] for size in self.dims])
        axes = (
            ("instance", shape.instances),
            (self.nic_axis, shape.ports),
            *self.places,
            ("dimension", k),
            ("direction", 2),
        )
        self.add(axes, capacity, shape.level.link.latency_s)

    def doubled(self, size: int) -> bool:
        """Whether both cables of a dimension lead to the same neighbour."""
        return self.wraps and size == 2

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """The dimensions as axes, outermost first."""
        return tuple((f"d{i}", size) for i, size in reversed(list(enumerate(self.dims))))

    @property
    def axes(self) -> tuple[tuple[str, int], ...]:
        return (("instance", self.shape.instances), *self.places, (self.port_axis, self.shape.block))

    @property
    def symmetric(self) -> tuple[str, ...]:
        turned = tuple(name for name, _ in self.places) if self.wraps else ()
        return ("instance", *turned, "port")

    def moves_alike(self, axis: str, delta: Ints) -> bool:
        """Half way round there are two shortest ways, and parity chooses."""
        if not axis.startswith("d"):
            return True
        size = self.dims[int(axis[1:])]
        return size <= 2 or not (2 * delta == size).any()

    def delta(self, at: Ints, to: Ints, size: int) -> Ints:
        """Signed hops along one dimension."""
        if not self.wraps:
            return to - at
        up = (to - at) % size
        tie = (2 * up == size) & (at % 2 == 1) & (size > 2)
        return np.where((2 * up > size) | tie, up - size, up)

    def direction_bit(self, sign: Ints, k: int) -> Ints:
        """0 up, 1 down; a wrapped dimension of two has one link per member, id 0."""
        down = (sign < 0).astype(np.int64)
        return np.zeros_like(down) if self.wraps and self.dims[k] == 2 else down

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        at, to = src // s.block % s.n, dst // s.block % s.n
        plane = (src // s.block // s.n) * s.ports + s.port(src)
        columns: list[Ints] = []
        stride = 1
        for k, size in enumerate(self.dims):
            x, y = at // stride % size, to // stride % size
            left = self.delta(x, y, size)
            for _ in range(int(np.abs(left).max(initial=0))):
                active = left != 0
                sign = np.sign(left)
                link = ((plane * s.n + at) * len(self.dims) + k) * 2 + self.direction_bit(sign, k)
                columns.append(np.where(active, link, -1))
                new = (x + sign) % size
                at = at + (new - x) * stride
                x, left = new, left - sign
            stride *= size
        return np.stack(columns, axis=1) if columns else np.full((len(src), 1), -1, dtype=np.int64)

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Dimension order: on the line y<k, x>k of dimension k every pair of its places is met by the messages from all
        x<k to all y>k, N / n_k of them."""
        s, (count, n) = self.shape, rows.shape
        load, hops = np.zeros(self.link_count), 0
        plane = rows[:, 0] // s.block // s.n * s.ports + s.port(rows[:, 0])
        at = rows // s.block % s.n
        stride = product = 1
        for k, size in enumerate(self.dims):
            x = at // stride % size
            places = distinct(x)
            if places is None or count * size * n > 8 * PAIRS * places.shape[1]:
                return None
            lines = np.sort((at - x * stride), axis=1)[:, :: places.shape[1]]
            found = self.line_load(places, size)
            if found is None:
                return None
            line, longest = found
            member = lines[:, :, None] + np.arange(size) * stride
            link = (((plane[:, None, None] * s.n + member) * len(self.dims) + k) * 2)[..., None] + np.arange(2)
            weights = np.broadcast_to(line[:, None] * (n / places.shape[1]), link.shape)
            load += np.bincount(link.ravel(), weights=weights.ravel(), minlength=self.link_count)
            hops += longest
            stride *= size
            product *= places.shape[1]
        return (load, hops * s.level.link.latency_s) if product == n else None

    def line_load(self, places: Ints, size: int) -> tuple[Floats, int] | None:
        """load[row, place, up or down] if all places of a row exchange along one dimension, and the longest way."""
        rows, n = places.shape
        if n == size and self.wraps:
            return np.broadcast_to(ring_line(size), (rows, size, 2)), size // 2
        if rows * n * n > PAIRS:
            return None
        x, y = np.broadcast_to(places[:, :, None], (rows, n, n)), np.broadcast_to(places[:, None, :], (rows, n, n))
        far = self.delta(x, y, size)
        first = np.arange(rows)[:, None, None] * 2 * size + x
        out = np.zeros((rows, size, 2))
        for bit, starts in ((0, first), (1, first + size - np.abs(far) + 1)):
            mine = far > 0 if bit == 0 else far < 0
            edge = np.bincount(starts[mine], minlength=rows * 2 * size + 1) * 1.0
            edge -= np.bincount((starts + np.abs(far))[mine], minlength=rows * 2 * size + 1)
            out[:, :, bit] = np.cumsum(edge[:-1]).reshape(rows, 2, size).sum(axis=1)
        if self.wraps and size == 2:
            out = np.stack([out.sum(axis=2), np.zeros((rows, size))], axis=2)
        return out, int(np.abs(far).max(initial=0))

    def end(self, link: int) -> tuple[Name, Name] | None:
        rest, bit = divmod(link, 2)
        rest, k = divmod(rest, len(self.dims))
        plane, at = divmod(rest, self.shape.n)
        stride = int(np.prod(self.dims[:k], dtype=np.int64))
        size = self.dims[k]
        x = at // stride % size
        new = x + (1, -1)[bit]
        if size == 1 or (not self.wraps and not 0 <= new < size) or (self.wraps and size == 2 and bit):
            return None
        return self.plane_node(plane, at), self.plane_node(plane, at + (new % size - x) * stride)


class Torus(Grid):
    """Every dimension closed to a ring."""

    names = ("torus",)
    many_sizes = True
    wraps = True


def distinct(x: Ints) -> Ints | None:
    """The distinct values of every row, sorted, if all rows have as many and meet each equally often."""
    ordered = np.sort(x, axis=1)
    times = int((ordered[0] == ordered[0, 0]).sum())
    if x.shape[1] % times or (ordered.reshape(len(x), -1, times) != ordered[:, ::times, None]).any():
        return None
    places = ordered[:, ::times]
    return places if (np.diff(places, axis=1) > 0).all() else None


def ring_line(n: int) -> Floats:
    """Load of the links up and down of every place of a ring of n that exchanges all with all.

    Up: 1 + 2 + … + ⌈n/2⌉-1, each way; messages half way round (n even) go up from even places, down from odd ones.
    """
    short = (n - 1) // 2
    load = np.full((n, 2), short * (short + 1) / 2.0)
    if n == 2:
        load[:, 0] = 1.0
    elif n % 2 == 0:
        here = np.arange(n)
        even = (n // 2 + 1 - here % 2) // 2  # even places among here, here-1 … (n/2 of them)
        odd = (n // 2 + here % 2) // 2  # odd places among here, here+1 …
        load += np.stack([even, odd], axis=1)
    return load
