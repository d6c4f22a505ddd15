"""Levels without switches: full mesh of links, n-dimensional torus and mesh, DGX-1's hybrid cube mesh.

A device's bandwidth covers all its links of the type: a ring port has 1/2 of it, a torus port 1/(2·dimensions), a link
of a fully connected level 1/(n-1).  A ring or torus dimension of two devices has ONE link pair: both ports are
cabled to the same neighbour, so it has twice a port's capacity; without wrap (mesh) it has one port's capacity.
With several devices per member every port index forms a plane of its own, and a flow first crosses the inner level
to the device whose port lies in the destination's plane.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.network.levels import PAIRS, Floats, Ints, Name, Router, Shape


class FullyConnected(Router):
    """A link for every ordered pair of members, per port plane."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = shape.block > 1
        pair = shape.port_capacity / max(1, shape.n - 1)
        self.add(shape.instances * shape.ports * shape.n**2, pair, shape.level.link.latency_s)

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        i, j = src // s.block, dst // s.block
        plane = i // s.n * s.ports + s.port(src)
        return ((plane * s.n + i % s.n) * s.n + j % s.n)[:, None]

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        s = self.shape
        for link in range(self.blocks[0][0]):
            rest, j = divmod(link, s.n)
            plane, i = divmod(rest, s.n)
            if i != j:
                yield link, self.plane_node(plane, i), self.plane_node(plane, j)


class Torus(Router):
    """n-dimensional torus (`wrap`) or mesh, dimension-order routing, the shorter way round; ties by parity of source.

    Link id: ((plane·n + member)·dimensions + dimension)·2 + direction (0 up, 1 down); `sizes[0]` varies fastest.
    """

    def __init__(self, shape: Shape, wrap: bool) -> None:
        super().__init__(shape)
        self.wrap = wrap
        self.planar = shape.block > 1
        self.dims = shape.level.sizes
        k = len(self.dims)
        links = shape.instances * shape.ports * shape.n * k * 2
        self.add(links, shape.port_capacity / (2 * k), shape.level.link.latency_s)

    def arrays(self) -> tuple[Floats, Floats]:
        cap, lat = super().arrays()
        if self.wrap:
            for k, size in enumerate(self.dims):
                if size == 2:
                    cap.reshape(-1, len(self.dims), 2)[:, k, :] *= 2.0
        return cap, lat

    def delta(self, at: Ints, to: Ints, size: int) -> Ints:
        """Signed hops along one dimension."""
        if not self.wrap:
            return to - at
        up = (to - at) % size
        tie = (2 * up == size) & (at % 2 == 1) & (size > 2)
        return np.where((2 * up > size) | tie, up - size, up)

    def direction_bit(self, member: Ints, sign: Ints, k: int, stride: int) -> Ints:
        """0 up, 1 down; a wrapped dimension of two has one link per member, id 0."""
        down = (sign < 0).astype(np.int64)
        return np.zeros_like(down) if self.wrap and self.dims[k] == 2 else down

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
                bit = self.direction_bit(at, sign, k, stride)
                link = ((plane * s.n + at) * len(self.dims) + k) * 2 + bit
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
        if n == size and self.wrap:
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
        if self.wrap and size == 2:
            out = np.stack([out.sum(axis=2), np.zeros((rows, size))], axis=2)
        return out, int(np.abs(far).max(initial=0))

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        s, dims = self.shape, len(self.dims)
        for link in range(self.blocks[0][0]):
            rest, bit = divmod(link, 2)
            rest, k = divmod(rest, dims)
            plane, at = divmod(rest, s.n)
            stride = int(np.prod(self.dims[:k], dtype=np.int64))
            size = self.dims[k]
            x = at // stride % size
            new = x + (1, -1)[bit]
            if size == 1 or (not self.wrap and not 0 <= new < size) or (self.wrap and size == 2 and bit):
                continue
            to = at + (new % size - x) * stride
            yield link, self.plane_node(plane, at), self.plane_node(plane, to)


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


#: NVLinks between the GPUs of a DGX-1 (V100: 6 per GPU), as in the topology dump of github.com/NVIDIA/nccl issue #671.
#: P100 has the same pairs with one link each (4 per GPU).
CUBE_MESH = {
    (0, 1): 1, (0, 2): 1, (0, 3): 2, (0, 4): 2, (1, 2): 2, (1, 3): 1, (1, 5): 2, (2, 3): 2,
    (2, 6): 1, (3, 7): 1, (4, 5): 1, (4, 6): 1, (4, 7): 2, (5, 6): 2, (5, 7): 1, (6, 7): 2,
}  # fmt: skip


class CubeMesh(Router):
    """DGX-1: eight members; neighbours directly, others over the lowest common neighbour."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = shape.block > 1
        single = shape.level.link.links_per_device == 4
        self.links = np.zeros((8, 8), dtype=np.int64)
        for (i, j), count in CUBE_MESH.items():
            self.links[i, j] = self.links[j, i] = 1 if single else count
        single_link = shape.port_capacity / int(self.links[0].sum())
        self.add(shape.instances * shape.ports * 64, single_link, shape.level.link.latency_s)
        self.via = np.full((8, 8), -1, dtype=np.int64)
        for i in range(8):
            for j in range(8):
                if i != j and not self.links[i, j]:
                    self.via[i, j] = max(range(8), key=lambda m: (min(self.links[i, m], self.links[m, j]), -m))

    def arrays(self) -> tuple[Floats, Floats]:
        cap, lat = super().arrays()
        return (cap.reshape(-1, 64) * np.maximum(self.links, 1).ravel()).ravel(), lat

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        i, j = src // s.block % 8, dst // s.block % 8
        base = ((src // s.block // 8) * s.ports + s.port(src)) * 64
        mid = self.via[i, j]
        first = np.where(mid < 0, i * 8 + j, i * 8 + mid)
        return np.stack([base + first, np.where(mid < 0, -1, base + mid * 8 + j)], axis=1)

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        for plane in range(self.blocks[0][0] // 64):
            for i, j in zip(*np.nonzero(self.links), strict=True):
                yield plane * 64 + int(i) * 8 + int(j), self.plane_node(plane, int(i)), self.plane_node(plane, int(j))
