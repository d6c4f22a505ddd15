"""Loads of flows on links, and the seconds per byte they cost.

If all flows of a phase are equal, max-min sharing gives the slowest flow the smallest share cap/n of any link,
so the phase takes max over links of load/cap: no iteration is needed.  The same bound holds for pipelined
collectives whose flows run steadily at rates in proportion to their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import lcm, prod
from typing import NamedTuple

import numpy as np

from sim.network.topologies.base import Block, Floats, Ints
from sim.records import dataclass


@dataclass(frozen=True)
class Load:
    """Bytes on every link: by block of equal links an array that is repeated along the block's axes, so that a load
    that is alike all along an axis is kept once, one that recurs once per period."""

    blocks: tuple[Block, ...]
    parts: dict[int, Floats] = field(default_factory=dict)  # number of the block → array

    def __add__(self, other: Load) -> Load:
        parts = dict(self.parts)
        for number, part in other.parts.items():
            parts[number] = np.add(*in_step(parts[number], part)) if number in parts else part
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
        return float(max((self.quotient(number).max(initial=0.0) for number in self.parts), default=0.0))

    def quotient(self, number: int) -> Floats:
        """Load over capacity of the links of a block, repeated like its load."""
        part, capacity = self.parts[number], self.blocks[number].capacity
        if isinstance(capacity, float):
            return np.asarray(part / capacity)
        wide = capacity.reshape((1,) * (part.ndim - capacity.ndim) + capacity.shape)
        return np.asarray(np.divide(*in_step(part, wide)))

    def every(self) -> Floats:
        """One figure per link."""
        out = np.zeros(self.blocks[-1].stop if self.blocks else 0)
        for number, part in self.parts.items():
            block = self.blocks[number]
            out[block.start : block.stop].reshape(block.shape)[...] = repeated(part, block.shape)
        return out


def spread(blocks: Sequence[Block], load: Floats) -> Load:
    """One figure per link as a `Load`."""
    parts = {i: load[b.start : b.stop].reshape(b.shape) for i, b in enumerate(blocks)}
    return Load(tuple(blocks), {i: part for i, part in parts.items() if part.any()})


def repeated(part: Floats, shape: Sequence[int]) -> Floats:
    """One period after the other, but along axes where there is nothing but one figure."""
    times = [1 if here in (1, all_) else all_ // here for here, all_ in zip(part.shape, shape, strict=True)]
    return np.tile(part, times) if max(times, default=1) > 1 else part


def in_step(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Both repeated up to a common period along each axis."""
    shape = [lcm(a, b) for a, b in zip(one.shape, other.shape, strict=True)]
    return repeated(one, shape), repeated(other, shape)


class Period(NamedTuple):
    """How flows recur along an axis of `size` places: again after `period` places, and `run` times in a row."""

    size: int
    period: int
    run: int


def count(
    blocks: tuple[Block, ...],
    routes: Ints,
    weights: Floats | None = None,
    periods: Mapping[str, Period] | None = None,
) -> Load:
    """Load of flows, one byte or a weight each, that stand for their images along axes."""
    found, periods = Load(blocks), periods or {}
    for number, block in enumerate(blocks):
        here = (routes >= block.start) & (routes < block.stop)
        if not here.any():
            continue
        link, shape = routes[here] - block.start, list[int]()
        place, width, stride = np.zeros_like(link), 1, 1
        for name, size in reversed(block.axes):
            shape.append(periods[name].period if name in periods else size)
            if shape[-1] > 1:
                place = place + link // stride % shape[-1] * width
            width, stride = width * shape[-1], stride * size
        each = None if weights is None else np.broadcast_to(weights[:, None], routes.shape)[here]
        part = np.bincount(place, each, minlength=width).astype(float).reshape(shape[::-1])
        own = [name for name, _ in block.axes]
        for axis, name in enumerate(own):
            if name in periods and periods[name].run > 1:
                part = in_a_row(part, axis, periods[name].run)
        times = prod(size // period * run for name, (size, period, run) in periods.items() if name not in own)
        found.parts[number] = part * times
    return found


def in_a_row(part: Floats, axis: int, run: int) -> Floats:
    """Every figure at its own and the next places of an axis, cyclically, `run` in all."""
    total = np.cumsum(part, axis)
    before = np.roll(total, run, axis)
    index = (slice(None),) * axis
    before[(*index, slice(0, run))] -= total[(*index, slice(-1, None))]
    return np.asarray(total - before)
