"""The designs of a study: axes over fields of a scenario, and the ways to combine their values.

A design is a tuple of values, one per axis, and has a number: a study numbers its designs alike wherever and in
whatever order they run, so that a number is all that has to be remembered of a design, and a million need no memory.
"""

from __future__ import annotations

import csv
import math
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from sim.axes import Axis, Combination, check_axes
from sim.errors import InputError, Problem
from sim.files.loader import core_scalar
from sim.files.table_text import table_text
from sim.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Design: TypeAlias = tuple[object, ...]

MOST_DESIGNS: Final = 10**9


@dataclass(frozen=True)
class Designs:
    """The designs of a study, by number."""

    axes: tuple[Axis, ...]
    combination: Combination = Combination.GRID
    samples: int = 0
    seed: int = 0
    start: tuple[Design, ...] = ()  # designs of an earlier study, numbered after those of the axes
    points: tuple[tuple[object, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        check_axes(self.axes, self.combination, self.samples)
        object.__setattr__(self, "points", tuple(axis.points for axis in self.axes))
        if self.combination is Combination.ZIP and len({len(values) for values in self.points}) > 1:
            counts = ", ".join(f"{a.path}: {len(v)}" for a, v in zip(self.axes, self.points, strict=True))
            raise InputError(Problem("axes that are zipped need equally many values", "study.axes", counts))
        if len(self) > MOST_DESIGNS:
            raise InputError(Problem(f"must have at most {MOST_DESIGNS:,} designs", "study.axes", f"{len(self):,}"))

    def __len__(self) -> int:
        return self._crossed + len(self.start)

    @property
    def _crossed(self) -> int:
        """Designs that the axes make."""
        if self.combination is Combination.GRID:
            return math.prod(len(values) for values in self.points)
        return len(self.points[0]) if self.combination is Combination.ZIP else self.samples

    def __getitem__(self, number: int) -> Design:
        """The values of design `number`, in the order of the axes."""
        if not 0 <= number < len(self):
            raise IndexError(f"design {number} of {len(self)}")
        if number >= self._crossed:
            return self.start[number - self._crossed]
        if self.combination is Combination.ZIP:
            return tuple(values[number] for values in self.points)
        if self.combination is not Combination.GRID:
            return tuple(axis.at(float(x)) for axis, x in zip(self.axes, self._sampled[number], strict=True))
        design: list[object] = []
        for values in reversed(self.points):
            number, place = divmod(number, len(values))
            design.append(values[place])
        return tuple(reversed(design))

    def places(self, numbers: NDArray[np.intp]) -> list[NDArray[np.intp] | None]:
        """Of every axis, which of its points some designs take; None where they are sampled, or of another study."""
        if self.start or self.combination not in (Combination.GRID, Combination.ZIP):
            return [None for _ in self.axes]
        if self.combination is Combination.ZIP:
            return [numbers for _ in self.axes]
        found: list[NDArray[np.intp] | None] = []
        for values in reversed(self.points):
            found.append(numbers % len(values))
            numbers = numbers // len(values)
        return found[::-1]

    def overrides(self, number: int) -> dict[str, object]:
        """Design `number` as field → value."""
        return {axis.path: value for axis, value in zip(self.axes, self[number], strict=True)}

    @cached_property
    def _sampled(self) -> NDArray[np.float64]:
        """Points of the unit cube, [samples, axes]."""
        from scipy.stats import qmc  # noqa: PLC0415  (0.7 s: only where designs are sampled)

        if self.combination is Combination.LATIN_HYPERCUBE:
            return qmc.LatinHypercube(len(self.axes), rng=self.seed).random(self.samples)
        exponent = max(0, (self.samples - 1).bit_length())
        return qmc.Sobol(len(self.axes), rng=self.seed).random_base2(exponent)[: self.samples]


def axes_of_csv(path: Path) -> tuple[Axis, ...]:
    """Columns of a CSV as axes to be zipped: the header names the fields, every row is a design."""
    try:
        rows = list(csv.reader(table_text(path)))
    except csv.Error as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=str(path))) from None
    if len(rows) < 2:
        raise InputError(Problem("needs a header of field names and at least one row", file=str(path)))
    header, body = rows[0], rows[1:]
    wrong = [i for i, row in enumerate(body, start=2) if len(row) != len(header)]
    if wrong:
        raise InputError(*(Problem(f"must have {len(header)} cells", file=str(path), line=i) for i in wrong))
    columns = [tuple(core_scalar(row[i].strip()) for row in body) for i in range(len(header))]
    return tuple(Axis(name.strip(), values) for name, values in zip(header, columns, strict=True))
