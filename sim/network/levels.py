"""Level routers: the links and the routes of one level of a composed cluster, by index arithmetic.

A level joins *members* (blocks of `block` devices).  Each member has `ports` links of the level's type; device x of
a block uses port ⌊x·ports/block⌋.  Port capacity = bandwidth·efficiency·nics/ports, so that 4 NICs of 25 GB/s for
8 devices are four 25 GB/s ports shared by two devices each, and 16 NICs for 8 devices are eight ports of 50 GB/s.
Link ids are local to the level (the topology adds an offset); a route is a row of ids padded with -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.network.records import Level

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Name: TypeAlias = int | str

#: Pairs of an exchange that a router without a formula routes one by one.
PAIRS = 1 << 20


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
    routing: str = "static"

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

    @property
    def link_count(self) -> int:
        return sum(b[0] for b in self.blocks)

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Load and longest latency if the devices of every row send one byte to all others of the row in other members
        (`inside` devices per member, in order); None: no formula, or too many to route one by one."""
        count, k = rows.shape
        if count * k * k > PAIRS:
            return None
        i, j = np.divmod(np.arange(k * k), k)
        apart = i // inside != j // inside
        routes = self.route(rows[:, i[apart]].ravel(), rows[:, j[apart]].ravel(), None)
        load = np.bincount(routes.ravel() + 1, minlength=self.link_count + 1)[1:].astype(float)
        return load, float(np.append(self.arrays()[1], 0.0)[routes].sum(axis=1).max(initial=0.0))

    def device_of_port(self, port: int) -> Name:
        """Graph node a port hangs on: the device itself, or a NIC node when devices share a port."""
        s = self.shape
        if s.ports == s.block:
            return port
        return f"{s.level.name}/nic{port}"

    def plane_node(self, plane: int, member: int) -> Name:
        """Graph node of a member in one port plane of a direct (switchless) level."""
        instance, port = divmod(plane, self.shape.ports)
        return self.device_of_port((instance * self.shape.n + member) * self.shape.ports + port)

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

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        load = np.zeros(self.link_count)
        load[self.up : self.up + self.total] = load[self.down : self.down + self.total] = self.port_load(rows, inside)
        return load, 2 * self.shape.level.link.latency_s

    def port_load(self, rows: Ints, inside: int) -> Floats:
        """Bytes through every port, each way: a device sends and gets one from all of its row in other members."""
        each = np.full(rows.size, float(rows.shape[1] - inside))
        return np.asarray(np.bincount(self.global_port(rows.ravel()), weights=each, minlength=self.total), dtype=float)

    def ends(self) -> Iterator[tuple[int, Name, Name]]:
        per = self.shape.n * self.shape.ports
        for p in range(self.total):
            switch = f"{self.shape.level.name}/switch{p // per}"
            yield self.up + p, self.device_of_port(p), switch
            yield self.down + p, switch, self.device_of_port(p)
