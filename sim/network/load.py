"""Loads of flows on links, and the seconds per byte they cost.

If all flows of a phase are equal, max-min sharing gives the slowest flow the smallest share cap/n of any link,
so the phase takes max over links of load/cap: no iteration is needed.  The same bound holds for pipelined
collectives whose flows run steadily at rates in proportion to their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from math import lcm, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sim.network.topologies.base import Block, Floats, Ints, splitmix64
from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Figures that are looked at together at most.
MANY = 1 << 18


class Runs(NamedTuple):
    """Units alike: first, end, and step of each run of them.  `every`: these are all, and as many units recur."""

    runs: Ints
    every: int = 0


def runs_between(edges: Ints, texture: int = 1) -> Ints:
    """Runs (first, end, step) of units between edges, in each of which every `texture`-th unit is alike."""
    length = np.diff(edges)
    many = np.minimum(length, texture)
    first = np.repeat(edges[:-1], many) + ramp(many)
    step = np.full(len(first), texture)
    times = (np.repeat(edges[1:], many) - 1 - first) // step
    return np.stack([first, first + times * step + 1, np.where(times > 0, step, 1)], axis=1)


def ramp(many: Ints) -> Ints:
    """0 … n-1 for each n, one after the other."""
    return np.asarray(np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many))


def begins(values: Ints) -> NDArray[np.bool_]:
    """Where in ascending values a new one begins."""
    new = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def kinds(values: NDArray[Any]) -> tuple[Ints, Ints]:
    """The first place of each distinct value, by falling into order, and of which kind each one is (numpy's `unique`
    imports masked arrays)."""
    order = np.argsort(values, kind="stable")
    new, which = begins(values[order]), np.empty(len(values), dtype=np.int64)
    which[order] = np.cumsum(new) - 1
    return order[new], which


def units_in(runs: Ints) -> Ints:
    """How many units each run has."""
    return np.asarray((runs[:, 1] - 1 - runs[:, 0]) // runs[:, 2] + 1)


class Part(NamedTuple):
    """What every unit of run i has on its links, `rows[i]`; without runs, what units have one after the other, again
    and again.  Along the other axes of the block, too, rows are repeated."""

    runs: Ints | None
    rows: Floats

    def at(self, units: Ints, shape: Sequence[int]) -> Floats:
        """Of some units, repeated to a shape."""
        if self.runs is None:
            return repeated(self.rows[units % len(self.rows)], (len(units), *shape))
        out = np.zeros((len(units), *self.rows.shape[1:]))
        unit, run = covered(self.runs, units)
        order = np.argsort(unit, kind="stable")
        unit, run = unit[order], run[order]
        while len(unit):
            first = begins(unit)
            out[unit[first]] += self.rows[run[first]]
            unit, run = unit[~first], run[~first]
        return repeated(out, (len(units), *shape))


def covered(runs: Ints, units: Ints) -> tuple[Ints, Ints]:
    """(place among the units, run) of every unit that lies in a run."""
    found, size = list[tuple[Ints, Ints]](), int(max(units.max(initial=0), runs[:, 1].max())) + 1
    for step in sorted(set(runs[:, 2].tolist())):
        mine = np.flatnonzero(runs[:, 2] == step)
        first, end = runs[mine, 0], runs[mine, 1]
        key = units % step * size + units
        order = np.argsort(key)
        low, high = np.searchsorted(key[order], first % step * size + np.stack([first, end]))
        many = high - low
        found.append((order[np.repeat(low, many) + ramp(many)], np.repeat(mine, many)))
    unit, run = zip(*found, strict=True)
    return np.concatenate(unit), np.concatenate(run)


class Met(NamedTuple):
    """Loads that are met: of each of some units those on its links, and how many units have the same."""

    units: Ints
    times: Ints
    loads: Floats
    quotients: Floats  # over capacity


@dataclass(frozen=True)
class Load:
    """Bytes on every link.  A block's leading axes count its units, which may be told in runs; along the others an
    array is repeated, so that a load that is alike all along an axis is kept once, one that recurs once per period."""

    blocks: tuple[Block, ...]
    parts: dict[int, tuple[Part, ...]] = field(default_factory=dict)  # number of the block → to be added up

    def __add__(self, other: Load) -> Load:
        parts = dict(self.parts)
        for number, more in other.parts.items():
            parts[number] = merged(parts[number], more) if number in parts else more
        return Load(self.blocks, parts)

    def without(self, part: Load) -> Load:
        """Less a part of it; what rounding leaves over is nothing."""
        rest = (self + part * -1.0).parts
        return Load(self.blocks, {n: tuple(p._replace(rows=rounded(p.rows)) for p in each) for n, each in rest.items()})

    def __mul__(self, factor: float) -> Load:
        scaled = {n: tuple(Part(runs, rows * factor) for runs, rows in parts) for n, parts in self.parts.items()}
        return Load(self.blocks, scaled)

    @property
    def per_byte(self) -> float:
        """Largest load/capacity: seconds per byte of what was counted."""
        return max((float(met.quotients.max(initial=0.0)) for n in self.parts for met in self.met(n)), default=0.0)

    def met(self, number: int) -> Iterator[Met]:
        """The loads of a block that are met, of all alike units one; what rounding leaves over of a difference is
        nothing."""
        parts, capacity = self.parts[number], self.blocks[number].wide
        shape = [lcm(*sizes) for sizes in zip(capacity.shape[1:], *(p.rows.shape[1:] for p in parts), strict=True)]
        units, times = places(self.blocks[number].units, parts)
        if len(capacity) > 1:
            units, times = np.arange(len(capacity)), np.ones(len(capacity), dtype=np.int64)
        noise = 1e-12 * max(float(part.rows.max(initial=0.0)) for part in parts)
        exact = all(float(part.rows.min(initial=0.0)) >= 0.0 for part in parts)
        together = max(1, MANY // max(1, prod(shape)))
        for at in range(0, len(units), together):
            here = units[at : at + together]
            loads = parts[0].at(here, shape)
            for part in parts[1:]:
                loads = loads + part.at(here, shape)
            if not exact:
                loads = np.where(loads > noise, loads, 0.0)
            per_byte = repeated(capacity[here] if len(capacity) > 1 else capacity, loads.shape)
            yield Met(here, times[at : at + together], loads, loads / per_byte)

    def every(self) -> Floats:
        """One figure per link."""
        out = np.zeros(self.blocks[-1].stop if self.blocks else 0)
        for number, parts in self.parts.items():
            block = self.blocks[number]
            whole = out[block.start : block.stop].reshape(block.units, *block.inner)
            for runs, rows in parts:
                again = runs_between(np.array([0, block.units]), len(rows)) if runs is None else runs
                for (first, end, step), row in zip(again.tolist(), rows, strict=True):
                    whole[first:end:step] += repeated(row, block.inner)
            if any(float(part.rows.min(initial=0.0)) < 0.0 for part in parts):
                whole[whole <= 1e-12 * max(float(part.rows.max(initial=0.0)) for part in parts)] = 0.0
        return out


def rounded(rows: Floats) -> Floats:
    """Without what is nothing but for rounding."""
    size = np.abs(rows)
    return np.where(size > 1e-12 * size.max(initial=0.0), rows, 0.0)


def merged(parts: tuple[Part, ...], more: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those of the same runs added up."""
    found = list(parts)
    for part in more:
        for i, (runs, rows) in enumerate(found):
            if runs is part.runs or (runs is not None and part.runs is not None and np.array_equal(runs, part.runs)):
                found[i] = Part(runs, np.add(*in_step(rows, part.rows)))
                break
        else:
            found.append(part)
    return tuple(found)


def places(count: int, parts: Sequence[Part]) -> tuple[Ints, Ints]:
    """Units of so many at which every sum of rows that occurs is met, and how many units each stands for.

    Between two edges, the first or last unit of some run, the same runs go on; what they add up to recurs after a
    common multiple of their steps.  Stretches on which the same runs go on in the same place are looked at once."""
    again = lcm(*(len(part.rows) for part in parts if part.runs is None))
    runs = np.concatenate([np.array([[0, count, again]]), *(part.runs for part in parts if part.runs is not None)])
    if len(runs) == 1:
        return np.arange(again), np.full(again, count // again)
    first, end, step = runs.T
    texture = min(lcm(*set(step.tolist())), count)
    edges = np.sort(np.concatenate([first, end]))
    edges = edges[begins(edges)]
    length = np.diff(edges)
    marks = splitmix64(np.arange(len(runs)))
    change = np.zeros(len(edges), dtype=np.uint64)
    np.add.at(change, np.searchsorted(edges, first), marks)
    np.subtract.at(change, np.searchsorted(edges, end), marks)
    going_on = np.cumsum(change, dtype=np.uint64)[:-1]
    alike = going_on ^ splitmix64(edges[:-1] % texture) ^ (splitmix64(length) >> np.uint64(1))
    one, which = kinds(alike)
    times = np.bincount(which)
    many = np.minimum(length[one], texture)
    within = ramp(many)
    last = np.repeat(length[one], many)
    return np.repeat(edges[one], many) + within, np.repeat(times, many) * ((last - 1 - within) // texture + 1)


def spread(blocks: Sequence[Block], load: Floats) -> Load:
    """One figure per link as a `Load`."""
    parts = dict[int, tuple[Part, ...]]()
    for number, block in enumerate(blocks):
        rows = load[block.start : block.stop].reshape(block.units, *block.inner)
        if rows.any():
            parts[number] = (Part(None, rows[:1] if (rows == rows[:1]).all() else rows),)
    return Load(tuple(blocks), parts)


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
    runs: Runs | None = None,
    run: Ints | None = None,
) -> Load:
    """Load of flows, one byte or a weight each, that stand for their images along axes; flow i lies in the first unit
    of run `run[i]` and stands for its images in the others (None: for itself)."""
    found, periods = Load(blocks), periods or {}
    flow = np.broadcast_to(np.arange(len(routes))[:, None], routes.shape)
    for number, block in enumerate(blocks):
        here = (routes >= block.start) & (routes < block.stop)
        if not here.any():
            continue
        unit, link = np.divmod(routes[here] - block.start, prod(block.inner))
        shape, place, width, stride = list[int](), np.zeros_like(link), 1, 1
        for name, size in reversed(block.axes[len(block.axes) - len(block.inner) :]):
            shape.append(periods[name].period if name in periods else size)
            if shape[-1] > 1:
                place = place + link // stride % shape[-1] * width
            width, stride = width * shape[-1], stride * size
        each: Floats | None = None if weights is None else weights[flow[here]]
        own_run = 0 if run is None else run[flow[here]]
        there, many = None, block.units
        if block.units == 1 and runs is not None:
            each = np.asarray(units_in(runs.runs)[own_run] * (1.0 if each is None else each))
        elif block.units > 1 and runs is not None and runs.every:
            unit, many = unit % runs.every, runs.every
        elif block.units > 1 and runs is not None:
            there, unit = placed(runs.runs, own_run, unit)
            many = len(there)
        part = np.bincount(unit * width + place, each, minlength=many * width).astype(float)
        part = part.reshape(many, *shape[::-1])
        own = [name for name, _ in block.axes[len(block.axes) - len(block.inner) :]]
        for axis, name in enumerate(own, start=1):
            if name in periods and periods[name].run > 1:
                part = in_a_row(part, axis, periods[name].run)
        times = prod(size // period * again for name, (size, period, again) in periods.items() if name not in own)
        found.parts[number] = (Part(there, part * times),)
    return found


def placed(runs: Ints, own: Ints | int, unit: Ints) -> tuple[Ints, Ints]:
    """Runs that are so far from those of their flows as the links' units are, and which of them each link is in."""
    far = unit - runs[own, 0]
    key = own * (int(far.max()) - int(far.min()) + 1) + far
    one, which = kinds(np.broadcast_to(key, unit.shape))
    moved = runs[np.broadcast_to(own, unit.shape)[one]]
    moved[:, :2] += far[one, None]
    size = int(moved.max()) + 1
    _, span = kinds(moved[:, 0] * size + moved[:, 1])
    once, same = kinds(span * size + moved[:, 2])
    return moved[once], same[which]


def in_a_row(part: Floats, axis: int, run: int) -> Floats:
    """Every figure at its own and the next places of an axis, cyclically, `run` in all."""
    total = np.cumsum(part, axis)
    before = np.roll(total, run, axis)
    index = (slice(None),) * axis
    before[(*index, slice(0, run))] -= total[(*index, slice(-1, None))]
    return np.asarray(total - before)
