"""Kinds of values a field takes: what is accepted, and the sentence where it is not.

Every kind is taken through an `Intake`, which says where values come from: Python's own, or YAML's nodes
(`sim.files.fields`), which adds places and reads quantities with units.  A test is the fast way to see that a value is
right already.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeAlias

from sim.errors import Problem
from sim.records import dataclass
from sim.units import Dimension

Steps: TypeAlias = tuple[str | int, ...]
Test: TypeAlias = Callable[[Any], bool]

SMALLEST: Final = 1e-24
LARGEST: Final = 1e30
"""No quantity of hardware and no size of a model is beyond these; products of a few of them stay finite."""
LARGEST_WHOLE: Final = 10**15


# What people call a field elsewhere.
_ALSO: Final[dict[str, str]] = {
    **dict.fromkeys(("tp", "tensor_parallel"), "tensor"),
    **dict.fromkeys(("pp", "pipeline_parallel"), "pipeline"),
    **dict.fromkeys(("dp", "data_parallel"), "data"),
    **dict.fromkeys(("cp", "context_parallel"), "context"),
    **dict.fromkeys(("ep", "expert_parallel"), "expert"),
    **dict.fromkeys(("vpp", "interleave"), "virtual_stages"),
    **dict.fromkeys(("zero", "zero_stage", "fsdp"), "sharding"),
    **dict.fromkeys(("batch", "batch_size", "gbs"), "global_batch"),
    **dict.fromkeys(("micro_batch", "mbs"), "sub_batch"),
    **dict.fromkeys(("gpus", "world_size"), "devices"),
    "tokens": "units",
    "checkpointing": "recompute",
}
MOST_NAMES: Final = 6  # that a hint lists


def did_you_mean(word: object, choices: Iterable[object]) -> str:
    """`did you mean "data"?`, or nothing: what the word stands for elsewhere, names that hold it, else the nearest."""
    from difflib import get_close_matches  # noqa: PLC0415  (start-up time: only where something is wrong)

    known, meant = [str(choice) for choice in choices], str(word).lower()
    other = _ALSO.get(meant, "")
    holding = [name for name in known if meant in name.lower()] if len(meant) > 2 else []
    tails = [name for name in known if name.rpartition("/")[2] == meant]
    if other in known or tails:
        close = [other] if other in known else tails
    elif 0 < len(holding) <= MOST_NAMES and not get_close_matches(str(word), known, 1, 0.8):
        close = holding
    else:
        close = get_close_matches(str(word), known, 1, 0.55)
    quoted = " or ".join(f'"{name}"' for name in close)
    return f"did you mean {quoted}?" if close else ""


def shown(value: object) -> str:
    """A value as a message quotes it: text in quotes, containers by kind, long text cut."""
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if dataclasses.is_dataclass(value):
        return f"a {type(value).__name__}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def join(prefix: str, steps: Iterable[str | int]) -> str:
    """A dotted path."""
    return ".".join(filter(None, [prefix, *map(str, steps)]))


REFUSED: Final = object()
"""What stands for a value that was refused."""


class Intake:
    """How values come in; this one is Python's.  The border's reads nodes of YAML."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def raw(self, item: Any) -> Any:
        """The value itself: a scalar, or a container of further items."""
        return item

    def plain(self, item: Any) -> Any:
        """The value with everything in it unwrapped."""
        return item

    def refuse(self, item: Any, steps: Steps, rule: str, hint: str = "") -> Any:
        """Note what is wrong with `item`."""
        self.problems.append(Problem(rule, join("", steps), shown(self.plain(item)), hint=hint))
        return REFUSED

    def refuse_key(self, item: Any, steps: Steps, rule: str, hint: str = "") -> None:
        """Note what is wrong with the key `item` stands under."""
        self.problems.append(Problem(rule, join("", steps), shown(steps[-1]), hint=hint))

    def number(self, item: Any, kind: Number, steps: Steps) -> Any:
        """The number of a quantity."""
        return item

    def record(self, item: Any, kind: RecordOf, steps: Steps) -> Any:
        """The record that is already one."""
        if not isinstance(item, kind.cls):
            self.refuse(item, steps, f"must be a {kind.cls.__name__}")
        return item


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field takes."""

    word: ClassVar[str] = "anything"

    def fits(self, raw: object) -> bool:
        """Whether a value is of this kind at all, its range apart."""
        return True

    def test(self) -> Test | None:
        """A fast test that what a record holds needs no second look; None: nothing to test."""
        return None

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        """The value as the record holds it; what is wrong goes to the intake."""
        return intake.plain(item)


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A float or a whole number; with a dimension, text at the border is a quantity.
    `bare`: the name of the field says the unit, so that a bare SI number will do there."""

    whole: bool = False
    dimension: Dimension | None = None
    bare: bool = True
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    @property
    def word(self) -> str:  # type: ignore[override]
        return "a whole number" if self.whole else "a number"

    def fits(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return False
        if isinstance(raw, float) and self.whole:
            return raw.is_integer() or not math.isfinite(raw)
        return isinstance(raw, int | float) or (self.whole and hasattr(raw, "__index__"))

    def test(self) -> Test:
        low, high = (-LARGEST_WHOLE, LARGEST_WHOLE) if self.whole else (-LARGEST, LARGEST)
        bounds = [low if self.ge is None else self.ge, high if self.le is None else self.le]
        bounds += [math.nextafter(self.gt, math.inf)] if self.gt is not None else [bounds[0]]
        bounds += [math.nextafter(self.lt, -math.inf)] if self.lt is not None else [bounds[1]]
        least, most, kind = max(bounds[0], bounds[2]), min(bounds[1], bounds[3]), int if self.whole else float
        if self.dimension is not None:
            smallest = max(least, SMALLEST)
            return lambda v: type(v) is float and (smallest <= v <= most or (v == 0.0 and least <= v))
        return lambda v: type(v) is kind and least <= v <= most

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        value = intake.number(item, self, steps)
        if value is REFUSED:
            return value
        if not self.fits(value):
            return intake.refuse(item, steps, f"must be {self.word}")
        if rule := self._broken(value):
            return intake.refuse(item, steps, rule)
        if self.whole:
            return int(value) if isinstance(value, float) else operator.index(value)
        return float(value)

    def _broken(self, value: Any) -> str:
        """The rule a number breaks, or nothing."""
        try:
            finite = math.isfinite(value)
        except OverflowError:  # an integer of more than 308 digits
            finite = False
        if not finite:
            return "must be finite"
        if self.gt is not None and not value > self.gt:
            return "must be positive" if self.gt == 0 else f"must be greater than {self.gt:g}"
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {self.ge:g}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {self.lt:g}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {self.le:g}"
        if self.dimension is not None and value and not SMALLEST <= abs(value) <= LARGEST:
            return f"must lie between {SMALLEST:g} and {LARGEST:g} in SI units"
        largest = LARGEST_WHOLE if self.whole else LARGEST
        return f"must be at most {largest:g}" if abs(value) > largest else ""


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Text; where a pattern is given, all of it must match, or `rule` is what is wrong."""

    word: ClassVar[str] = "text"
    pattern: str = ""
    rule: str = ""

    def fits(self, raw: object) -> bool:
        return isinstance(raw, str)

    def test(self) -> Test:
        if not self.pattern:
            return lambda v: type(v) is str
        match = re.compile(self.pattern).fullmatch
        return lambda v: type(v) is str and match(v) is not None

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        if not isinstance(raw, str):
            return intake.refuse(item, steps, "must be text")
        if self.pattern and re.fullmatch(self.pattern, raw) is None:
            return intake.refuse(item, steps, self.rule)
        return raw


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """True or false."""

    word: ClassVar[str] = "true or false"

    def fits(self, raw: object) -> bool:
        return isinstance(raw, bool)

    def test(self) -> Test:
        return lambda v: v is True or v is False

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        return raw if self.fits(raw) else intake.refuse(item, steps, "must be true or false")


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of some values: the members of an enum, or those of a `Literal`."""

    values: tuple[Any, ...]

    @property
    def word(self) -> str:  # type: ignore[override]
        return f"{'one of ' if len(self.values) > 1 else ''}{', '.join(map(str, self.values))}"

    def fits(self, raw: object) -> bool:
        return isinstance(raw, str)

    def test(self) -> Test:
        if isinstance(self.values[0], StrEnum):
            cls = type(self.values[0])
            return lambda v: type(v) is cls
        members = frozenset(self.values)
        return lambda v: v.__class__ in (str, int) and v in members

    def member(self, raw: object) -> Any:
        """The member that `raw` names, or None."""
        return next((v for v in self.values if v == raw and not isinstance(raw, bool)), None)

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        if (member := self.member(raw)) is None:
            hint = did_you_mean(raw, self.values) if isinstance(raw, str) else ""
            return intake.refuse(item, steps, f"must be {self.word}", hint)
        return member

    def take_key(self, item: Any, steps: Steps, intake: Intake) -> Any:
        """The same of a key of a mapping."""
        if (member := self.member(steps[-1])) is None:
            intake.refuse_key(item, steps, f"must be {self.word}", did_you_mean(steps[-1], self.values))
        return member


@dataclass(frozen=True, slots=True)
class ListOf(Kind):
    """A tuple: any number of one kind, or exactly the kinds in `parts`."""

    word: ClassVar[str] = "a list"
    parts: tuple[Kind, ...]
    fixed: bool = False

    def fits(self, raw: object) -> bool:
        return isinstance(raw, Sequence) and not isinstance(raw, str)

    def test(self) -> Test:
        tests = [part.test() or (lambda v: True) for part in self.parts]
        if self.fixed:
            return lambda v: type(v) is tuple and len(v) == len(tests) and all(t(x) for t, x in zip(tests, v))  # noqa: B905
        inner = tests[0]
        return lambda v: type(v) is tuple and all(map(inner, v))

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        if not self.fits(raw):
            return intake.refuse(item, steps, "must be a list")
        if self.fixed and len(raw) != len(self.parts):
            return intake.refuse(item, steps, f"must have {len(self.parts)} elements")
        parts = self.parts if self.fixed else self.parts * len(raw)
        return tuple(
            kind.take(child, (*steps, i), intake) for i, (kind, child) in enumerate(zip(parts, raw, strict=True))
        )


@dataclass(frozen=True, slots=True)
class MappingOf(Kind):
    """A mapping of names, or of the members of a choice."""

    word: ClassVar[str] = "a mapping"
    key: Kind
    value: Kind

    def fits(self, raw: object) -> bool:
        return isinstance(raw, Mapping)

    def test(self) -> Test | None:
        key, value = self.key.test() or (lambda v: True), self.value.test() or (lambda v: True)
        return lambda m: isinstance(m, Mapping) and all(map(key, m)) and all(map(value, m.values()))

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        if not isinstance(raw, Mapping):
            return intake.refuse(item, steps, "must be a mapping")
        taken: dict[Any, Any] = {}
        for key, child in raw.items():
            there = (*steps, key)
            if not isinstance(key, str):
                intake.refuse_key(child, there, "must be text")
            name = self.key.take_key(child, there, intake) if isinstance(self.key, Choice) else key
            taken[name] = self.value.take(child, there, intake)
        return taken


@dataclass(frozen=True, slots=True)
class RecordOf(Kind):
    """A nested record; `dimension` is that of its field `value`, where the outer field names one."""

    word: ClassVar[str] = "a mapping"
    cls: type
    dimension: Dimension | None = None

    def fits(self, raw: object) -> bool:
        return isinstance(raw, self.cls | dict)

    def test(self) -> Test:
        cls = self.cls
        return lambda v: isinstance(v, cls)

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        return intake.record(item, self, steps)


@dataclass(frozen=True, slots=True)
class OneOf(Kind):
    """Any of several kinds, told apart by their types; `nullable`: or nothing."""

    kinds: tuple[Kind, ...]
    nullable: bool = False

    @property
    def word(self) -> str:  # type: ignore[override]
        return " or ".join(kind.word for kind in self.kinds)

    def fits(self, raw: object) -> bool:
        return (raw is None and self.nullable) or any(kind.fits(raw) for kind in self.kinds)

    def test(self) -> Test:
        tests, nullable = [kind.test() or (lambda v: True) for kind in self.kinds], self.nullable
        if len(tests) == 1:
            only = tests[0]
            return lambda v: only(v) or (v is None and nullable)
        return lambda v: (v is None and nullable) or any(t(v) for t in tests)

    def take(self, item: Any, steps: Steps, intake: Intake) -> Any:
        raw = intake.raw(item)
        if raw is None and self.nullable:
            return None
        if len(self.kinds) == 1:
            return self.kinds[0].take(item, steps, intake)
        whole_first = sorted(self.kinds, key=lambda kind: not getattr(kind, "whole", False))
        kind = next((kind for kind in whole_first if kind.fits(raw)), None)
        if kind is None or (isinstance(kind, Choice) and kind.member(raw) is None):
            hint = did_you_mean(raw, kind.values) if kind else ""
            return intake.refuse(item, steps, f"must be {self.word}", hint)
        return kind.take(item, steps, intake)
