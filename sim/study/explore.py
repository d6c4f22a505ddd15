"""Designs weighed by several metrics at once, within constraints: the Pareto front.

A design is on the front when no other that meets the constraints is at least as good in every metric and better in one
(Pareto 1906). The front of a stream is kept as it comes: memory grows with the front, not with the designs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from sim.axes import Combination, axis
from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.scenario import Scenario
from sim.study.metrics import METRICS, Metric, Sense, metric
from sim.study.runner import Progress
from sim.study.start import started
from sim.study.store import Outcome
from sim.study.sweep import Outcomes, simulated, study_of
from sim.units import dimension_of, parse_quantity

OBJECTIVES: Final = ("time_to_target_s", "energy_j")
_CONSTRAINT: Final = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on a metric, in SI."""

    metric: Metric
    least: bool  # the metric must be at least the bound, else at most
    bound: float

    def met(self, outcome: Outcome) -> bool:
        """Whether a design keeps to it; one without the figure does not."""
        value = figure(outcome, self.metric)
        return value is not None and (value >= self.bound if self.least else value <= self.bound)

    @property
    def text(self) -> str:
        """As it was stated, in SI."""
        return f"{self.metric.name} {'>=' if self.least else '<='} {self.bound:g}"


def explore(
    scenario: Scenario | str | Path,
    axes: Mapping[str, object] | None = None,
    *,
    objectives: Sequence[str] = OBJECTIVES,
    constraints: Sequence[str] = (),
    start: str | Path | None = None,
    combine: Combination | str = Combination.GRID,
    samples: int = 0,
    sets: Sequence[str] = (),
    file: str | Path | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    seed: int = 0,
    sort: str = "number",
    progress: Progress = lambda finished, total: None,
) -> Outcomes:
    """The designs of a space that nothing beats in all `objectives`, within `constraints` ("device_power_w<=700 W").

    `start`: the file of an earlier study whose front competes; the rest says the designs and where they run, as of
    `sim.sweep`.
    """
    wanted, bounds = asked(objectives, constraints)
    chosen = [axis(path, given) for path, given in (axes or {}).items()]
    study = study_of(scenario, sets, chosen, Combination(combine), samples, seed, bands=banded(wanted, bounds))
    if start is not None:
        study = started(study, Path(start), lambda found: front(found, wanted, bounds))
    found = simulated(study, file, jobs, dask, sort, progress)
    best = tuple(front(found.outcomes, wanted, bounds))
    return replace(found, outcomes=best, objectives=tuple(metric.name for metric in wanted))


def asked(objectives: Sequence[str], constraints: Sequence[str]) -> tuple[list[Metric], list[Constraint]]:
    """Objectives and constraints by their texts; what no design can meet together is refused."""
    bounds = [constraint(text) for text in constraints]
    consistent(bounds)
    return [metric(name) for name in objectives or OBJECTIVES], bounds


def banded(objectives: Sequence[Metric], constraints: Sequence[Constraint]) -> bool:
    """Whether the end of a band is among what is asked for."""
    return any(metric.band for metric in (*objectives, *(bound.metric for bound in constraints)))


def figure(outcome: Outcome, wanted: Metric) -> float | None:
    """The figure of a metric in a stored outcome."""
    return outcome.metrics[list(METRICS).index(wanted.name)]


def constraint(text: str) -> Constraint:
    """`METRIC<=BOUND` or `METRIC>=BOUND`; the bound a number in SI or a quantity ("7 days")."""
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise InputError(Problem("must be METRIC<=BOUND or METRIC>=BOUND", "--constraint", text))
    return Constraint(metric(match[1]), match[2] == ">=", _bound(match[3], text))


def _bound(given: str, text: str) -> float:
    try:
        return float(given)
    except ValueError:
        dimension = dimension_of(given.lstrip("+-0123456789.eE ").strip())
    if dimension is None:
        raise InputError(Problem("has a bound that is neither a number nor a quantity", "--constraint", text))
    return parse_quantity(given, dimension)


def consistent(constraints: Sequence[Constraint]) -> None:
    """Refuse constraints that no design can meet together, by name."""
    for low in (c for c in constraints if c.least):
        for high in (c for c in constraints if not c.least and c.metric is low.metric):
            if high.bound < low.bound:
                raise InputError(Problem("contradict each other", "--constraint", f"{low.text} and {high.text}"))


def front(
    outcomes: Iterable[Outcome], objectives: Sequence[Metric], constraints: Sequence[Constraint]
) -> list[Outcome]:
    """The designs that meet every constraint and that none dominates, in the order of the first objective."""
    kept: list[tuple[tuple[float, ...], Outcome]] = []
    for outcome in outcomes:
        losses = _losses(outcome, objectives)
        if losses is None or not all(each.met(outcome) for each in constraints):
            continue
        if any(_dominates(other, losses) for other, _ in kept):
            continue
        kept = [(other, found) for other, found in kept if not _dominates(losses, other)]
        kept.append((losses, outcome))
    return [outcome for _, outcome in sorted(kept, key=lambda pair: (pair[0], pair[1].number))]


def _losses(outcome: Outcome, objectives: Sequence[Metric]) -> tuple[float, ...] | None:
    """What is to be made small in every objective; None where a figure is missing."""
    values = [figure(outcome, each) for each in objectives]
    if any(value is None for value in values):
        return None
    signs = [1.0 if each.sense is Sense.LESS else -1.0 for each in objectives]
    return tuple(sign * value for sign, value in zip(signs, values, strict=True) if value is not None)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether `one` is nowhere worse and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
