"""The axes of a study: fields of a scenario and the values they take, as a file states them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.fields import Record, about
from sim.records import dataclass

MOST_POINTS: Final = 10**6  # of an interval: as many designs as the largest study has
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


class Combination(StrEnum):
    """How the values of several axes make designs.

    grid: every combination, the last axis fastest. zip: the first values together, then the second ones.
    latin_hypercube: every axis is cut into as many strata as there are designs (McKay, Beckman, Conover 1979).
    sobol: points of a scrambled Sobol sequence (Owen 1998).
    """

    GRID = "grid"
    ZIP = "zip"
    LATIN_HYPERCUBE = "latin_hypercube"
    SOBOL = "sobol"


@dataclass(frozen=True, slots=True)
class Axes(Record):
    """A study: fields of the scenario, the values they take, and how these combine to designs."""

    axes: Mapping[str, object] = field(
        metadata=about("path of a field: a list of values, or {from, to, count, scale: linear or log}")
    )
    combine: Combination = field(default=Combination.GRID, metadata=about("how values of several axes make designs"))
    samples: int = field(
        default=0, metadata=about("designs of a Latin hypercube or Sobol sequence; 0 for the others", ge=0, le=10**7)
    )

    def contradictions(self) -> Iterator[Problem]:
        """Axes that are none, each at its own; then what they say together."""
        found: list[Axis] = []
        for path, given in self.axes.items():
            try:
                found.append(axis(path, given))
            except InputError as error:
                yield from (replace(p, path=p.path.removeprefix("study.")) for p in error.problems)
        if len(found) == len(self.axes):
            try:
                check_axes(found, self.combine, self.samples)
            except InputError as error:
                yield from (replace(p, path=p.path.removeprefix("study.")) for p in error.problems)


def check_axes(axes: Sequence[Axis], combination: Combination, samples: int) -> None:
    """InputError with what the axes of a study say that cannot be."""
    problems = []
    if not axes:
        problems.append(Problem("needs at least one axis", "study.axes", hint="plan.sub_batch: [16, 32, 64]"))
    for path in {axis.path for axis in axes if sum(other.path == axis.path for other in axes) > 1}:
        problems.append(Problem("is an axis twice", "study.axes", path))
    for axis in axes:
        if axis.interval is None and not axis.values:
            problems.append(Problem("is an empty axis", f"study.axes.{axis.path}"))
        if axis.interval is not None and not 1 <= axis.count <= MOST_POINTS:
            rule = f"must be 1 to {MOST_POINTS:,}"
            problems.append(Problem(rule, f"study.axes.{axis.path}.count", f"{axis.count:,}"))
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
