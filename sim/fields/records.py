"""Records whose fields state themselves, and are checked on construction."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, Self, Union, get_args, get_origin, get_type_hints

from sim.errors import InputError, Problem
from sim.fields.kinds import Choice, Flag, Intake, Kind, ListOf, MappingOf, Number, OneOf, RecordOf, Test, Text, shown
from sim.records import dataclass
from sim.units import Dimension

SUFFIXES: Final[dict[str, Dimension]] = {"_bytes": "bytes", "_s": "seconds", "_w": "watts", "_usd": "usd"}
_NAMES: Final[dict[str, Dimension]] = {"bandwidth": "bandwidth", "peak_flops": "flops"}
FILLED: Final = (r"[\s\S]*\S[\s\S]*", "must not be empty")
DATE: Final = (
    r"|\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?",
    "must be a date: year-month or year-month-day",
)


def about(
    doc: str,
    unit: str = "",
    *,
    dimension: Dimension | None = None,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    pattern: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Metadata of a field: what it is, its unit or dimension, its range, a pattern with its rule (for text)."""
    stated = {"unit": unit, "dimension": dimension, "gt": gt, "ge": ge, "lt": lt, "le": le, "pattern": pattern}
    return {"doc": doc, **{key: value for key, value in stated.items() if value not in (None, "")}}


LARGEST: Final = 2 * 10**9
DEEPEST: Final = 65_536
"""No size of a model is larger, no stack deeper: far beyond any model, and still counted in no time."""


def size(doc: str, unit: str = "", *, least: int = 1, most: int = LARGEST) -> dict[str, Any]:
    """Metadata of a whole size of a model."""
    return about(doc, unit, ge=least, le=most)


def same_as(cls: type, name: str, empty: str = "", doc: str = "") -> dict[str, Any]:
    """Metadata of a field that stands for another record's, whose range and unit stay stated there; what it means
    to leave it `empty`."""
    found = next(f for f in dataclasses.fields(cls) if f.name == name)
    dimension = _dimension(name, found.metadata)
    text = (doc or str(found.metadata["doc"])) + (f"; empty: {empty}" if empty else "")
    return {**({"dimension": dimension} if dimension else {}), **found.metadata, "doc": text}


def short_name(name: str) -> str:
    """A name without the unit it ends in (`capacity` of `capacity_bytes`), or nothing."""
    ends = (suffix for suffix in SUFFIXES if name.endswith(suffix) and len(name) > len(suffix))
    return next((name.removesuffix(suffix) for suffix in ends), "")


class Record:
    """Base of every frozen record that a person may write, in Python or YAML."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Every field first; what the fields say together is due once each is right by itself."""
        cls: Any = type(self)
        problems: list[Problem] = []
        for name, test in _tests(cls):
            if not test(getattr(self, name)):
                problems = _settle(self)
                break
        if not problems:
            for name, value in self.derived().items():
                object.__setattr__(self, name, value)
        if problems or (problems := list(self.contradictions())):
            raise InputError(*problems)

    def derived(self) -> Mapping[str, object]:
        """Fields that take their value from others."""
        return {}

    def contradictions(self) -> Iterable[Problem]:
        """Problems of fields that do not go together, each at the field to change."""
        return ()

    def with_(self, path: str, value: object) -> Self:
        """The same record with `value` at `path`, checked: `with_("plan.tensor", 8)`, `with_("memory.bandwidth",
        "4 TB/s")`.
        """
        from sim.fields.changes import changed  # noqa: PLC0415  (reads statements of this module)

        return changed(self, path, value)


def problem(path: str, rule: str, value: object = None, hint: str = "") -> Problem:
    """A problem of one field, its value as messages quote it."""
    return Problem(rule, path, "" if value is None else shown(value), hint=hint)


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything one field says; one that is `required` has no default."""

    name: str
    kind: Kind
    doc: str = ""
    unit: str = ""
    required: bool = True
    default: Any = None

    @property
    def nullable(self) -> bool:
        """Whether null is a value of its own."""
        return type(self.kind) is Kind or (isinstance(self.kind, OneOf) and self.kind.nullable)

    @property
    def short(self) -> str:
        """The name without the unit it ends in."""
        return short_name(self.name)


@cache
def statements(cls: Any, dimension: Dimension | None = None) -> tuple[Statement, ...]:
    """What each field of a dataclass states, in order; `dimension` is that of a field named `value`."""
    hints = get_type_hints(cls)
    found: list[Statement] = []
    for field in dataclasses.fields(cls):
        meta = dict(field.metadata)
        if field.name == "value" and dimension is not None:
            meta.setdefault("dimension", dimension)
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        required = default is dataclasses.MISSING
        kind, texts = _kind(hints[field.name], field.name, meta), (str(meta.get("doc", "")), str(meta.get("unit", "")))
        found.append(Statement(field.name, kind, *texts, required, None if required else default))
    return tuple(found)


def _dimension(name: str, meta: Mapping[str, Any]) -> Dimension | None:
    """The dimension of a field: as its metadata says, else as its name ends."""
    stated: Dimension | None = meta.get("dimension") or _NAMES.get(name)
    return stated or next((d for s, d in SUFFIXES.items() if name.endswith(s)), None)


def _kind(hint: Any, name: str, meta: Mapping[str, Any]) -> Kind:
    """The kind behind a type hint."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = tuple(_kind(a, name, meta) for a in args if a is not type(None))
        return OneOf(kinds, type(None) in args)
    if origin is tuple:
        parts = tuple(a for a in args if a is not ...)
        bare = {} if float in parts else meta  # a range beside names or numbers of devices is that of the share
        return ListOf(tuple(_kind(a, name, meta if a is float else bare) for a in parts), fixed=parts == args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return MappingOf(_kind(args[0], "", {}), _kind(args[1], name, meta))
    if origin is Literal:
        return Choice(args)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return RecordOf(hint, _dimension(name, meta))
    return _scalar(hint, name, meta)


def _scalar(hint: Any, name: str, meta: Mapping[str, Any]) -> Kind:
    """The kind of a number, text, truth value or enum; any other type is taken as it comes."""
    bounds = {key: meta[key] for key in ("gt", "ge", "lt", "le") if key in meta}
    if hint is int:
        return Number(whole=True, **bounds)
    if hint is float:
        dimension = _dimension(name, meta)
        if dimension is not None and "gt" not in bounds:
            bounds.setdefault("ge", 0.0)  # no physical quantity is negative
        bare = name.endswith("_j") or ("dimension" not in meta and name not in _NAMES)
        return Number(dimension=dimension, bare=bare, **bounds)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Choice(tuple(hint))
    if hint is str and "choices" in meta:
        choices = meta["choices"]
        return Choice(tuple(choices() if callable(choices) else choices))
    if hint is str:
        return Text(*meta.get("pattern", ()))
    return Flag() if hint is bool else Kind()


@cache
def _tests(cls: Any) -> tuple[tuple[str, Test], ...]:
    """The fast test of each field of a record."""
    return tuple((s.name, test) for s in statements(cls) if (test := s.kind.test()))


def _settle(record: Any) -> list[Problem]:
    """Every problem of every field; what only needed another type (a choice's string, a list) is put right."""
    intake = Intake()
    cls: Any = type(record)
    for statement in statements(cls):
        value = getattr(record, statement.name)
        before = len(intake.problems)
        taken = statement.kind.take(value, (statement.name,), intake)
        if len(intake.problems) == before and taken is not value:
            object.__setattr__(record, statement.name, taken)
    return intake.problems


def records_below(cls: Any) -> Iterator[type]:
    """A record class and every one its fields hold, each once, outermost first."""
    seen: list[type] = []

    def visit(kind: Kind) -> None:
        if isinstance(kind, RecordOf) and kind.cls not in seen:
            seen.append(kind.cls)
            for statement in statements(kind.cls):
                visit(statement.kind)
        for below in (*getattr(kind, "parts", ()), *getattr(kind, "kinds", ())):
            visit(below)
        if isinstance(kind, MappingOf):
            visit(kind.value)

    visit(RecordOf(cls))
    yield from seen
