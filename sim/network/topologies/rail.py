"""Rail-optimised networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sim.network.topologies.base import Axes, Floats, Ints, Shape
from sim.network.topologies.fat_tree import FatTree


class Rail(FatTree):
    """Rail-optimised: port r of every member in a block of `leaf` members meets on leaf r of that block; leaves meet on
    spines.  A flow to another rail first crosses the inner level to the device on the destination's rail
    (NCCL's PXN), unless option `pxn` is 0: then it climbs to a spine."""

    names = ("rail",)
    options: ClassVar[Mapping[str, float]] = {**FatTree.options, "pxn": 0}

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.planar = bool(shape.option("pxn", 1)) and shape.block > 1

    @property
    def symmetric(self) -> tuple[str, ...]:
        """Every port has leaves of its own."""
        return ("instance", *(("pod" if self.pods > 1 else "leaf",) if self.even else ()), "port")

    def trunk_axes(self) -> Axes:
        return (*self.leaf_axes, (self.nic_axis, self.shape.ports), ("spine", self.spines))

    def core_axes(self) -> Axes:
        per_pod, ports = self.cores // self.shape.ports, self.shape.ports
        pods = (("instance", self.shape.instances), ("pod", self.pods))
        return (*pods, ("spine", self.spines), ("core", per_pod), (self.nic_axis, ports))

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
