"""Level routers: the links and the routes of one level of a composed cluster, by index arithmetic.

A level joins *members* (blocks of `block` devices).  Each member has `ports` links of the level's type; device x of
a block uses port ⌊x·ports/block⌋.  Port capacity = bandwidth·efficiency·nics/ports, so that 4 NICs of 25 GB/s for
8 devices are four 25 GB/s ports shared by two devices each, and 16 NICs for 8 devices are eight ports of 50 GB/s.
Link ids are local to the level (the topology adds an offset); a route is a row of ids padded with -1.
A device's bandwidth covers all its links of the type: a ring port has 1/2 of it, a torus port 1/(2·dimensions), a link of
a fully connected level 1/(n-1).  A ring or torus dimension of two devices has ONE link pair: both ports are
cabled to the same neighbour, so it has twice a port's capacity; without wrap (mesh) it has one port's capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.network.records import Level

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Name: TypeAlias = int | str


def splitmix64(x: Ints) -> NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): a 64-bit mix without weak low bits."""
    z = x.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def pick(key: Ints | None, static: Ints, count: int) -> Ints:
    """One of `count` equal paths: `static` modulo count without a key, else hashed by the flow's key."""
    if key is None:
        return static % count
    return (splitmix64(key) % np.uint64(count)).astype(np.int64)


@dataclass(frozen=True)
class Shape:
    """Where a level sits: `devices` in the cluster, `block` devices per member, `n` members per instance."""

    level: Level
    devices: int
    block: int

    @property
    def n(self) -> int:
        return self.level.size

    @property
    def ports(self) -> int:
        nics = self.block if self.level.nics is None else self.level.nics
        return int(max(1, min(self.block, nics)))

    @property
    def port_capacity(self) -> float:
        nics = self.block if self.level.nics is None else self.level.nics
        return self.level.link.bandwidth * self.level.link.efficiency * nics / self.ports

    @property
    def members(self) -> int:
        return self.devices // self.block

    @property
    def instances(self) -> int:
        return self.members // self.n

    def port(self, device: Ints) -> Ints:
        """Port of a device within its member."""
        return (device % self.block) * self.ports // self.block

    def option(self, name: str, default: float) -> float:
        return float(self.level.options.get(name, default))

    @property
    def hop_latency(self) -> float:
        """Latency of a switch-to-switch link; option `hop_latency_s`, else the link type's own."""
        return self.option("hop_latency_s", self.level.link.latency_s)


class Router:
    """Base: `count` links with capacity and latency, `route` for pairs of one instance, `ends` names for drawing."""

    planar = False  # True: a flow must first reach the device whose port lies in the destination's plane

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.blocks: list[tuple[int, float, float]] = []  # (links, capacity, latency)

    def add(self, links: int, capacity: float, latency: float) -> int:
        """Append a block of equal links; returns its first id."""
        start = sum(b[0] for b in self.blocks)
        self.blocks.append((links, capacity, latency))
        return start

    def arrays(self) -> tuple[Floats, Floats]:
        cap = np.concatenate([np.full(n, c) for n, c, _ in self.blocks])
        lat = np.concatenate([np.full(n, t) for n, _, t in self.blocks])
        return cap, lat

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        raise NotImplementedError

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        """(link id, from, to) of every link that exists."""
        raise NotImplementedError

    def device_of_port(self, port: int) -> Name:
        """Graph node a port hangs on: the device itself, or a NIC node when devices share a port."""
        s = self.shape
        if s.ports == s.block:
            return port
        return f"{s.level.name}/nic{port}"

    def attachments(self) -> Iterator[tuple[int, str]]:
        """(device, NIC node) where ports are shared; no links of their own."""
        s = self.shape
        if s.ports != s.block:
            for d in range(s.devices):
                port = d // s.block * s.ports + d % s.block * s.ports // s.block
                yield d, f"{s.level.name}/nic{port}"


class Switch(Router):
    """One non-blocking switch per instance: device → switch → device (two hops)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.total = shape.members * shape.ports
        lat = shape.level.link.latency_s
        self.up = self.add(self.total, shape.port_capacity, lat)
        self.down = self.add(self.total, shape.port_capacity, lat)

    def global_port(self, device: Ints) -> Ints:
        s = self.shape
        return device // s.block * s.ports + s.port(device)

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        return np.stack([self.up + self.global_port(src), self.down + self.global_port(dst)], axis=1)

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        per = self.shape.n * self.shape.ports
        for p in range(self.total):
            switch = f"{self.shape.level.name}/switch{p // per}"
            yield self.up + p, self.device_of_port(p), switch
            yield self.down + p, switch, self.device_of_port(p)


class FatTree(Switch):
    """Leaf–spine (`tiers` 2) or leaf–aggregation–core (`tiers` 3).

    Options: `leaf` members per leaf switch (default: 32 ports' worth), `pod` members per pod (tiers 3).
    A leaf with P ports down has S = max(1, ⌊P/oversubscription⌋) links up whose capacities add to P·port/oversubscription.
    Three tiers: aggregation switch a of every pod is joined to K = leaves-per-pod cores of plane a at full rate.
    Static routing sends by the source's place in its leaf: permutations by shift or exclusive-or do not collide.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        n, ports = shape.n, shape.ports
        self.leaf = min(n, max(1, int(shape.option("leaf", max(1, 32 // ports)))))
        self.tiers = int(shape.option("tiers", 2))
        self.pod = min(n, int(shape.option("pod", n)) if self.tiers == 3 else n)
        self.leaves = -(-n // self.leaf)
        self.leaf_ports = self.leaf_width()
        over = shape.level.oversubscription
        self.spines = max(1, int(self.leaf_ports / over))
        trunk = shape.port_capacity * self.leaf_ports / over / self.spines
        total = shape.instances * self.leaf_count() * self.spines
        self.to_spine = self.add(total, trunk, shape.hop_latency)
        self.from_spine = self.add(total, trunk, shape.hop_latency)
        self.cores = max(1, self.pod // self.leaf) * (self.leaf_count() // self.leaves)
        self.pods = -(-n // self.pod)
        if self.pods > 1:
            count = shape.instances * self.pods * self.spines * self.cores
            self.to_core = self.add(count, trunk, shape.hop_latency)
            self.from_core = self.add(count, trunk, shape.hop_latency)

    def leaf_width(self) -> int:
        return self.leaf * self.shape.ports

    def leaf_count(self) -> int:
        return self.leaves

    def leaf_of(self, device: Ints) -> Ints:
        member = device // self.shape.block
        return member // self.shape.n * self.leaves + member % self.shape.n // self.leaf

    def place_in_leaf(self, device: Ints) -> Ints:
        member = device // self.shape.block % self.shape.n
        return member % self.leaf * self.shape.ports + self.shape.port(device)

    def pod_of(self, device: Ints) -> Ints:
        member = device // self.shape.block
        return member // self.shape.n * self.pods + member % self.shape.n // self.pod

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        a, b = self.leaf_of(src), self.leaf_of(dst)
        spine = pick(key, self.place_in_leaf(src), self.spines)
        far = a != b
        hops = [self.up + self.global_port(src), np.where(far, self.to_spine + a * self.spines + spine, -1)]
        if self.pods > 1:
            pa, pb = self.pod_of(src), self.pod_of(dst)
            other = None if key is None else key ^ 0x5DEECE66D
            core = pick(other, a % self.leaf_count(), self.cores)
            cross = pa != pb
            hops += [
                np.where(cross, self.to_core + (pa * self.spines + spine) * self.cores + core, -1),
                np.where(cross, self.from_core + (pb * self.spines + spine) * self.cores + core, -1),
            ]
        hops += [np.where(far, self.from_spine + b * self.spines + spine, -1), self.down + self.global_port(dst)]
        return np.stack(hops, axis=1)

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        s, name = self.shape, self.shape.level.name
        for p in range(self.total):
            device = np.array([p // s.ports * s.block + -(-(p % s.ports) * s.block // s.ports)])
            leaf = f"{name}/leaf{int(self.leaf_of(device)[0])}"
            yield self.up + p, self.device_of_port(p), leaf
            yield self.down + p, leaf, self.device_of_port(p)
        for link in range(s.instances * self.leaf_count() * self.spines):
            leaf_id, spine = divmod(link, self.spines)
            top = self.spine_name(leaf_id, spine)
            yield self.to_spine + link, f"{name}/leaf{leaf_id}", top
            yield self.from_spine + link, top, f"{name}/leaf{leaf_id}"
        if self.pods > 1:
            for link in range(s.instances * self.pods * self.spines * self.cores):
                rest, core = divmod(link, self.cores)
                pod, spine = divmod(rest, self.spines)
                agg, top = f"{name}/agg{pod}.{spine}", f"{name}/core{pod // self.pods}.{spine}.{core}"
                yield self.to_core + link, agg, top
                yield self.from_core + link, top, agg

    def spine_name(self, leaf_id: int, spine: int) -> str:
        name, instance = self.shape.level.name, leaf_id // self.leaf_count()
        if self.pods == 1:
            return f"{name}/spine{instance}.{spine}"
        pod = instance * self.pods + leaf_id % self.leaf_count() * self.leaf // self.pod
        return f"{name}/agg{pod}.{spine}"


class Rail(FatTree):
    """Rail-optimised: port r of every member in a block of `leaf` members meets on leaf r of that block; leaves meet on
    spines.  A flow to another rail first crosses the inner level to the device on the destination's rail
    (NCCL's PXN), unless option `pxn` is 0: then it climbs to a spine."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = bool(shape.option("pxn", 1)) and shape.block > 1

    def leaf_width(self) -> int:
        return self.leaf

    def leaf_count(self) -> int:
        return self.leaves * self.shape.ports

    def leaf_of(self, device: Ints) -> Ints:
        return super().leaf_of(device) * self.shape.ports + self.shape.port(device)

    def place_in_leaf(self, device: Ints) -> Ints:
        return device // self.shape.block % self.shape.n % self.leaf


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
                yield link, *(plane_node(self, plane, m) for m in (i, j))  # type: ignore[misc]


def plane_node(router: Router, plane: int, member: int) -> Name:
    """Graph node of a member in one port plane of a direct (switchless) level."""
    s = router.shape
    instance, port = divmod(plane, s.ports)
    return router.device_of_port((instance * s.n + member) * s.ports + port)


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
        self.add(shape.instances * shape.ports * shape.n * k * 2, shape.port_capacity / (2 * k), shape.level.link.latency_s)

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
            yield link, plane_node(self, plane, at), plane_node(self, plane, to)


#: NVLinks between the GPUs of a DGX-1 (V100: 6 per GPU), NVIDIA DGX-1 with Tesla V100 white paper WP-08437, figure 4.
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
        self.add(shape.instances * shape.ports * 64, shape.port_capacity / int(self.links[0].sum()), shape.level.link.latency_s)
        self.via = np.full((8, 8), -1, dtype=np.int64)
        for i in range(8):
            for j in range(8):
                if i != j and not self.links[i, j]:
                    self.via[i, j] = max(range(8), key=lambda m: (min(self.links[i, m], self.links[m, j]), -m))

    def arrays(self) -> tuple[Floats, Floats]:
        cap, lat = super().arrays()
        return (cap.reshape(-1, 64) * self.links.ravel()).ravel(), lat

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
                yield plane * 64 + int(i) * 8 + int(j), plane_node(self, plane, int(i)), plane_node(self, plane, int(j))


ROUTERS: dict[str, Callable[[Shape], Router]] = {
    "switch": Switch,
    "fat_tree": FatTree,
    "leaf_spine": FatTree,
    "rail": Rail,
    "fully_connected": FullyConnected,
    "ring": lambda shape: Torus(shape, wrap=True),
    "torus": lambda shape: Torus(shape, wrap=True),
    "mesh": lambda shape: Torus(shape, wrap=False),
    "hybrid_cube_mesh": CubeMesh,
}
