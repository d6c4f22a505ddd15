"""DGX-1's hybrid cube mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.errors import Problem
from sim.network.records import Level
from sim.network.topologies.base import Ints, LevelTopology, Name, Shape, complete_cycles

#: NVLinks between the GPUs of a DGX-1 (V100: 6 per GPU), as in the topology dump of github.com/NVIDIA/nccl issue #671.
#: P100 has the same pairs with one link each (4 per GPU).
CUBE_MESH = {
    (0, 1): 1, (0, 2): 1, (0, 3): 2, (0, 4): 2, (1, 2): 2, (1, 3): 1, (1, 5): 2, (2, 3): 2,
    (2, 6): 1, (3, 7): 1, (4, 5): 1, (4, 6): 1, (4, 7): 2, (5, 6): 2, (5, 7): 1, (6, 7): 2,
}  # fmt: skip


def cables(level: Level) -> Ints:
    """Links between each pair of the eight."""
    links = np.zeros((8, 8), dtype=np.int64)
    for (i, j), count in CUBE_MESH.items():
        links[i, j] = links[j, i] = 1 if level.link.links_per_device == 4 else count
    return links


def split(links: Ints, path: tuple[int, ...] = (0,)) -> list[tuple[int, ...]]:
    """The links as Hamiltonian cycles, found by trying; empty if there is no way to go on from this path."""
    if not links.any():
        return [()]
    n, here = len(links), path[-1]
    for there in range(n) if len(path) < n else (0,):
        if not links[here, there] or (there in path and len(path) < n):
            continue
        links[here, there] -= 1
        links[there, here] -= 1
        if len(path) == n:
            rest = split(links)
            found = [path, *(cycle for cycle in rest if cycle)] if rest else []
        else:
            found = split(links, (*path, there))
        links[here, there] += 1
        links[there, here] += 1
        if found:
            return found
    return []


class CubeMesh(LevelTopology):
    """DGX-1: eight members; neighbours directly, others over the lowest common neighbour."""

    names = ("hybrid_cube_mesh",)
    drawing = "circle"
    one_size = True

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = shape.block > 1
        self.links = cables(shape.level)
        single_link = shape.port_capacity / int(self.links[0].sum())
        axes = (("instance", shape.instances), (self.nic_axis, shape.ports), ("from", 8), ("to", 8))
        self.add(axes, single_link * np.maximum(self.links, 1), shape.level.link.latency_s)
        self.via = np.full((8, 8), -1, dtype=np.int64)
        for i in range(8):
            for j in range(8):
                if i != j and not self.links[i, j]:
                    self.via[i, j] = max(range(8), key=lambda m: (min(self.links[i, m], self.links[m, j]), -m))

    @classmethod
    def check(cls, level: Level, path: str) -> list[Problem]:
        if level.size == 8:
            return []
        return [Problem("a hybrid cube mesh (DGX-1) joins 8 devices", f"{path}.sizes", str(level.sizes))]

    @classmethod
    def resized(cls, level: Level, members: int) -> Level:
        """Four devices or fewer are a fully connected quad: 3 of 4 links of a P100 stay in it, 4 of 6 of a V100
        (NVIDIA DGX-1 white paper); fewer devices leave the links to the others idle."""
        if members > 4:
            return replace(level, sizes=(members,))
        links = level.link.links_per_device
        inside = (links - links // 3) / links * max(1, members - 1) / 3.0
        quad = replace(level.link, bandwidth=level.link.bandwidth * inside)
        return replace(level, topology="fully_connected", sizes=(members,), link=quad)

    @classmethod
    def drawn(cls, level: Level, kept: int) -> Level:
        return level

    @classmethod
    def cycles(cls, level: Level, count: int) -> Sequence[Ints]:
        """Hamiltonian cycles that use up the links, both ways round; of a V100's quad the two that share none."""
        links = cables(level)
        found: list[tuple[int, ...]]
        if count == 4 and links.max() > 1:
            found = [(0, 1, 2, 3), (0, 2, 1, 3)]
        elif count == 8:
            found = split(links)
        else:
            return complete_cycles(count)
        return tuple(np.array(way) for cycle in found for way in (cycle, cycle[::-1]))

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        s = self.shape
        i, j = src // s.block % 8, dst // s.block % 8
        base = ((src // s.block // 8) * s.ports + s.port(src)) * 64
        mid = self.via[i, j]
        first = np.where(mid < 0, i * 8 + j, i * 8 + mid)
        return np.stack([base + first, np.where(mid < 0, -1, base + mid * 8 + j)], axis=1)

    def end(self, link: int) -> tuple[Name, Name] | None:
        plane, pair = divmod(link, 64)
        i, j = divmod(pair, 8)
        return (self.plane_node(plane, i), self.plane_node(plane, j)) if self.links[i, j] else None
