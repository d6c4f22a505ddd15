"""What a hardware property is worth: elasticities, a tornado, and shares of the variance.

elasticity of a metric T in a property x:  d ln T / d ln x ≈ (ln T(x·s) − ln T(x/s)) / (2 ln s)
Sobol indices (Sobol 1993; Saltelli et al. 2010): first order S_i, the share of the variance of ln T that x_i makes
alone, and total order ST_i, its share with all interactions; every property log-uniform between x/range and x·range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sim.answer import Answer
from sim.engine.step import Engine
from sim.errors import InfeasibleError, InputError, Problem, UnreachableError
from sim.files import scenario_of
from sim.records import dataclass
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.simulation.properties import PROPERTIES, Property, property_of
from sim.study.metrics import Metric, metric


@dataclass(frozen=True, slots=True)
class Elasticity:
    """A property, the metric at 1/step and step times of it, and d ln metric / d ln property (None: no result)."""

    prop: Property
    value: float
    base: float
    step: float
    low: float | None
    high: float | None
    elasticity: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """First-order and total share of the variance of ln metric that a property makes."""

    prop: Property
    first: float
    total: float


@dataclass(frozen=True, slots=True)
class Sensitivity(Answer):
    """Elasticities of a metric, the largest first."""

    REPORT: ClassVar[str] = "sim.report.sensitivity"
    metric: str
    elasticities: tuple[Elasticity, ...]


@dataclass(frozen=True, slots=True)
class Shares(Answer):
    """Sobol indices of a metric, the largest total first."""

    REPORT: ClassVar[str] = "sim.report.shares"
    metric: str
    shares: tuple[Share, ...]


def sensitivity(
    scenario: Scenario | str | Path,
    name: str = "time_to_target_s",
    properties: Sequence[str] = (),
    step: float = 1.1,
    seed: int = 0,
    engine: Engine = "simpy",
    turned: Callable[[Property, float], Scenario] | None = None,
) -> Sensitivity:
    """The elasticity of the metric `name` in every hardware property (or those named), largest first.

    `turned` gives the scenario with a property times a factor, where that is not the record with its field scaled.
    """
    if not 1.0 < step <= 10.0:
        raise InputError(Problem("must be above 1 and at most 10", "--step", f"{step:g}"))
    scenario = scenario_of(scenario)
    chosen, wanted = _properties(scenario, properties), metric(name)
    figure = partial(_figure, wanted, seed=seed, engine=engine)
    base = figure(scenario)
    found = []
    for prop, value in chosen:
        scaled = partial(prop.scaled, scenario) if turned is None else partial(turned, prop)
        low, high, reason = _turned(figure, scaled, step)
        slope = None if low is None or high is None else math.log(high / low) / (2.0 * math.log(step))
        found.append(Elasticity(prop, value, base, step, low, high, slope, reason))
    return Sensitivity(name, tuple(sorted(found, key=lambda e: -abs(e.elasticity or 0.0))))


def _properties(scenario: Scenario, names: Sequence[str]) -> list[tuple[Property, float]]:
    """The properties named, or all the scenario has, each with its value."""
    listed = [property_of(name) for name in names] or list(PROPERTIES.values())
    valued = [(prop, prop.value(scenario)) for prop in listed]
    absent = [prop.name for prop, value in valued if value is None and names]
    if absent:
        raise InputError(Problem("is no limit of this scenario", "--property", ", ".join(absent)))
    return [(prop, value) for prop, value in valued if value is not None]


def _figure(wanted: Metric, scenario: Scenario, seed: int, engine: Engine = "simpy") -> float:
    value = wanted.of(simulate(scenario, levers=False, bands=wanted.band, seed=seed, engine=engine))
    if value is None:
        raise InputError(Problem("has no value in this scenario", "--metric", wanted.name))
    return value


def _turned(
    figure: Callable[[Scenario], float], scaled: Callable[[float], Scenario], step: float
) -> tuple[float | None, float | None, str]:
    """(metric at 1/step, at step times of the property, why one is missing)."""
    figures: list[float | None] = []
    reason = ""
    for factor in (1.0 / step, step):
        try:
            figures.append(figure(scaled(factor)))
        except InfeasibleError as error:
            figures.append(None)
            reason = error.reason.statement
    return figures[0], figures[1], reason


def sobol(
    scenario: Scenario | str | Path,
    name: str = "time_to_target_s",
    properties: Sequence[str] = (),
    span: float = 2.0,
    samples: int = 64,
    seed: int = 0,
) -> Shares:
    """Shares of the variance of the metric `name` that the hardware properties (or those named) make when each lies
    between 1/span and span of its value; `samples` must be a power of two.
    """
    if samples < 2 or samples & (samples - 1):
        raise InputError(Problem("must be a power of two", "--samples", str(samples)))
    if not 1.0 < span < math.inf:
        raise InputError(Problem("must be above 1", "--span", f"{span:g}"))
    base = scenario_of(scenario)
    chosen, wanted = _properties(base, properties), metric(name)

    def logarithm(factors: Sequence[float]) -> float:
        changed = base
        for (prop, _), factor in zip(chosen, factors, strict=True):
            changed = prop.scaled(changed, factor)
        try:
            return math.log(_figure(wanted, changed, seed))
        except (InfeasibleError, UnreachableError) as error:
            statement = error.reason.statement
            raise InputError(Problem(f"a sampled design has no result: {statement}", "--span", f"{span:g}")) from None

    first, total = indices(logarithm, [(1.0 / span, span)] * len(chosen), samples, seed)
    found = [Share(prop, f, t) for (prop, _), f, t in zip(chosen, first, total, strict=True)]
    return Shares(name, tuple(sorted(found, key=lambda share: -share.total)))


def indices(
    function: Callable[[Sequence[float]], float], ranges: Sequence[tuple[float, float]], samples: int, seed: int = 0
) -> tuple[list[float], list[float]]:
    """(first-order, total) Sobol indices of `function` over log-uniform `ranges`."""
    from numpy import apply_along_axis, float64  # noqa: PLC0415
    from numpy.typing import NDArray  # noqa: PLC0415
    from scipy.stats import loguniform, sobol_indices  # noqa: PLC0415  (0.7 s: only where asked for)

    def columns(x: NDArray[float64]) -> NDArray[float64]:
        return apply_along_axis(lambda column: function([float(v) for v in column]), 0, x)

    dists: Any = [loguniform(low, high) for low, high in ranges]
    found = sobol_indices(func=columns, n=samples, dists=dists, rng=seed)
    return [float(v) for v in found.first_order.ravel()], [float(v) for v in found.total_order.ravel()]
