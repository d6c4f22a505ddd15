"""How much the error of every published set moves with a property of the hardware: which constant matters where."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Final, TypeAlias

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.simulation.properties import PROPERTIES, Property
from sim.validation.published import load_validation_set, read_rows
from sim.validation.runs import outcome_of_text, simulate_request
from sim.validation.validation import Comparison, Outcome, Request, ValidationSet, compare, requests

FACTOR: Final = 1.05
"""What a property is multiplied by: an error of a few percent, as a calibrated constant has."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Mean error in time of one set, and by how much it changes where each property is 5 % larger."""

    group: str
    rows: int
    bias: float
    change: dict[str, float]


Work: TypeAlias = Iterable[tuple[Property | None, Request]]
Watch: TypeAlias = Callable[[Work, int], Work]


def sensitivity(path: Path, rows: Path | None = None, watch: Watch = lambda work, total: work) -> list[Moved]:
    """Every row simulated once as it is and once per property; sets of runs only."""
    spec = load_validation_set(path)
    if spec.quantity != "run":
        raise InputError(Problem("only sets of runs have hardware properties", "quantity", spec.quantity))
    asked = requests(spec, read_rows(rows) if rows else None)
    work = [(prop, request) for prop in (None, *PROPERTIES.values()) for request in asked]
    seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prop, request in watch(work, len(work)):
        found = _error(spec, request, prop)
        if found is not None:
            seen[found.group]["" if prop is None else prop.name].append(found.error)
    return [_moved(group, errors) for group, errors in seen.items()]


def _error(spec: ValidationSet, request: Request, prop: Property | None) -> Comparison | None:
    def outcome(asked: Request) -> Outcome | str:
        if prop is None:
            return simulate_request(spec, asked)
        change = partial(outcome_of_text, change=lambda scenario: prop.scaled(scenario, FACTOR))
        return simulate_request(spec, asked, change)

    found = compare(request, outcome)
    return found if isinstance(found, Comparison) and math.isfinite(found.error) and found.status == "ok" else None


def _moved(group: str, errors: dict[str, list[float]]) -> Moved:
    bias = mean(errors[""])
    change = {name: mean(values) - bias for name, values in errors.items() if name}
    return Moved(group, len(errors[""]), bias, change)


def names() -> Sequence[str]:
    """The properties, as they are printed."""
    return tuple(PROPERTIES)
