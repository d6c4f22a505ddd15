"""Fat trees: leaf–spine and three tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, TypeAlias

import numpy as np

from sim.errors import Problem
from sim.network.records import Level, Routing
from sim.network.topologies.base import Axes, Floats, Ints, Name, Shape, pick
from sim.network.topologies.switch import Ports

#: Entries of the largest table of trunks by groups that is counted.
TABLE = 1 << 22


class FatTree(Ports):
    """Leaf–spine (`tiers` 2) or leaf–aggregation–core (`tiers` 3).

    Options: `leaf` members per leaf switch (default: 32 ports' worth), `pod` members per pod (tiers 3).
    A leaf with P ports down has S = max(1, ⌊P/oversubscription⌋) links up that add up to P·port/oversubscription.
    Three tiers: aggregation switch a of every pod is joined to K = leaves-per-pod cores of plane a at full rate.
    Static routing sends by the source's place in its leaf: permutations by shift or exclusive-or do not collide.
    Adaptive routing (packets spread over all spines) is a fluid limit: only the sum of a leaf's uplinks binds.
    """

    names: ClassVar[tuple[str, ...]] = ("fat_tree", "leaf_spine")
    options: ClassVar[Mapping[str, float]] = {"leaf": 1, "tiers": 2, "pod": 1, "hop_latency_s": 0}
    trunks = True
    reduces = True
    tiers: ClassVar[Mapping[str, float]] = {"leaf": 1.0, "agg": 2.0, "spine": 2.0, "core": 3.0}

    def __init__(self, shape: Shape) -> None:
        n, ports = shape.n, shape.ports
        self.leaf = min(n, max(1, int(shape.option("leaf", max(1, 32 // ports)))))
        self.pod = min(n, int(shape.option("pod", n)) if shape.option("tiers", 2) == 3 else n)
        self.leaves, self.pods = -(-n // self.leaf), -(-n // self.pod)
        self.even = n % self.leaf == 0 and n % self.pod == 0 and self.pod % self.leaf == 0
        super().__init__(shape)
        over, width = shape.level.oversubscription, self.leaf_width()
        # adaptive routing spreads every flow over all spines: a leaf's uplinks act as one link
        self.spines = 1 if shape.routing == Routing.ADAPTIVE else max(1, int(width / over))
        trunk = shape.port_capacity * width / over / self.spines
        self.to_spine = self.add(self.trunk_axes(), trunk, shape.hop_latency)
        self.from_spine = self.add(self.trunk_axes(), trunk, shape.hop_latency)
        self.cores = max(1, self.pod // self.leaf) * (self.leaf_count() // self.leaves)
        if self.pods > 1:
            self.to_core = self.add(self.core_axes(), trunk, shape.hop_latency)
            self.from_core = self.add(self.core_axes(), trunk, shape.hop_latency)

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        found = []
        tiers, leaf, pod = (float(level.options.get(name, 0)) for name in ("tiers", "leaf", "pod"))
        if tiers not in (0, 2, 3):
            found.append(Problem("a fat tree has 2 or 3 tiers", f"{path}.options.tiers", f"{tiers:g}"))
        if pod and tiers != 3:
            hint = "add tiers: 3"
            found.append(Problem("pods are those of 3 tiers", f"{path}.options.pod", f"{pod:g}", hint=hint))
        if pod and leaf and pod < level.size and pod % leaf:
            found.append(Problem(f"must be a multiple of leaf, {leaf:g}", f"{path}.options.pod", f"{pod:g}"))
        return found

    @classmethod
    def drawn(cls, level: Level, kept: int) -> Level:
        """Leaves and pods shrink too, so that several of each are left."""
        size, options = min(level.size, kept), dict(level.options)
        tall = level.size > int(options.get("pod", level.size))
        if "leaf" in options:
            options["leaf"] = min(int(options["leaf"]), max(1, size // (4 if tall else 2)))
        if "pod" in options:
            leaf = int(options.get("leaf", 1))
            options["pod"] = max(leaf, size // (2 if tall else 1) // leaf * leaf)
        return replace(level, sizes=(size,), options=options)

    @property
    def leaf_axes(self) -> Axes:
        """Instances, pods and leaves."""
        pods = (("pod", self.pods),) if self.even and self.pods > 1 else ()
        return (("instance", self.shape.instances), *pods, ("leaf", self.leaves // (self.pods if pods else 1)))

    @property
    def axes(self) -> Axes:
        if not self.even:
            return super().axes
        return (*self.leaf_axes, ("place", self.leaf), (self.port_axis, self.shape.block))

    @property
    def symmetric(self) -> tuple[str, ...]:
        """Leaves (pods, where there are several), and ports where each has its own spines."""
        own = ("port",) if self.spines == 1 or self.spines % self.shape.ports == 0 else ()
        return ("instance", *(("pod" if self.pods > 1 else "leaf",) if self.even else ()), *own)

    @property
    def free(self) -> str:
        return super().free or (("pod" if self.pods > 1 else "leaf") if self.even else "")

    def spine_axes(self) -> Axes:
        """The spines of a leaf, ports apart where they have their own."""
        ports = self.shape.ports
        if self.spines % ports or self.port_axis != "port":
            return (("spine", self.spines),)
        return (("spine", self.spines // ports), ("port", ports))

    def trunk_axes(self) -> Axes:
        return (*self.leaf_axes, *self.spine_axes())

    def core_axes(self) -> Axes:
        return (("instance", self.shape.instances), ("pod", self.pods), *self.spine_axes(), ("core", self.cores))

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

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Up a trunk: the devices that use it, times those of the row elsewhere; down: those below it, times those
        elsewhere that use the same spine.  By hash each trunk of a switch expects an equal share."""
        found = super().exchange(rows, inside)
        if found is None:
            return None
        load, latency = found
        hashed = self.shape.routing != Routing.STATIC
        spine = self.place_in_leaf(rows) % self.spines
        trunks = trunk_loads(self.leaf_of(rows), spine, self.spines, hashed)
        if trunks is None:
            return None
        size = self.shape.instances * self.leaf_count() * self.spines
        for start, bytes_ in zip((self.to_spine, self.from_spine), trunks, strict=True):
            load[start : start + size] = np.bincount(bytes_[0], weights=bytes_[1], minlength=size)
        far = bool(len(trunks[0][1]) and trunks[0][1].any())
        if self.pods == 1:
            return load, latency + 2 * self.shape.hop_latency * far
        path = spine * self.cores + self.leaf_of(rows) % self.leaf_count() % self.cores
        upper = trunk_loads(self.pod_of(rows), path, self.spines * self.cores, hashed)
        if upper is None:
            return None
        size = self.shape.instances * self.pods * self.spines * self.cores
        for start, bytes_ in zip((self.to_core, self.from_core), upper, strict=True):
            load[start : start + size] = np.bincount(bytes_[0], weights=bytes_[1], minlength=size)
        cross = bool(len(upper[0][1]) and upper[0][1].any())
        return load, latency + 2 * self.shape.hop_latency * (far + cross)

    def switch_of_port(self, port: int) -> str:
        s = self.shape
        device = np.array([port // s.ports * s.block + -(-(port % s.ports) * s.block // s.ports)])
        return f"{s.level.name}/leaf{int(self.leaf_of(device)[0])}"

    def end(self, link: int) -> tuple[Name, Name] | None:
        name = self.shape.level.name
        if link < self.to_spine:
            return super().end(link)
        if self.pods == 1 or link < self.to_core:
            up, start = link < self.from_spine, self.to_spine if link < self.from_spine else self.from_spine
            leaf, spine = divmod(link - start, self.spines)
            low, high = f"{name}/leaf{leaf}", self.spine_name(leaf, spine)
        else:
            up, start = link < self.from_core, self.to_core if link < self.from_core else self.from_core
            rest, core = divmod(link - start, self.cores)
            pod, spine = divmod(rest, self.spines)
            low, high = f"{name}/agg{pod}.{spine}", f"{name}/core{pod // self.pods}.{spine}.{core}"
        return (low, high) if up else (high, low)

    def spine_name(self, leaf_id: int, spine: int) -> str:
        name, instance = self.shape.level.name, leaf_id // self.leaf_count()
        if self.pods == 1:
            return f"{name}/spine{instance}.{spine}"
        block = leaf_id % self.leaf_count() // (self.leaf_count() // self.leaves)
        pod = instance * self.pods + block * self.leaf // self.pod
        return f"{name}/agg{pod}.{spine}"


Loaded: TypeAlias = tuple[Ints, Floats]


def trunk_loads(home: Ints, path: Ints, paths: int, hashed: bool) -> tuple[Loaded, Loaded] | None:
    """(trunk, bytes) up and down, trunk = home·paths + path, if the devices of a row exchange with all of the row that
    have another home (switch, pod), each over its path; None: too large a table."""
    rows, k = home.shape
    row = np.broadcast_to(np.arange(rows)[:, None], home.shape)
    span = int(home.max()) + 1
    key, index, count = np.unique((row * span + home).ravel(), return_inverse=True, return_counts=True)
    if len(key) * paths > TABLE:
        return None
    if hashed:
        used = np.repeat(count[:, None] / paths, paths, axis=1)
    else:
        used = np.bincount(index.ravel() * paths + path.ravel(), minlength=len(key) * paths).reshape(-1, paths) * 1.0
    of_row = np.zeros((rows, paths))
    np.add.at(of_row, key // span, used)
    trunk = ((key % span)[:, None] * paths + np.arange(paths)).ravel()
    up = used * (k - count)[:, None]
    down = count[:, None] * (of_row[key // span] - used)
    return (trunk, up.ravel()), (trunk, down.ravel())
