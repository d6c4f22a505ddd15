"""Fat trees (leaf–spine, three tiers) and rail-optimised networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from sim.network.levels import Floats, Ints, Name, Shape, Switch, pick

#: Entries of the largest table of trunks by groups that is counted.
TABLE = 1 << 22


class FatTree(Switch):
    """Leaf–spine (`tiers` 2) or leaf–aggregation–core (`tiers` 3).

    Options: `leaf` members per leaf switch (default: 32 ports' worth), `pod` members per pod (tiers 3).
    A leaf with P ports down has S = max(1, ⌊P/oversubscription⌋) links up that add up to P·port/oversubscription.
    Three tiers: aggregation switch a of every pod is joined to K = leaves-per-pod cores of plane a at full rate.
    Static routing sends by the source's place in its leaf: permutations by shift or exclusive-or do not collide.
    Adaptive routing (packets spread over all spines) is a fluid limit: only the sum of a leaf's uplinks binds.
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
        # adaptive routing spreads every flow over all spines: a leaf's uplinks act as one link
        self.spines = 1 if shape.routing == "adaptive" else max(1, int(self.leaf_ports / over))
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

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Up a trunk: the devices that use it, times those of the row elsewhere; down: those below it, times those
        elsewhere that use the same spine.  By hash each trunk of a switch expects an equal share."""
        found = super().exchange(rows, inside)
        if found is None:
            return None
        load, latency = found
        hashed = self.shape.routing != "static"
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

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """None if a member's own devices hang on several leaves and stay where they are."""
        return super().exchange(rows, inside) if inside == 1 else None

    def leaf_of(self, device: Ints) -> Ints:
        return super().leaf_of(device) * self.shape.ports + self.shape.port(device)

    def place_in_leaf(self, device: Ints) -> Ints:
        return device // self.shape.block % self.shape.n % self.leaf
