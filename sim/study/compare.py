"""Several scenarios side by side: ratios, and which part of the step causes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import Infeasible, InfeasibleError
from sim.result import Result
from sim.scenario import Scenario
from sim.simulate import simulate


@dataclass(frozen=True, slots=True)
class Case:
    """One column of a comparison: a result, or why there is none."""

    label: str
    result: Result | None
    infeasible: Infeasible | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """How much of the difference in time per sample one part of the step makes (s per sample)."""

    part: str
    seconds_per_sample: float


def run_all(scenarios: Sequence[tuple[str, Scenario]]) -> list[Case]:
    """Simulate each; an infeasible one keeps its reason instead of stopping the others."""
    cases = []
    for label, scenario in scenarios:
        try:
            cases.append(Case(label, simulate(scenario)))
        except InfeasibleError as error:
            cases.append(Case(label, None, error.reason))
    return cases


def causes(base: Result, other: Result) -> tuple[Cause, ...]:
    """Where the difference in step time per sample comes from, largest first; the parts add up to the whole."""
    parts = ("compute_s", "exposed_communication_s", "bubble_s", "input_stall_s")
    found = [
        Cause(
            part.removesuffix("_s").replace("_", " "),
            getattr(other.step, part) / other.plan.global_batch - getattr(base.step, part) / base.plan.global_batch,
        )
        for part in parts
    ]
    return tuple(sorted(found, key=lambda cause: -abs(cause.seconds_per_sample)))
