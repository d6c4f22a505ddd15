"""The inverse question: what must the hardware be so that the target is reached by a deadline?

One property: the least factor that meets the deadline, by doubling and bisection (time never rises with a better part).
Several: the least common factor of all, then each turned back as far as the deadline allows, in the order given; what
cannot be turned back by a thousandth binds, the rest has slack. The answer is run forward as its proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import ClassVar, Final

from sim.answer import Answer
from sim.errors import InfeasibleError, InputError, Problem
from sim.files import scenario_of
from sim.records import dataclass
from sim.result import Band
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.simulation.properties import Property, property_of
from sim.units import parse_quantity

LARGEST: Final = 2.0**20
PRECISION: Final = 1e-4
SLACK: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Needed:
    """A property: what it is, what it must be, whether the deadline hangs on it, and the trend of chips it follows
    (a metric of `sim.horizon.trends`; empty: none is known)."""

    prop: Property
    have: float
    need: float
    binding: bool
    trend: str = ""


@dataclass(frozen=True, slots=True)
class Requirement(Answer):
    """What meets the deadline, the time it gives run forward, and the time as it stands (None: does not fit)."""

    REPORT: ClassVar[str] = "sim.report.require"
    deadline_s: float
    needed: tuple[Needed, ...]
    seconds: float
    today_s: float | None
    feasible: bool
    reason: str = ""
    date: str = ""  # of the chip
    probability: float | None = None  # of meeting the deadline, by the errors of the constants; None: they have none


def require(
    scenario: Scenario | str | Path, deadline: float | str, properties: Sequence[str], seed: int = 0
) -> Requirement:
    """The least hardware that reaches the target by a deadline ("7 days", or seconds) by turning `properties`."""
    scenario, deadline_s = scenario_of(scenario), _seconds(deadline)
    if not deadline_s > 0.0 or not math.isfinite(deadline_s):
        raise InputError(Problem("must be positive", "--deadline", f"{deadline_s:g} s"))
    props = [property_of(name) for name in dict.fromkeys(properties)]
    have = [prop.value(scenario) for prop in props]
    if not props or None in have:
        lost = [p.name for p, v in zip(props, have, strict=True) if v is None]
        raise InputError(Problem("is no limit of this scenario", "--property", ", ".join(lost) or "none"))
    question = _Question(scenario, tuple(props), deadline_s, seed)
    today = question.seconds([1.0] * len(props))
    common = _least(lambda factor: question.met([factor] * len(props)))
    if common is None:
        best = question.seconds([LARGEST] * len(props))
        return Requirement(deadline_s, (), best or math.inf, today, False, question.obstacle())
    factors = question.turned_back(common)
    values = [v for v in have if v is not None]
    seconds = question.seconds(factors)
    needed = tuple(
        Needed(p, v, v * p_factor(p, f), question.binds(factors, i), _trend(p.name, scenario))
        for i, (p, v, f) in enumerate(zip(props, values, factors, strict=True))
    )
    forward = seconds if seconds is not None else math.inf
    chance = question.probability(factors)
    return Requirement(deadline_s, needed, forward, today, True, date=scenario.accelerator.date, probability=chance)


TRENDS: Final = {
    "memory_bandwidth": "bandwidth", "memory_capacity": "capacity", "cache_capacity": "cache", "link_bandwidth": "link",
}  # fmt: skip


def _trend(name: str, scenario: Scenario) -> str:
    """The metric of shipped chips a property follows; a peak that of its unit."""
    if name == "peak":
        return "matrix16" if scenario.accelerator.compute[scenario.workload.numerics.compute].matrix else "fp32"
    return TRENDS.get(name, "")


def within(deadline_s: float, band: Band) -> float:
    """Share of outcomes up to a deadline: log-normal on either side of the median, by the 5th and 95th percentile."""
    low, middle, high = math.log(band.p05), math.log(band.p50), math.log(band.p95)
    at = math.log(deadline_s)
    side = middle - low if at < middle else high - middle
    if side <= 0.0:
        return float(at >= middle)
    normal = NormalDist()
    return normal.cdf((at - middle) / side * normal.inv_cdf(0.95))


def _seconds(deadline: float | str) -> float:
    if not isinstance(deadline, str):
        return float(deadline)
    try:
        return parse_quantity(deadline, "seconds")
    except InputError as error:
        raise InputError(*(replace(problem, path="--deadline") for problem in error.problems)) from None


def p_factor(prop: Property, factor: float) -> float:
    """What `factor` times better means for the property's value."""
    return factor if prop.more else 1.0 / factor


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether better parts meet the deadline; a factor says how many times better each is."""

    scenario: Scenario
    props: tuple[Property, ...]
    deadline_s: float
    seed: int

    def scaled(self, factors: Sequence[float]) -> Scenario:
        """The scenario with better parts."""
        changed = self.scenario
        for prop, factor in zip(self.props, factors, strict=True):
            changed = prop.scaled(changed, p_factor(prop, factor))
        return changed

    def probability(self, factors: Sequence[float]) -> float | None:
        """Of meeting the deadline, with the errors the constants of its laws and its chip are known with."""
        known = simulate(self.scaled(factors), seed=self.seed).uncertainty
        band = known.bands.get("time_to_target_s") if known is not None else None
        return None if band is None else within(self.deadline_s, band)

    def seconds(self, factors: Sequence[float]) -> float | None:
        """Time to the target; None where the plan does not fit."""
        try:
            goal = simulate(self.scaled(factors), levers=False, seed=self.seed).time_to_target
        except InfeasibleError:
            return None
        if goal is None:
            raise InputError(Problem("names no target: there is nothing to reach by a deadline", "target"))
        return goal.seconds

    def met(self, factors: Sequence[float]) -> bool:
        """Whether the target is reached in time."""
        seconds = self.seconds(factors)
        return seconds is not None and seconds <= self.deadline_s

    def turned_back(self, common: float) -> list[float]:
        """From `common` for all: each property in turn as little better as the deadline allows."""
        factors = [common] * len(self.props)
        for i in range(len(factors)):

            def with_this(factor: float, i: int = i) -> bool:
                return self.met([*factors[:i], factor, *factors[i + 1 :]])

            factors[i] = _bisected(with_this, 1.0, factors[i]) if not with_this(1.0) else 1.0
        return factors

    def binds(self, factors: Sequence[float], i: int) -> bool:
        """Whether a thousandth less of property `i` misses the deadline."""
        less = [*factors[:i], factors[i] * (1.0 - SLACK), *factors[i + 1 :]]
        return not self.met(less)

    def obstacle(self) -> str:
        """What stands in the way when even boundless properties do not do it."""
        try:
            return simulate(self.scaled([LARGEST] * len(self.props)), levers=False, seed=self.seed).bottleneck.statement
        except InfeasibleError as error:
            return error.reason.statement


def _least(met: Callable[[float], bool]) -> float | None:
    """The least factor ≥ 1/LARGEST that meets it, to PRECISION; None where none up to LARGEST does."""
    high = 1.0
    if met(1.0):
        while high > 1.0 / LARGEST and met(high / 2.0):
            high /= 2.0
        return _bisected(met, high / 2.0, high)
    while not met(high):
        high *= 2.0
        if high > LARGEST:
            return None
    return _bisected(met, high / 2.0, high)


def _bisected(met: Callable[[float], bool], low: float, high: float) -> float:
    """The least factor in (low, high] that meets it, given that `high` does and `low` does not."""
    while high / low > 1.0 + PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if met(middle) else (middle, high)
    return high
