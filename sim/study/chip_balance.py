"""The recommended chip of a study over the split of a budget: its balance, and what each line and share is worth there.

Recommended is, among the designs within `NEAR` of the least time to the target (of a step where there is none), the one
whose device costs least to make, then the one that needs the least energy. The elasticity of a metric T in a line x of
the budget is d ln T / d ln x, from runs with x a tenth less and a tenth more (a stack less and one more).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, log
from typing import Any, Final

from sim.device.silicon import ChipBudget, ChipDesign
from sim.errors import ForetrainError, InputError
from sim.files.budget import BudgetFile, chip_of
from sim.files.fields import read
from sim.files.merge import ACCELERATOR
from sim.files.scenario import Document, build, document_of
from sim.records import dataclass
from sim.simulation import simulate
from sim.study.explore import figure, front
from sim.study.metrics import METRICS, Metric
from sim.study.runner import assignment
from sim.study.store import Outcome
from sim.study.sweep import Outcomes
from sim.units import Dimension, format_quantity, si_unit

NEAR: Final = 0.02
STEP: Final = 1.1
BUDGET: Final = ".".join((*ACCELERATOR, "budget"))


@dataclass(frozen=True, slots=True)
class Worth:
    """A line or share of a budget at the recommended chip: d ln metric / d ln value by metric, or why there is none."""

    name: str
    value: str
    elasticities: Mapping[str, float]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """The recommended design of a study, its chip, the front it is of, and what more of each line is worth."""

    outcome: Outcome
    overrides: Mapping[str, object]
    made: ChipDesign
    objectives: tuple[Metric, ...]
    front: tuple[Outcome, ...]
    worth: tuple[Worth, ...]


def balance(found: Outcomes) -> Balance | None:
    """Of a finished study over a budget; None where it has no budget or no result."""
    tree = found.identity.get("bought")
    timed = METRICS[
        "time_to_target_s" if any(figure(o, METRICS["time_to_target_s"]) for o in found.outcomes) else "step_s"
    ]
    objectives = (timed, METRICS["devices_usd"], METRICS["energy_j"])
    best = front(found.outcomes, [m for m in objectives if any(figure(o, m) for o in found.outcomes)], ())
    if not isinstance(tree, dict) or not best:
        return None
    chosen = recommended(best, timed)
    overrides = found.designs.overrides(chosen.number)
    document = _document(tree, overrides)
    file = _file(document)
    worth = tuple(_worth(tree, overrides, file.budget, objectives))
    return Balance(chosen, overrides, chip_of(file), objectives, tuple(best), worth)


def recommended(best: list[Outcome], timed: Metric) -> Outcome:
    """The cheapest design of a front that is nearly as fast as the fastest."""
    least = min(_value(o, timed) for o in best)
    near = [o for o in best if _value(o, timed) <= (1.0 + NEAR) * least]
    return min(near, key=lambda o: (_value(o, METRICS["devices_usd"]), _value(o, METRICS["energy_j"]), o.number))


def _value(outcome: Outcome, metric: Metric) -> float:
    value = figure(outcome, metric)
    return inf if value is None else value


def _document(tree: dict[str, Any], overrides: Mapping[str, object]) -> Document:
    return document_of(tree, "the study", [assignment(path, value) for path, value in overrides.items()])


def _file(document: Document) -> BudgetFile:
    """The chip of a resolved scenario, as a budget."""
    return read(BudgetFile, document.node.at(*ACCELERATOR) or document.node)


def _worth(
    tree: dict[str, Any], overrides: Mapping[str, object], budget: ChipBudget, objectives: tuple[Metric, ...]
) -> Iterator[Worth]:
    """Every line, and every share the design states."""
    lines: tuple[tuple[str, float | None, Dimension | None], ...] = (
        ("area", budget.area, "area"),
        ("power", budget.power_w, "watts"),
        ("stacks", float(budget.stacks), None),
        ("matrix_share", budget.matrix_share, None),
        ("cache_share", budget.cache_share, None),
    )
    for name, value, dimension in lines:
        if not value:
            continue
        near = (value - 1.0, value + 1.0) if name == "stacks" else (value / STEP, value * STEP)
        found, reason = {}, ""
        for each in (near[0], value, near[1]):
            try:
                found[each] = _metrics(
                    tree, {**overrides, f"{BUDGET}.{name}": _text(each, name, dimension)}, objectives
                )
            except ForetrainError as error:
                reason = f"{_text(each, name, dimension)}: {_why(error)}"
        shown = f"{value:g}" if dimension is None else format_quantity(value, dimension)
        yield Worth(name, shown, _slopes(found, objectives), reason)


def _why(error: ForetrainError) -> str:
    """Why a value has no result, without the place."""
    return error.problems[0].rule if isinstance(error, InputError) else str(error)


def _text(value: float, name: str, dimension: Dimension | None) -> object:
    """A value as a file states it."""
    if dimension is None:
        return int(value) if name == "stacks" else float(f"{value:.6g}")
    return f"{value:.12g} {si_unit(dimension)}"


def _metrics(tree: dict[str, Any], overrides: Mapping[str, object], wanted: tuple[Metric, ...]) -> dict[str, float]:
    result = simulate(build(_document(tree, overrides)), levers=False)
    return {metric.name: value for metric in wanted if (value := metric.of(result)) is not None}


def _slopes(found: Mapping[float, Mapping[str, float]], wanted: tuple[Metric, ...]) -> dict[str, float]:
    """d ln metric / d ln value between the least and the most value that has a result."""
    if len(found) < 2:
        return {}
    low, high = min(found), max(found)
    names = [m.name for m in wanted if m.name in found[low] and m.name in found[high]]
    return {name: log(found[high][name] / found[low][name]) / log(high / low) for name in names}
