"""Several scenarios side by side: ratios, and which part of the step causes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from sim.answer import Answer
from sim.errors import Infeasible, InfeasibleError, InputError, UnreachableError
from sim.files import build, load_document, locating, scenario_of
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import simulate


@dataclass(frozen=True, slots=True)
class Case:
    """One column of a comparison: a result, or the error that stands in its place."""

    label: str
    result: Result | None
    failure: Exception | None = None

    @property
    def infeasible(self) -> Infeasible | None:
        """Why it does not fit, where that is the reason."""
        return self.failure.reason if isinstance(self.failure, InfeasibleError) else None

    @property
    def reason(self) -> str:
        """Why there is no result, in a sentence."""
        error = self.failure
        if isinstance(error, InputError):
            return "; ".join(map(str, error.problems))
        if isinstance(error, InfeasibleError | UnreachableError):
            return error.reason.statement
        return "" if error is None else f"bug: {type(error).__name__}: {error}"

    @property
    def verdict(self) -> str:
        """The same in two words, for a cell."""
        if self.failure is None:
            return "ok"
        known = {InfeasibleError: "does not fit", UnreachableError: "unreachable", InputError: "bad input"}
        return next((words for kind, words in known.items() if isinstance(self.failure, kind)), "bug")


@dataclass(frozen=True, slots=True)
class Cause:
    """How much of the difference in device time per sample one part of the step makes (device-seconds per sample)."""

    part: str
    device_seconds: float


@dataclass(frozen=True, slots=True)
class Comparison(Answer):
    """Cases side by side; ratios are against the first that has a result."""

    REPORT: ClassVar[str] = "sim.report.compare"
    cases: tuple[Case, ...]


Named = tuple[str, Callable[[], Result]]


def compare(
    *scenarios: Scenario | str | Path,
    accelerators: Sequence[str] = (),
    labels: Sequence[str] = (),
    sets: Sequence[str] = (),
    seed: int = 0,
) -> Comparison:
    """Scenarios (records, names or files) side by side, each on every accelerator named where some are.

    `labels` name the cases in their order; a case without one is called as its scenario.
    """
    wanted = named(scenarios, accelerators, sets, seed)
    names = [*labels, *(label for label, _ in wanted[len(labels) :])]
    return Comparison(tuple(run_all((name, work) for name, (_, work) in zip(names, wanted, strict=True))))


def named(
    scenarios: Iterable[Scenario | str | Path],
    accelerators: Sequence[str] = (),
    sets: Sequence[str] = (),
    seed: int = 0,
) -> list[Named]:
    """The cases of a comparison by their labels, each still to be simulated."""
    found: list[Named] = []
    for given in scenarios:
        for chip in accelerators or (None,):
            label = given.name if isinstance(given, Scenario) else str(given)
            chosen = sets if chip is None else _on(chip, sets)
            found.append((label if chip is None else f"{label} on {chip}", partial(_simulated, given, chosen, seed)))
    return found


def _on(chip: str, sets: Sequence[str]) -> tuple[str, ...]:
    """Overrides with the accelerator named before those of its fields: `accelerator.memory…` holds for all."""
    of_chip = [text for text in sets if text.startswith(("accelerator.", "cluster.accelerator."))]
    return (*(text for text in sets if text not in of_chip), f"accelerator={chip}", *of_chip)


def _simulated(given: Scenario | str | Path, sets: Sequence[str], seed: int) -> Result:
    """The result of a scenario; what is wrong in a file is told with its place."""
    if isinstance(given, Scenario):
        return simulate(scenario_of(given, sets), seed=seed, levers=False)
    document = load_document(given, sets)
    with locating(document):
        return simulate(build(document), seed=seed, levers=False)


def run_all(wanted: Iterable[Named]) -> Iterator[Case]:
    """Simulate each; one that fails keeps its error instead of stopping the others."""
    for label, work in wanted:
        try:
            yield Case(label, work())
        except Exception as error:  # whatever it is, the other scenarios are worth their answer
            yield Case(label, None, error)


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
