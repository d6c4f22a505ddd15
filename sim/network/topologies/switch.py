"""One non-blocking switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sim.network.topologies.base import Floats, Ints, LevelTopology, Name, Shape


class Ports(LevelTopology):
    """Base of all levels with switches: a link up from and a link down to every port."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.total = shape.members * shape.ports
        lat = shape.level.link.latency_s
        axes = (*self.axes[:-1], (self.nic_axis, shape.ports))
        self.up = self.add(axes, shape.port_capacity, lat)
        self.down = self.add(axes, shape.port_capacity, lat)

    def global_port(self, device: Ints) -> Ints:
        s = self.shape
        return device // s.block * s.ports + s.port(device)

    def exchange(self, rows: Ints, inside: int) -> tuple[Floats, float] | None:
        """Bytes through every port, each way: a device sends and gets one from all of its row in other members."""
        each = np.full(rows.size, float(rows.shape[1] - inside))
        load = np.zeros(self.link_count)
        through = np.bincount(self.global_port(rows.ravel()), weights=each, minlength=self.total)
        load[self.up : self.up + self.total] = load[self.down : self.down + self.total] = through
        return load, 2 * self.shape.level.link.latency_s

    def switch_of_port(self, port: int) -> str:
        """Name of the switch a port hangs on."""
        raise NotImplementedError

    def end(self, link: int) -> tuple[Name, Name] | None:
        port = link % self.total
        device, switch = self.device_of_port(port), self.switch_of_port(port)
        return (device, switch) if link < self.down else (switch, device)


class Switch(Ports):
    """One non-blocking switch per instance: device → switch → device (two hops)."""

    names = ("switch",)
    reduces = True
    divisible = True
    tiers: ClassVar[Mapping[str, float]] = {"switch": 1.0}

    @property
    def symmetric(self) -> tuple[str, ...]:
        return ("instance", "member", "port")

    @property
    def free(self) -> str:
        return super().free or "member"

    def route(self, src: Ints, dst: Ints, key: Ints | None) -> Ints:
        return np.stack([self.up + self.global_port(src), self.down + self.global_port(dst)], axis=1)

    def switch_of_port(self, port: int) -> str:
        return f"{self.shape.level.name}/switch{port // (self.shape.n * self.shape.ports)}"
