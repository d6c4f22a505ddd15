"""The border: records read from nodes by the statements of their fields.

A name that ends in a unit (`capacity_bytes`, `latency_s`) may be written without it, as a quantity
(`capacity: 80 GiB`), or with it, as a bare SI number.  Null is the default, where it is no value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NoReturn, TypeVar, cast

from sim.errors import InputError, Problem
from sim.fields import (
    REFUSED,
    Intake,
    Kind,
    Number,
    OneOf,
    RecordOf,
    Statement,
    Steps,
    did_you_mean,
    join,
    shown,
    statements,
)
from sim.files.loader import Node
from sim.units import Dimension, read_quantity

T = TypeVar("T")


def read(cls: type[T], node: Node, path: str = "") -> T:
    """An instance of dataclass `cls` from `node`; InputError with every problem, each at its file:line:column.

    Where all that is given is right and only what it is laid over was not found, the error is empty: its resolver
    tells.
    """
    intake = _Border(path)
    record = intake.record(_filled(node), RecordOf(cls), ())
    if record is REFUSED:
        intake.refused()
    return cast(T, record)


def read_partial(cls: type[object], node: Node, path: str = "") -> dict[str, Any]:
    """The fields of `cls` that `node` gives, checked; fields left out may be required ones."""
    intake = _Border(path)
    values = intake.values(_filled(node), cls, (), partial=True)
    if intake.problems:
        intake.refused()
    return values


def refusals(kind: Kind, node: Node, path: str) -> list[Problem]:
    """What is wrong with a node as a value of a field."""
    intake = _Border(path)
    kind.take(node, (), intake)
    return intake.problems


@cache
def key_names(cls: type, dimension: Dimension | None = None) -> Mapping[str, Statement]:
    """Every key a record takes, short ones too, with the field's statement; a short one needs its unit."""
    stated = statements(cls, dimension)
    shorts = {s.short: replace(s, kind=_with_unit(s.kind)) for s in stated if s.short}
    return shorts | {s.name: s for s in stated}


def placed(error: InputError, node: Node, path: str) -> list[Problem]:
    """Problems of a record as it was made, each at the node its path leads to, or at the deepest on the way."""
    return [at_deepest(node, problem, path) for problem in error.problems]


def at_deepest(node: Node, problem: Problem, path: str = "") -> Problem:
    """`problem` at the deepest node below `node` its path leads to; it is told as of `path`."""
    if problem.file:
        return problem
    there, steps = node, problem.path.split(".")
    while steps:
        heads = (".".join(steps[:count]) for count in range(len(steps), 0, -1))  # a key may hold dots: plan.tensor
        head = next((head for head in heads if there.at(int(head) if head.isdigit() else head) is not None), None)
        if head is None:
            break
        there = there.at(int(head) if head.isdigit() else head) or there
        steps = steps[head.count(".") + 1 :]
    return there.problem(problem.rule, join(path, [problem.path]), problem.value, problem.hint)


def _filled(node: Node) -> Node:
    """An empty document is an empty mapping."""
    return Node({}, node.mark, node.key_mark, node.lost) if node.value is None else node


def _with_unit(kind: Any) -> Any:
    """The same kind where a bare number will not do."""
    if isinstance(kind, OneOf):
        return replace(kind, kinds=tuple(map(_with_unit, kind.kinds)))
    return replace(kind, bare=False) if isinstance(kind, Number) else kind


class _Border(Intake):
    """Takes nodes: adds the place to what the fields find wrong, and reads quantities with units."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def refused(self) -> NoReturn:
        """Raise what was found, in file order."""
        raise InputError(*sorted(self.problems, key=lambda p: (p.file, p.line, p.column)))

    def raw(self, item: Node) -> Any:
        return item.value

    def plain(self, item: Node) -> Any:
        return item.plain

    def refuse(self, item: Node, steps: Steps, rule: str, hint: str = "") -> Any:
        self.problems.append(item.problem(rule, join(self.path, steps), shown(item.plain), hint))
        return REFUSED

    def refuse_key(self, item: Node, steps: Steps, rule: str, hint: str = "") -> None:
        mark, value = item.key_mark or item.mark, "" if rule == "unknown key" else shown(steps[-1])
        found = Problem(rule, join(self.path, steps), value, mark.file, mark.line, mark.column, hint)
        self.problems.append(found)

    def number(self, item: Node, kind: Number, steps: Steps) -> Any:
        """SI value of a quantity; a bare number passes where the key names the unit."""
        raw, dimension = item.value, kind.dimension
        if dimension is None or (kind.bare and isinstance(raw, int | float) and not isinstance(raw, bool)):
            return raw
        try:
            return read_quantity(item.plain, dimension)
        except InputError as error:
            return self.refuse(item, steps, error.problems[0].rule, error.problems[0].hint)

    def record(self, item: Node, kind: RecordOf, steps: Steps) -> Any:
        """The record a mapping says; what its fields say together is checked once each is right."""
        before = len(self.problems)
        values = self.values(item, kind.cls, steps, kind.dimension)
        if len(self.problems) > before or item.lost or any(value is REFUSED for value in values.values()):
            return REFUSED
        try:
            return kind.cls(**values)
        except InputError as error:
            self.problems += placed(error, item, join(self.path, steps))
        return REFUSED

    def values(
        self, item: Node, cls: type, steps: Steps, dimension: Dimension | None = None, partial: bool = False
    ) -> dict[str, Any]:
        """What a mapping gives for the fields of a record, by their names."""
        if not isinstance(item.value, dict):
            self.refuse(item, steps, "must be a mapping")
            return {}
        known, taken = key_names(cls, dimension), dict[str, Any]()
        for key, child in item.value.items():
            statement = known.get(key)
            if statement is None:
                self.refuse_key(child, (*steps, key), "unknown key", did_you_mean(key, known))
            elif key != statement.name and statement.name in item.value:
                self.problems.append(item.problem(f"{key} and {statement.name} are one field", join(self.path, steps)))
            elif child.value is not None or statement.nullable or statement.required:
                taken[statement.name] = statement.kind.take(child, (*steps, key), self)
        if not partial and not item.lost:
            for name in (s.name for s in statements(cls) if s.required and not {s.name, s.short} & item.value.keys()):
                self.problems.append(item.problem("is required", join(self.path, [*steps, name])))
        return {s.name: taken[s.name] for s in statements(cls) if s.name in taken}
