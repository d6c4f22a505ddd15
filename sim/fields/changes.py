"""A record with one field changed, by its path: `changed(scenario, "plan.tensor", 8)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar, cast

from sim.errors import InputError, Problem
from sim.fields.kinds import REFUSED, Intake, Kind, ListOf, MappingOf, Number, Steps, did_you_mean, join, shown
from sim.fields.records import Statement, statements
from sim.units import read_quantity

R = TypeVar("R")


class _Quantities(Intake):
    """Python's values; where a field has a dimension, a text with its unit will do as in YAML."""

    def number(self, item: Any, kind: Number, steps: Steps) -> Any:
        if not isinstance(item, str) or kind.dimension is None:
            return item
        try:
            return read_quantity(item, kind.dimension)
        except InputError as error:
            return self.refuse(item, steps, error.problems[0].rule, error.problems[0].hint)


def changed(record: R, path: str, value: object) -> R:
    """`record` with `value` at `path`; a name that ends in a unit may be written without it (`memory.capacity`)."""
    return cast(R, _changed(record, tuple(path.split(".")), value, ()))


def _changed(record: Any, steps: Steps, value: object, above: Steps) -> Any:
    statement = _statement(type(record), steps[0], above)
    held = getattr(record, statement.name)
    there: Steps = (*above, statement.name)
    return replace(record, **{statement.name: _below(held, statement.kind, steps[1:], value, there)})


def _statement(cls: type, name: str | int, above: Steps) -> Statement:
    known = {statement.short or statement.name: statement for statement in statements(cls)}
    known |= {statement.name: statement for statement in statements(cls)}
    if name not in known:
        raise InputError(Problem("unknown field", join("", (*above, name)), hint=did_you_mean(name, known)))
    return known[str(name)]


def _below(held: Any, kind: Kind, steps: Steps, value: object, there: Steps) -> Any:
    """What stands at `there` with the value laid at the rest of the path."""
    if not steps:
        intake = _Quantities()
        taken = kind.take(value, there, intake)
        if intake.problems:
            raise InputError(*intake.problems)
        return held if taken is REFUSED else taken
    if is_dataclass(held):
        return _changed(held, steps, value, there)
    step, *rest = steps
    if isinstance(held, Mapping) and isinstance(kind, MappingOf) and (step in held or not rest):
        return {**held, step: _below(held.get(str(step)), kind.value, tuple(rest), value, (*there, step))}
    if isinstance(held, tuple) and isinstance(kind, ListOf) and str(step).isdigit() and int(step) < len(held):
        place = int(step)
        part = kind.parts[place if kind.fixed else 0]
        return (*held[:place], _below(held[place], part, tuple(rest), value, (*there, place)), *held[place + 1 :])
    hint = did_you_mean(step, held) if isinstance(held, Mapping) else ""
    raise InputError(Problem("has no such part", join("", there), shown(str(step)), hint=hint))
