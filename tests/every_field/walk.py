"""Every field of a tree of input: where it stands, what it may be instead, and what an answer says with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim.errors import ForetrainError
from sim.fields import Choice, Flag, Kind, ListOf, MappingOf, Number, OneOf, RecordOf, Statement, Text, statements
from sim.files.fields import key_names
from sim.units import format_quantity, read_quantity

Path = tuple[str | int, ...]
Tree = dict[str, Any]
DROPPED = object()


@dataclass(frozen=True)
class Place:
    """A field of a record, at a path of a tree."""

    cls: type
    statement: Statement
    path: Path

    @property
    def name(self) -> str:
        return f"{self.cls.__name__}.{self.statement.name}"


def places(cls: type, tree: Any, path: Path = (), dimension: Any = None) -> Iterator[Place]:
    """Every field of the record at `path`, given there or not, and those of the records below."""
    here = at(tree, path)
    names = key_names(cls, dimension)
    for statement in statements(cls, dimension):
        key = next(
            (k for k in here if k in names and names[k].name == statement.name), statement.short or statement.name
        )
        yield Place(cls, statement, (*path, key))
        if key in here and here[key] is not None:
            yield from _below(statement.kind, tree, (*path, key))


def _below(kind: Kind, tree: Any, path: Path) -> Iterator[Place]:
    value = at(tree, path)
    if isinstance(kind, RecordOf) and isinstance(value, dict):
        yield from places(kind.cls, tree, path, kind.dimension)
    for inner in (*getattr(kind, "kinds", ()), *(kind.parts if isinstance(kind, ListOf) and not kind.fixed else ())):
        if isinstance(kind, ListOf):
            for number in range(len(value) if isinstance(value, list) else 0):
                yield from _below(inner, tree, (*path, number))
        else:
            yield from _below(inner, tree, path)
    if isinstance(kind, MappingOf) and isinstance(value, dict):
        for key in value:
            yield from _below(kind.value, tree, (*path, key))


def at(tree: Any, path: Path) -> Any:
    """What stands there."""
    for step in path:
        tree = tree[step]
    return tree


def changed(tree: Any, path: Path, value: Any) -> Any:
    """A copy of `tree` with another value there, or without the key."""
    made = copy.deepcopy(tree)
    holder = at(made, path[:-1])
    if value is DROPPED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return made


def others(place: Place, tree: Any) -> Iterator[Any]:
    """Values the field may take instead, most telling first; not all of them need to be legal here."""
    holder = at(tree, place.path[:-1])
    given = place.path[-1] in holder
    value = holder[place.path[-1]] if given else place.statement.default
    yield from (other for other in _others(place.statement.kind, value) if other != value)
    if given and not place.statement.required:
        yield DROPPED


def _others(kind: Kind, value: Any) -> Iterator[Any]:
    if isinstance(kind, OneOf):
        for one in kind.kinds:
            yield from _others(one, value)
    elif isinstance(kind, Number):
        yield from _numbers(kind, value)
    elif isinstance(kind, Flag):
        yield from (True, False)
    elif isinstance(kind, Choice):
        yield from kind.values
    elif isinstance(kind, Text):
        yield "2023-01" if "date" in kind.rule else f"{value}-other" if value else "other"
    elif isinstance(kind, ListOf):
        yield from _lists(kind, value)
    elif isinstance(kind, MappingOf) and isinstance(value, Mapping) and value:
        first = next(iter(value))
        for other in _others(kind.value, value[first]):
            yield {**value, first: other}
        if len(value) > 1:
            yield {key: item for key, item in value.items() if key != first}


def _numbers(kind: Number, value: Any) -> Iterator[Any]:
    if kind.dimension is not None:
        numbers = _floats(read_quantity(value, kind.dimension) if isinstance(value, str) else value)
        yield from (format_quantity(number, kind.dimension) for number in numbers if number is not None)
    elif kind.whole:
        yield from (
            (value * 2, value // 2, value + 1, value - 1, value * 16) if isinstance(value, int) else (2, 1, 4, 16, 100)
        )
    else:
        yield from _floats(value)


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and value:
        yield from (value * factor for factor in (0.5, 2.0, 0.9, 1.1, 0.01, 100.0))
    else:
        yield from (0.5, 2.0, 1e-6, 1e-3, 1e3, 1e6, 1e9, 1e12)


def _lists(kind: ListOf, value: Any) -> Iterator[Any]:
    items = list(value or ())
    if items:
        yield [*items[1:], items[0]]
        if not kind.fixed:
            yield items[:-1]
        for other in _others(kind.parts[0], items[0]):
            yield [other, *items[1:]]


def counts(place: Place, tree: Tree, values: Iterable[Any], answer: Callable[[Tree], Any], base: Any) -> str:
    """ "" where another value of the field changes the answer, else what became of those tried."""
    told = "nothing to try"
    for value in values:
        try:
            found = answer(changed(tree, place.path, value))
        except ForetrainError as error:
            told = told if told.startswith("no effect") else str(error).splitlines()[0][:150]
            continue
        if found != base:
            return ""
        told = f"no effect of {str(value)[:60]}"
    return told
