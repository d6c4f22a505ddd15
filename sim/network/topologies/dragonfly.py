"""Dragonfly (Kim, Dally, Scott & Abts, ISCA 2008): groups of fully joined routers, one global link per group pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sim.errors import Problem
from sim.network.records import Level, Routing
from sim.network.topologies.base import PAIRS, Axes, Floats, Ints, Name, Shape, splitmix64
from sim.network.topologies.switch import Ports


class Dragonfly(Ports):
    """sizes = (members per router, routers per group a, groups g), innermost first.

    The link from group G to G' leaves from router ((G'-G-1) mod g) // h, h = ⌈(g-1)/a⌉ global links per router.
    Minimal route: local hop to the gateway, global link, local hop.  Routing "valiant" goes over a random third group.
    Options `local_links`, `global_links`: capacity of such a link in ports (default 1 and h·a·ports balanced: 1).
    """

    names = ("dragonfly",)
    options: ClassVar[Mapping[str, float]] = {"local_links": 0.001, "global_links": 0.001, "hop_latency_s": 0}
    trunks = True
    drawing = "circle"
    tiers: ClassVar[Mapping[str, float]] = {"router": 1.0}

    def __init__(self, shape: Shape) -> None:
        self.p, self.a, self.g = shape.level.sizes
        self.h = max(1, -(-(self.g - 1) // self.a))
        super().__init__(shape)
        port, lat = shape.port_capacity, shape.hop_latency
        over = shape.level.oversubscription
        groups = (("instance", shape.instances), ("group", self.g))
        local, far = port * shape.option("local_links", 1), port * shape.option("global_links", 1) / over
        self.local = self.add((*groups, ("from", self.a), ("to", self.a)), local, lat)
        self.globals = self.add((*groups, ("further", self.g)), far, lat)

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        if len(level.sizes) == 3:
            return []
        rule = "a dragonfly has three sizes: members per router, routers per group, groups"
        return [Problem(rule, f"{path}.sizes", str(level.sizes))]

    @classmethod
    def drawn(cls, level: Level, kept: int) -> Level:
        return replace(level, sizes=tuple(min(n, 1 if kept == 1 else 2) for n in level.sizes))

    @property
    def axes(self) -> Axes:
        routers = (("group", self.g), ("router", self.a), ("member", self.p))
        return (("instance", self.shape.instances), *routers, (self.port_axis, self.shape.block))

    @property
    def symmetric(self) -> tuple[str, ...]:
        return ("instance", "group", "member", "port")

    def local_link(self, group: Ints, i: Ints, j: Ints) -> Ints:
        return np.where(i == j, -1, self.local + (group * self.a + i) * self.a + j)

    def gateway(self, group: Ints, other: Ints) -> Ints:
        """Router of `group` that holds the link to `other` (global group numbers of one instance)."""
        return (other - group - 1) % self.g // self.h

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        per_group = self.p * self.a
        ra, rb = (x // s.block % per_group // self.p for x in (src, dst))
        ga, gb = (x // s.block // per_group for x in (src, dst))
        hops = [self.up + self.global_port(src)]
        if s.routing == Routing.VALIANT and key is not None and self.g > 2:
            base = ga // self.g * self.g
            via = base + (splitmix64(key) % np.uint64(self.g)).astype(np.int64)
            via = np.where((via == ga) | (via == gb) | (ga == gb), ga, via)
            columns, ra = self.leg(ga, ra, via)
            hops += columns
            ga = via
        columns, at = self.leg(ga, ra, gb)
        hops += [*columns, self.local_link(gb, at, rb), self.down + self.global_port(dst)]
        return np.stack(hops, axis=1)

    def leg(self, ga: Ints, ra: Ints, gb: Ints) -> tuple[list[Ints], Ints]:
        """(local hop to the gateway, global hop) and the router where it arrives; nothing within one group."""
        far = ga != gb
        out = np.where(far, self.gateway(ga, gb), ra)
        arrive = np.where(far, self.gateway(gb, ga), ra)
        link = self.globals + ga * self.g + (gb - ga) % self.g
        return [self.local_link(ga, ra, out), np.where(far, link, -1)], arrive

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Minimal routes, counted by routers: a global link carries the product of its groups' devices, a local link
        those of its own routers, those that leave by router j, and those that came in by router i."""
        found = super().exchange(rows, inside)
        if found is None or self.shape.routing == Routing.VALIANT or len(rows) * self.g * self.a**2 > PAIRS:
            return None
        load, latency = found
        groups = np.arange(self.g)
        exits = np.zeros((self.g, self.a, self.g))  # group, its router, the groups behind it
        for group in groups:
            others = groups[groups != group]
            exits[group, self.gateway(np.full(self.g - 1, group), others), others] = 1.0
        far = 0
        size = self.p * self.a * self.shape.block * self.g
        for row in rows:
            base = int(row[0]) // size
            router = row // self.shape.block // self.p - base * self.g * self.a
            here = np.bincount(router, minlength=self.g * self.a).reshape(self.g, self.a).astype(float)
            out = exits @ here.sum(axis=1)
            local = here[:, :, None] * (here + out)[:, None, :] + out[:, :, None] * here[:, None, :]
            local[:, np.arange(self.a), np.arange(self.a)] = 0.0
            between = np.outer(here.sum(axis=1), here.sum(axis=1))
            np.fill_diagonal(between, 0.0)
            at = self.local + base * local.size
            load[at : at + local.size] += local.ravel()
            at = self.globals + base * between.size
            further = between[groups[:, None], (groups[:, None] + groups) % self.g]
            load[at : at + between.size] += further.ravel()
            far = max(far, self.longest(here, out, between))
        return load, latency + far * self.shape.hop_latency

    def longest(self, here: Floats, out: Floats, between: Floats) -> int:
        """Hops between routers of the longest minimal route that is used."""
        if not between.any():
            return int((here > 0).sum(axis=1).max() > 1)
        other = np.arange(self.g)
        best = 0
        for group in np.flatnonzero(here.any(axis=1)):
            to = other[between[group] > 0]
            leaves = self.gateway(np.full(len(to), group), to)
            enters = self.gateway(to, np.full(len(to), group))
            first = np.array([(here[group, np.arange(self.a) != r] > 0).any() for r in leaves])
            last = np.array([(here[t, np.arange(self.a) != r] > 0).any() for t, r in zip(to, enters, strict=True)])
            best = max(best, int((1 + first + last).max()))
        return best

    def router_name(self, group: int, router: int) -> str:
        return f"{self.shape.level.name}/router{group}.{router}"

    def switch_of_port(self, port: int) -> str:
        return self.router_name(*divmod(port // (self.p * self.shape.ports), self.a))

    def end(self, link: int) -> tuple[Name, Name] | None:
        if link < self.local:
            return super().end(link)
        if link < self.globals:
            rest, j = divmod(link - self.local, self.a)
            group, i = divmod(rest, self.a)
            return None if i == j else (self.router_name(group, i), self.router_name(group, j))
        group, further = divmod(link - self.globals, self.g)
        if not further:
            return None
        far = group // self.g * self.g + (group + further) % self.g
        here, there = (further - 1) // self.h, (self.g - further - 1) // self.h
        return self.router_name(group, here), self.router_name(far, there)
