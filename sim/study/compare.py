"""Several scenarios side by side: ratios, and which part of the step causes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sim.errors import Infeasible, InfeasibleError, InputError, UnreachableError
from sim.files import Document, build, locating
from sim.result import Result
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


Named = tuple[str, Callable[[], Document]]


def run_all(wanted: Iterable[Named], seed: int = 0) -> Iterator[Case]:
    """Load and simulate each; one that fails keeps its error instead of stopping the others."""
    for label, load in wanted:
        try:
            document = load()
            with locating(document):
                yield Case(label, simulate(build(document), seed=seed, levers=False))
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
