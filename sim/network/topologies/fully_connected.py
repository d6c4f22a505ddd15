"""A link for every ordered pair of members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sim.errors import Problem
from sim.network.records import Level
from sim.network.topologies.base import Floats, Ints, LevelTopology, Name, Shape, complete_cycles


class FullyConnected(LevelTopology):
    """A link for every ordered pair of members, per port plane: 1/(n-1) of a device's bandwidth each.

    Link id: (plane·n + member)·n + how much further the other member is.  With several devices per member every port
    index forms a plane of its own, and a flow first crosses the inner level to the device in the destination's plane.
    """

    names = ("fully_connected",)
    drawing = "circle"
    most: ClassVar[int] = 2048  # members: their rings go through every pair

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = shape.block > 1
        pair = shape.port_capacity / max(1, shape.n - 1)
        axes = (("instance", shape.instances), (self.nic_axis, shape.ports), ("member", shape.n), ("further", shape.n))
        self.add(axes, pair, shape.level.link.latency_s)

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        if level.size <= cls.most:
            return []
        rule, hint = f"at most {cls.most:,} members are joined by a link for every pair", "use a switch or a torus"
        return [Problem(rule, f"{path}.sizes", f"{level.size:,}", hint=hint)]

    @classmethod
    def cycles(cls, level: Level, count: int) -> Sequence[Ints]:
        return complete_cycles(count)

    @classmethod
    def rings(cls, level: Level, count: int) -> Sequence[tuple[int, float | Floats]]:
        """As `cycles`, which meet every ordered pair equally often, without writing them out: there are n² of them."""
        return tuple((k, 1.0 / (count - 1)) for k in range(1, count)) if count > 2 else ((1, 1.0),)

    @property
    def symmetric(self) -> tuple[str, ...]:
        return ("instance", "member", "port")

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        i, j = src // s.block, dst // s.block
        plane = i // s.n * s.ports + s.port(src)
        return ((plane * s.n + i % s.n) * s.n + (j - i) % s.n)[:, None]

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Everybody of a row: one byte on each link of the plane."""
        s = self.shape
        if inside > 1 or rows.shape[1] != s.n:
            return super().exchange(rows, inside)
        load = np.zeros((s.instances * s.ports, s.n, s.n))
        np.add.at(load, rows[:, 0] // s.block // s.n * s.ports + s.port(rows[:, 0]), 1.0)
        load[:, :, 0] = 0.0
        return load.ravel(), s.level.link.latency_s

    def end(self, link: int) -> tuple[Name, Name] | None:
        n = self.shape.n
        rest, further = divmod(link, n)
        plane, i = divmod(rest, n)
        return (self.plane_node(plane, i), self.plane_node(plane, (i + further) % n)) if further else None
