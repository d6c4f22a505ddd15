"""HyperX: switches in a grid, fully joined along every dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import ClassVar

import numpy as np

from sim.errors import Problem
from sim.network.records import Level
from sim.network.topologies.base import Axes, Floats, Ints, Name, Shape, factors
from sim.network.topologies.switch import Ports


class HyperX(Ports):
    """sizes = (members per switch T, switches along each dimension S₁, S₂ …), innermost first.

    A switch is joined to all others of its row in every dimension; minimal routes go dimension by dimension, at most
    one hop in each.  One dimension is a flattened dragonfly group, T = 1 and S = 2 everywhere a hypercube.
    Option `lane_links`: capacity of a link between switches in ports (K, default 1); oversubscription divides it.
    Source: Ahn, Binkert, Davis, McLaren & Schreiber, "HyperX: topology, routing, and packaging of efficient large-scale
    networks", SC 2009.
    """

    names = ("hyperx",)
    options: ClassVar[Mapping[str, float]] = {"lane_links": 0.001, "hop_latency_s": 0}
    trunks = True
    drawing = "circle"
    tiers: ClassVar[Mapping[str, float]] = {"switch": 1.0}

    def __init__(self, shape: Shape) -> None:
        self.t, *self.dims = shape.level.sizes
        super().__init__(shape)
        capacity = shape.port_capacity * shape.option("lane_links", 1) / shape.level.oversubscription
        rows = (("instance", shape.instances), *self.places)
        self.lanes = [self.add((*rows, ("further", size)), capacity, shape.hop_latency) for size in self.dims]

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        if len(level.sizes) > 1:
            return []
        rule = "a HyperX has at least two sizes: members per switch, switches along each dimension"
        return [Problem(rule, f"{path}.sizes", str(level.sizes))]

    @classmethod
    def resized(cls, level: Level, members: int) -> Level:
        """As many members per switch where they come out even."""
        t, *dims = level.sizes
        if members == level.size or members % t:
            return super().resized(level, members)
        return replace(level, sizes=(t, *factors(members // t, len(dims))))

    @property
    def places(self) -> Axes:
        """The dimensions as axes, outermost first."""
        return tuple((f"d{k}", size) for k, size in reversed(list(enumerate(self.dims))))

    @property
    def axes(self) -> Axes:
        return (
            ("instance", self.shape.instances),
            *self.places,
            ("member", self.t),
            (self.port_axis, self.shape.block),
        )

    @property
    def symmetric(self) -> tuple[str, ...]:
        return ("instance", *(name for name, _ in self.places), "member", "port")

    def switch_of(self, device: Ints) -> Ints:
        """Its number, over all instances."""
        return device // self.shape.block // self.t

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        at, to, stride = self.switch_of(src), self.switch_of(dst), 1
        hops = [self.up + self.global_port(src)]
        for lane, size in zip(self.lanes, self.dims, strict=True):
            x, y = at // stride % size, to // stride % size
            hops.append(np.where(x != y, lane + at * size + (y - x) % size, -1))
            at, stride = at + (y - x) * stride, stride * size
        return np.stack([*hops, self.down + self.global_port(dst)], axis=1)

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """As many devices c on every switch: over a lane of dimension k go the messages of those that have come to its
        switch, c·Π_{i<k} Sᵢ, to those behind the next one, c·Π_{i>k} Sᵢ."""
        found = super().exchange(rows, inside)
        switches = prod(self.dims)
        if found is None or rows.shape[1] % switches:
            return None
        load, latency = found
        each = rows.shape[1] // switches
        for row in self.switch_of(rows):
            first = int(row.min()) // switches * switches
            if (np.bincount(row - first, minlength=switches) != each).any():
                return None
            for lane, size in zip(self.lanes, self.dims, strict=True):
                lanes = load[lane + first * size : lane + (first + switches) * size].reshape(switches, size)
                lanes[:, 1:] += each**2 * switches / size
        return load, latency + sum(size > 1 for size in self.dims) * self.shape.hop_latency

    def switch_name(self, switch: int) -> str:
        return f"{self.shape.level.name}/switch{switch}"

    def switch_of_port(self, port: int) -> str:
        return self.switch_name(port // self.shape.ports // self.t)

    def end(self, link: int) -> tuple[Name, Name] | None:
        if link < self.lanes[0]:
            return super().end(link)
        k = max(i for i, lane in enumerate(self.lanes) if lane <= link)
        size, stride = self.dims[k], prod(self.dims[:k])
        switch, further = divmod(link - self.lanes[k], size)
        x = switch // stride % size
        there = switch + ((x + further) % size - x) * stride
        return (self.switch_name(switch), self.switch_name(there)) if further else None
