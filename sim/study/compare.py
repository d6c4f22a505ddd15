"""Several scenarios side by side: ratios, and which part of the step causes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import Infeasible, InfeasibleError
from sim.files import Document, build, locating
from sim.result import Result
from sim.simulation import simulate


@dataclass(frozen=True, slots=True)
class Case:
    """One column of a comparison: a result, or why there is none."""

    label: str
    result: Result | None
    infeasible: Infeasible | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """How much of the difference in device time per sample one part of the step makes (device-seconds per sample)."""

    part: str
    device_seconds: float


def run_all(documents: Sequence[tuple[str, Document]], seed: int = 0) -> list[Case]:
    """Simulate each; an infeasible one keeps its reason instead of stopping the others."""
    cases = []
    for label, document in documents:
        try:
            with locating(document):
                cases.append(Case(label, simulate(build(document), seed=seed)))
        except InfeasibleError as error:
            cases.append(Case(label, None, error.reason))
    return cases


def device_seconds(result: Result) -> float:
    """Device-seconds per sample: what one device would need for a sample at the rate it works here."""
    return result.step.time_s * result.devices / result.plan.global_batch


def causes(base: Result, other: Result) -> tuple[Cause, ...]:
    """Where the difference in device-seconds per sample comes from, largest first; the parts add up to the whole."""
    parts = ("compute_s", "exposed_communication_s", "bubble_s", "input_stall_s")

    def each(result: Result, part: str) -> float:
        return float(getattr(result.step, part)) * result.devices / result.plan.global_batch

    found = [Cause(part.removesuffix("_s").replace("_", " "), each(other, part) - each(base, part)) for part in parts]
    return tuple(sorted(found, key=lambda cause: -abs(cause.device_seconds)))
