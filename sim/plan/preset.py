"""Releases of training frameworks: the habits and limits of each, with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from sim.fields import DATE, Confidence, Record, about
from sim.records import dataclass

UNKNOWN: Final = "unknown"
_CONFIDENCE: Final = about("A read in the code or paper … D recalled or assumed")
_SOURCE: Final = about("code and tag, or paper and section")


@dataclass(frozen=True, slots=True)
class Habit(Record):
    """One field of a plan or of numerics as a release sets it where the user does not."""

    key: str = field(metadata=about("`plan.…` or `numerics.…`"))
    value: object = field(metadata=about("its value; `unknown` where nobody states it: the default holds"))
    source: str = field(metadata=_SOURCE)
    confidence: Confidence = field(metadata=_CONFIDENCE)
    when: Mapping[str, object] = field(
        default_factory=dict, metadata=about('fields of the scenario that must hold: a value, a list, or `"> 1"`')
    )
    rows: tuple[str, ...] = field(default=(), metadata=about("sets of published rows in sight when it was set"))


@dataclass(frozen=True, slots=True)
class Limit(Record):
    """What a framework can do at all: a plan beyond it is refused."""

    key: str = field(metadata=about("field of the plan"))
    allowed: object = field(metadata=about('a value, a list of them, or `"<= 1"`'))
    source: str = field(metadata=_SOURCE)
    confidence: Confidence = field(metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class Release(Record):
    """A release: what it changed against the one before it in the file."""

    date: str = field(metadata=about("year-month or year-month-day", pattern=DATE))
    habits: tuple[Habit, ...] = field(default=(), metadata=about("what this release sets or changes"))


@dataclass(frozen=True, slots=True)
class FrameworkFile(Record):
    """A framework: scenarios/frameworks/*.yaml."""

    name: str = field(metadata=about("as its file"))
    releases: Mapping[str, Release] = field(metadata=about("releases, oldest first"))
    description: str = field(default="", metadata=about("whose, and which releases"))
    limits: tuple[Limit, ...] = field(default=(), metadata=about("what it can do"))


@dataclass(frozen=True, slots=True)
class Preset:
    """One release: its habits are those of every release up to it, later ones last."""

    name: str
    release: str
    date: str
    habits: tuple[Habit, ...]
    limits: tuple[Limit, ...]

    def __str__(self) -> str:
        return f"{self.name}@{self.release}"
