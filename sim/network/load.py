"""Loads of flows on links, and the seconds per byte they cost.

If all flows of a phase are equal, max-min sharing gives the slowest flow the smallest share cap/n of any link,
so the phase takes max over links of load/cap: no iteration is needed.  The same bound holds for pipelined
collectives whose flows run steadily at rates in proportion to their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sim.network.topologies.base import Block, Floats, Ints


@dataclass(frozen=True)
class Load:
    """Bytes on every link: by block of equal links an array that is broadcast over the block's axes, so that a load
    that is alike all along an axis is kept once."""

    blocks: tuple[Block, ...]
    parts: dict[int, Floats] = field(default_factory=dict)  # number of the block → array

    def __add__(self, other: Load) -> Load:
        parts = dict(self.parts)
        for number, part in other.parts.items():
            parts[number] = parts[number] + part if number in parts else part
        return Load(self.blocks, parts)

    def without(self, part: Load) -> Load:
        """Less a part of it; what rounding leaves over is nothing."""
        rest = (self + part * -1.0).parts
        return Load(self.blocks, {number: np.where(r > 1e-12 * r.max(), r, 0.0) for number, r in rest.items()})

    def __mul__(self, factor: float) -> Load:
        return Load(self.blocks, {number: part * factor for number, part in self.parts.items()})

    @property
    def per_byte(self) -> float:
        """Largest load/capacity: seconds per byte of what was counted."""
        quotients = ((part / self.blocks[number].capacity).max(initial=0.0) for number, part in self.parts.items())
        return float(max(quotients, default=0.0))

    def every(self) -> Floats:
        """One figure per link."""
        out = np.zeros(self.blocks[-1].stop if self.blocks else 0)
        for number, part in self.parts.items():
            block = self.blocks[number]
            out[block.start : block.stop].reshape(block.shape)[...] = part
        return out


def spread(blocks: Sequence[Block], load: Floats) -> Load:
    """One figure per link as a `Load`."""
    parts = {i: load[b.start : b.stop].reshape(b.shape) for i, b in enumerate(blocks)}
    return Load(tuple(blocks), {i: part for i, part in parts.items() if part.any()})


def count(
    blocks: tuple[Block, ...], routes: Ints, weights: Floats | None, alike: Sequence[tuple[str, int]] = ()
) -> Load:
    """Load of flows that stand for all their images along the axes `alike` (name, size), one byte or a weight each."""
    found = Load(blocks)
    sizes = dict(alike)
    for number, block in enumerate(blocks):
        here = (routes >= block.start) & (routes < block.stop)
        if not here.any():
            continue
        link, shape = routes[here] - block.start, list[int]()
        place, width, stride = np.zeros_like(link), 1, 1
        for name, size in reversed(block.axes):
            if name in sizes:
                shape.append(1)
            else:
                place, width = place + link // stride % size * width, width * size
                shape.append(size)
            stride *= size
        each = None if weights is None else np.broadcast_to(weights[:, None], routes.shape)[here]
        counted = np.bincount(place, each, minlength=width)
        times = np.prod([size for name, size in sizes.items() if name not in dict(block.axes)], dtype=float)
        found.parts[number] = counted.reshape(shape[::-1]) * times
    return found
