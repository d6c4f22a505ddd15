"""Each framework's rows left out of every fit in turn.

Two things were fitted with rows in sight: a rate per chip, refitted here on the rows of all other frameworks (as
`leave_one_set_out` does by set), and single habits of a release, which fall back to what holds without a framework.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import mean
from typing import Any

from sim.fields import statements
from sim.files.frameworks import framework_files
from sim.plan.framework import Framework
from sim.validation.validation import Comparison, Outcome, Request, ValidationSet, compare, left_out_errors

MEMORY = "(memory)"
"""How a habit says that only measured memory was in sight."""


def notes(
    spec: ValidationSet,
    asked: Sequence[Request],
    rows: Sequence[Comparison],
    simulate: Callable[[Request], Outcome | str],
) -> tuple[str, ...]:
    """One sentence where rows of more than one framework are known."""
    names = {request.id: framework_of(spec, request) for request in asked}
    if len({names[row.id] for row in rows}) < 2:
        return ()
    requests = {request.id: request for request in asked}
    bare = [_unfitted(spec, row, requests[row.id], simulate) for row in rows]
    errors = left_out_errors(bare, lambda row: names[row.id])
    found: dict[str, list[float]] = defaultdict(list)
    for row, error in errors:
        found[names[row.id]].append(error)
    worst = max(found, key=lambda name: mean(found[name]))
    every, furthest = mean(error for _, error in errors), mean(found[worst])
    told = f"mean {every:.1%} over {len(errors)} rows of {len(found)} frameworks"
    largest = f"largest {worst or 'none named'}, {furthest:.1%}"
    return (f"each framework's rows left out of every fit in turn: {told} ({largest})",)


def framework_of(spec: ValidationSet, request: Request) -> str:
    """The name of a row's framework, without its release; empty where it has none."""
    told: Any = request.overrides.get(
        "framework", request.overrides.get("framework.name", spec.template.get("framework"))
    )
    name = told.get("name", "") if isinstance(told, Mapping) else told
    return str(name or "").partition("@")[0]


def unfitted(spec: ValidationSet, request: Request) -> Request | None:
    """The row without the habits of its framework that were set with measured times in sight; None: there are none."""
    fitted = _fitted(framework_of(spec, request))
    changed = {key: value for key, value in fitted.items() if key not in request.overrides}
    return replace(request, overrides={**request.overrides, **changed}) if changed else None


def _unfitted(
    spec: ValidationSet, row: Comparison, request: Request, simulate: Callable[[Request], Outcome | str]
) -> Comparison:
    """What the row comes out at without what was fitted."""
    bare = unfitted(spec, request)
    found = row if bare is None else compare(bare, simulate)
    return found if isinstance(found, Comparison) else row


@lru_cache
def _fitted(framework: str) -> Mapping[str, object]:
    """Habits with rows of step times in sight → what holds without them."""
    defaults = {f"framework.{s.name}": f"{s.default} s" if s.short else s.default for s in statements(Framework)}
    habits = (
        h for file in framework_files() if file.name == framework for r in file.releases.values() for h in r.habits
    )
    timed = (h.key for h in habits if any(not name.endswith(MEMORY) for name in h.rows))
    return {key: defaults[key] for key in timed if key in defaults}
