"""Several scenarios side by side: ratios, what causes them, and which is ahead where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from sim.answer import Answer
from sim.axes import Axis, axis
from sim.errors import Infeasible, InfeasibleError, InputError, Problem, UnreachableError
from sim.files import build, load_document, locating, scenario_of
from sim.files.idle import idle_fields
from sim.records import dataclass
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.study.attribution import Attributed
from sim.study.attribution import attribute as attribute_difference
from sim.study.crossover import Along
from sim.study.crossover import along as along_axis
from sim.study.metrics import SPENT, Metric


@dataclass(frozen=True, slots=True)
class Case:
    """One column of a comparison: a result, or the error that stands in its place."""

    label: str
    result: Result | None
    failure: Exception | None = None
    scenario: Scenario | None = None  # that was simulated
    advice: tuple[Problem, ...] = ()  # what its file states and its run does not read

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
    """Cases side by side; ratios are against the first that has a result, and so are the `attributions`."""

    REPORT: ClassVar[str] = "sim.report.compare"
    cases: tuple[Case, ...]
    attributions: tuple[Attributed, ...] = ()
    along: Along | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A case of a comparison, still to be simulated."""

    label: str
    given: Scenario | str | Path
    sets: tuple[str, ...] = ()
    seed: int = 0

    def answer(self) -> Case:
        """The case with its result; what is wrong in a file is told with its place."""
        if isinstance(self.given, Scenario):
            scenario = scenario_of(self.given, self.sets)
            return Case(self.label, simulate(scenario, seed=self.seed, levers=False, bands=True), scenario=scenario)
        document = load_document(self.given, self.sets)
        with locating(document):
            scenario = build(document)
            result = simulate(scenario, seed=self.seed, levers=False, bands=True)
        return Case(self.label, result, scenario=scenario, advice=idle_fields(document, scenario, result))


def compare(
    *scenarios: Scenario | str | Path,
    accelerators: Sequence[str] = (),
    labels: Sequence[str] = (),
    sets: Sequence[str] = (),
    seed: int = 0,
    attribute: bool = False,
    along: Mapping[str, object] | None = None,
    metric: str | None = None,
) -> Comparison:
    """Scenarios (records, names or files) side by side, each on every accelerator named where some are.

    `labels` name the cases in their order; a case without one is called as its scenario. `attribute`: share the
    differences of time, cost and energy out over the parts in which the scenarios differ. `along`: one field and its
    values (`{"plan.global_batch": [256, 1024]}`), at which every case is simulated to see where their order in
    `metric` (the time to the target where none is named) changes.
    """
    if metric is not None and not along:
        raise InputError(Problem("goes with `along`", "metric", metric))
    wanted = named(scenarios, accelerators, sets, seed)
    names = [*labels, *(asked.label for asked in wanted[len(labels) :])]
    wanted = [replace(asked, label=label) for asked, label in zip(wanted, names, strict=True)]
    chosen = [axis(path, values) for path, values in (along or {}).items()]
    return explained(tuple(run_all(wanted)), wanted, attribute, chosen, metric or "time_to_target_s")


def named(
    scenarios: Iterable[Scenario | str | Path],
    accelerators: Sequence[str] = (),
    sets: Sequence[str] = (),
    seed: int = 0,
) -> list[Asked]:
    """The cases of a comparison by their labels, each still to be simulated."""
    found: list[Asked] = []
    for given in scenarios:
        for chip in accelerators or (None,):
            label = given.name if isinstance(given, Scenario) else str(given)
            chosen = tuple(sets) if chip is None else on_chip(chip, sets)
            found.append(Asked(label if chip is None else f"{label} on {chip}", given, chosen, seed))
    return found


def on_chip(chip: str, sets: Sequence[str]) -> tuple[str, ...]:
    """Overrides with the accelerator named before those of its fields: `accelerator.memory…` holds for all."""
    of_chip = [text for text in sets if text.startswith(("accelerator.", "cluster.accelerator."))]
    return (*(text for text in sets if text not in of_chip), f"accelerator={chip}", *of_chip)


def run_all(wanted: Iterable[Asked]) -> Iterator[Case]:
    """Simulate each; one that fails keeps its error instead of stopping the others."""
    for asked in wanted:
        try:
            yield asked.answer()
        except Exception as error:  # whatever it is, the other scenarios are worth their answer
            yield Case(asked.label, None, error)


def explained(
    cases: Sequence[Case],
    wanted: Sequence[Asked],
    attributed: bool = False,
    axes: Sequence[Axis] = (),
    metric: str = "time_to_target_s",
) -> Comparison:
    """Finished cases with the causes of their differences, and with their order along an axis, as asked for."""
    if len(axes) > 1:
        raise InputError(Problem("must be one axis", "along", ", ".join(axis.path for axis in axes)))
    varied = [(asked.label, asked.given, asked.sets) for asked in wanted]
    seed = wanted[0].seed if wanted else 0
    found = tuple(_attributions(cases, seed)) if attributed else ()
    order = along_axis(varied, axes[0], metric, seed) if axes else None
    return Comparison(tuple(cases), found, order)


def _attributions(cases: Sequence[Case], seed: int) -> Iterator[Attributed]:
    """Every case that has a result against the first that has one."""
    done = [(case.label, case.scenario, case.result) for case in cases if case.scenario and case.result]
    for label, scenario, result in done[1:]:
        _, first, base = done[0]
        yield attribute_difference(first, scenario, (base, result), seed, label)


def winners(found: Comparison) -> tuple[tuple[Metric, Case, float], ...]:
    """For time, cost and energy to the target: the best case, where all that have a result have the figure."""
    best, done = [], [case for case in found.cases if case.result]
    for metric in SPENT:
        valued = [(v, case) for case in done if case.result and (v := metric.of(case.result)) is not None]
        if len(valued) == len(done) > 1:
            value, case = min(valued, key=lambda pair: pair[0])
            best.append((metric, case, value))
    return tuple(best)


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
