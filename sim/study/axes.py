"""The designs of a study: axes over fields of a scenario, and the ways to combine their values.

A design is a tuple of values, one per axis, and has a number: a study numbers its designs alike wherever and in
whatever order they run, so that a number is all that has to be remembered of a design, and a million need no memory.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sim.errors import InputError, Problem
from sim.files.loader import core_scalar
from sim.files.table_text import table_text
from sim.scenario import Combination

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Design: TypeAlias = tuple[object, ...]

MOST_DESIGNS: Final = 10**9
LONGEST: Final = 10_000  # values of an axis that a study file keeps
_ENDPOINT: Final = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Range:
    """An interval between two numbers of one unit; `whole` numbers stay whole."""

    low: float
    high: float
    unit: str = ""
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> object:
        """The value at `share` [0, 1] of the interval, as a scenario would state it."""
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        number: float | int = round(value) if self.whole else float(f"{value:.12g}")
        return f"{number!r} {self.unit}" if self.unit else number


@dataclass(frozen=True, slots=True)
class Axis:
    """A field of the scenario and the values it takes: listed, or an interval of which a grid takes `count`."""

    path: str
    values: tuple[object, ...] = ()
    interval: Range | None = None
    count: int = 5

    @property
    def points(self) -> tuple[object, ...]:
        """The values a grid takes, each once."""
        if self.interval is None:
            return self.values
        last = max(1, self.count - 1)
        return tuple(dict.fromkeys(self.interval.at(i / last) for i in range(self.count)))

    @property
    def stated(self) -> object:
        """The axis as `axis` reads it, in plain values; of a very long list the beginning and a hash."""
        if self.interval is not None:
            low, high = (self.interval.at(share) for share in (0.0, 1.0))
            return {"from": low, "to": high, "count": self.count, "scale": "log" if self.interval.log else "linear"}
        plain = [v if isinstance(v, str | int | float | bool | None) else repr(v) for v in self.values]
        if len(plain) <= LONGEST:
            return plain
        return {"first": plain[:LONGEST], "count": len(plain), "hash": blake2b(repr(plain).encode()).hexdigest()[:24]}

    def at(self, share: float) -> object:
        """The value at `share` [0, 1) of the axis; of listed values each has an equal part."""
        if self.interval is not None:
            return self.interval.at(share)
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


@dataclass(frozen=True)
class Designs:
    """The designs of a study, by number."""

    axes: tuple[Axis, ...]
    combination: Combination = Combination.GRID
    samples: int = 0
    seed: int = 0
    points: tuple[tuple[object, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        _checked(self.axes, self.combination, self.samples)
        object.__setattr__(self, "points", tuple(axis.points for axis in self.axes))
        if self.combination is Combination.ZIP and len({len(values) for values in self.points}) > 1:
            counts = ", ".join(f"{a.path}: {len(v)}" for a, v in zip(self.axes, self.points, strict=True))
            raise InputError(Problem("axes that are zipped need equally many values", "study.axes", counts))
        if len(self) > MOST_DESIGNS:
            raise InputError(Problem(f"must have at most {MOST_DESIGNS:,} designs", "study.axes", f"{len(self):,}"))

    def __len__(self) -> int:
        if self.combination is Combination.GRID:
            return math.prod(len(values) for values in self.points)
        return len(self.points[0]) if self.combination is Combination.ZIP else self.samples

    def __getitem__(self, number: int) -> Design:
        """The values of design `number`, in the order of the axes."""
        if not 0 <= number < len(self):
            raise IndexError(f"design {number} of {len(self)}")
        if self.combination is Combination.ZIP:
            return tuple(values[number] for values in self.points)
        if self.combination is not Combination.GRID:
            return tuple(axis.at(float(x)) for axis, x in zip(self.axes, self._sampled[number], strict=True))
        design: list[object] = []
        for values in reversed(self.points):
            number, place = divmod(number, len(values))
            design.append(values[place])
        return tuple(reversed(design))

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


def _checked(axes: Sequence[Axis], combination: Combination, samples: int) -> None:
    problems = []
    if not axes:
        problems.append(Problem("needs at least one axis", "study.axes", hint="plan.sub_batch: [16, 32, 64]"))
    for path in {axis.path for axis in axes if sum(other.path == axis.path for other in axes) > 1}:
        problems.append(Problem("is an axis twice", "study.axes", path))
    for axis in axes:
        if axis.interval is None and not axis.values:
            problems.append(Problem("is an empty axis", f"study.axes.{axis.path}"))
        if axis.interval is not None and axis.count < 1:
            problems.append(Problem("must be at least 1", f"study.axes.{axis.path}.count", str(axis.count)))
    sampled = combination in (Combination.LATIN_HYPERCUBE, Combination.SOBOL)
    if sampled and samples < 1:
        problems.append(Problem("must be at least 1", "study.samples", str(samples)))
    if not sampled and samples:
        problems.append(Problem(f"has no effect on a {combination} (its axes have the counts)", "study.samples"))
    if problems:
        raise InputError(*problems)


def axis(path: str, given: object) -> Axis:
    """An axis as a study states it: a list of values, or `{from, to, count, scale: linear|log}`."""
    where = f"study.axes.{path}"
    if isinstance(given, Mapping):
        return _interval(path, dict(given), where)
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InputError(Problem("must be a list of values, or {from, to, count, scale}", where, str(given)))
    return Axis(path, tuple(given))


def _interval(path: str, given: dict[str, Any], where: str) -> Axis:
    unknown = [key for key in given if key not in ("from", "to", "count", "scale")]
    missing = [key for key in ("from", "to") if key not in given]
    problems = [Problem("unknown key", f"{where}.{key}", hint="from, to, count, scale") for key in unknown]
    problems += [Problem("is required", f"{where}.{key}") for key in missing]
    scale, count = given.get("scale", "linear"), given.get("count", 5)
    if scale not in ("linear", "log"):
        problems.append(Problem("must be linear or log", f"{where}.scale", str(scale)))
    if isinstance(count, bool) or not isinstance(count, int):
        problems.append(Problem("must be a whole number", f"{where}.count", str(count)))
    if problems:
        raise InputError(*problems)
    low, unit, whole = _endpoint(given["from"], f"{where}.from")
    high, other, also_whole = _endpoint(given["to"], f"{where}.to")
    if unit != other:
        raise InputError(Problem("must have the unit of `from`", f"{where}.to", str(given["to"]), hint=unit or "none"))
    if scale == "log" and min(low, high) <= 0.0:
        raise InputError(Problem("must be positive on a log scale", where, f"{given['from']} to {given['to']}"))
    return Axis(path, interval=Range(low, high, unit, scale == "log", whole and also_whole and not unit), count=count)


def _endpoint(given: object, where: str) -> tuple[float, str, bool]:
    """(number, unit, whether it is whole)."""
    if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
        return float(given), "", isinstance(given, int)
    match = _ENDPOINT.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise InputError(Problem('must be a number or a quantity such as "2 TB/s"', where, str(given)))
    return float(match[1]), match[2], False


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
