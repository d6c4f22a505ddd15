"""A scenario over the values of one key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sim.errors import InputError, Problem
from sim.files import load_document, load_scenario
from sim.study.compare import Named


@dataclass(frozen=True, slots=True)
class Swept:
    """The points of a sweep, in the order of its values."""

    key: str
    values: tuple[object, ...]
    points: tuple[Named, ...]


def sweep(name: str, sets: Sequence[str] = (), key: str = "", values: Sequence[object] = ()) -> Swept:
    """The scenario's own study, or `key` over `values`, as points to run."""
    if not key:
        study = load_scenario(name, sets).study
        if study is None:
            hint = "study: {key: cluster.devices, values: [8, 64]}, or --key and --values"
            raise InputError(Problem("is required for a sweep", "study", file=name, hint=hint))
        key, values = study.key, study.values
    points = tuple((str(value), partial(load_document, name, (*sets, f"{key}={_text(value)}"))) for value in values)
    return Swept(key, tuple(values), points)


def _text(value: object) -> str:
    """A value as `--set` reads it."""
    return value if isinstance(value, str) else json.dumps(value)
