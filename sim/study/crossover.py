"""Where along an axis the order of designs changes: the batch or the number of devices from which another is ahead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from sim.axes import Axis
from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.scenario import Scenario
from sim.study.designs import Designs
from sim.study.metrics import METRICS, Sense, metric
from sim.study.runner import Study, evaluate


@dataclass(frozen=True, slots=True)
class Crossover:
    """Between two neighbouring values of an axis the order of two cases changes: `ahead` before, `behind` after.

    `at`: where their figures are equal if the logarithm of their ratio is straight in between, over the logarithm of
    the axis where that is positive; None where the values of the axis are no numbers.
    """

    ahead: str
    behind: str
    last: object
    first: object
    at: float | None


@dataclass(frozen=True, slots=True)
class Along:
    """One figure of every case at every value of an axis, and where their order changes.

    `figures[i][k]`: of case i at value k, None where it has no answer, for `reasons[i][k]`.
    """

    path: str
    metric: str
    points: tuple[object, ...]
    labels: tuple[str, ...]
    figures: tuple[tuple[float | None, ...], ...]
    reasons: tuple[tuple[str, ...], ...]
    crossovers: tuple[Crossover, ...]


Varied = tuple[str, str | Path | Scenario, Sequence[str]]  # (label, scenario, overrides)


def along(varied: Sequence[Varied], axis: Axis, name: str = "time_to_target_s", seed: int = 0) -> Along:
    """Every case at every value of the axis; `name` is one of the metrics of a study."""
    place = list(METRICS).index(metric(name).name)
    designs = Designs((axis,))
    numbers = tuple(range(len(designs)))
    figures, reasons = [], []
    for label, given, sets in varied:
        named = given if isinstance(given, Scenario) else str(given)
        outcomes = evaluate(Study(named, tuple(sets), designs, seed, bands=METRICS[name].band), numbers)
        if all(outcome.code == 2 for outcome in outcomes):
            raise InputError(Problem(f"is no axis of {label}: {outcomes[0].reason}", axis.path))
        figures.append(tuple(outcome.metrics[place] for outcome in outcomes))
        reasons.append(tuple(outcome.reason for outcome in outcomes))
    points, labels = designs.points[0], tuple(label for label, _, _ in varied)
    less = METRICS[name].sense is Sense.LESS
    found = tuple(_all_crossovers(points, labels, figures, less))
    return Along(axis.path, name, points, labels, tuple(figures), tuple(reasons), found)


def _all_crossovers(
    points: Sequence[object], labels: Sequence[str], figures: Sequence[Sequence[float | None]], less: bool
) -> Iterator[Crossover]:
    for one, other in combinations(range(len(labels)), 2):
        yield from crossovers(points, (labels[one], labels[other]), (figures[one], figures[other]), less)


def crossovers(
    points: Sequence[object],
    labels: tuple[str, str],
    figures: tuple[Sequence[float | None], Sequence[float | None]],
    less: bool = True,
) -> Iterator[Crossover]:
    """Where the order of two cases changes, in the order of the points; ties and missing figures lie in between."""
    last: tuple[object, float] | None = None
    for point, one, other in zip(points, *figures, strict=True):
        if one is None or other is None or not one > 0.0 or not other > 0.0 or one == other:
            continue
        lead = math.log(one / other) * (1.0 if less else -1.0)  # negative: the first is ahead
        if last is not None and last[1] * lead < 0.0:
            ahead, behind = labels if last[1] < 0.0 else labels[::-1]
            yield Crossover(ahead, behind, last[0], point, _equal(last, (point, lead)))
        last = (point, lead)


def _equal(last: tuple[object, float], first: tuple[object, float]) -> float | None:
    low, high = last[0], first[0]
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    share = last[1] / (last[1] - first[1])
    if min(low, high) > 0.0:
        return math.exp(math.log(low) + share * math.log(high / low))
    return low + share * (high - low)
