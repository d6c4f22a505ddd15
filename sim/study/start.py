"""A study that starts from the front of an earlier one: its designs compete, so that the new front is nowhere worse.

A design made for a smaller budget of a chip keeps the area, power and stacks it was made for: it fits the larger budget
as it is, and is simulated as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sim.axes import Axis
from sim.device.silicon import ChipBudget
from sim.errors import InputError, Problem
from sim.files.fields import read_partial
from sim.files.loader import parse
from sim.files.yaml_text import yaml_text
from sim.study.designs import Design
from sim.study.runner import Study
from sim.study.store import Outcome
from sim.study.sweep import read_study

BUDGET: Final = "accelerator.budget"
LINES: Final = {"area": "area", "power": "power_w", "stacks": "stacks"}
"""What a budget limits, as files call it: name of the field."""


def started(study: Study, file: Path, best_of: Callable[[Iterable[Outcome]], Iterable[Outcome]]) -> Study:
    """The study with the best designs of an earlier one among its own; refused where that one had other axes, or more
    to spend.
    """
    earlier = read_study(file)
    lines = _lines(study.identity, earlier.identity, {axis.path for axis in study.designs.axes})
    axes = (*study.designs.axes, *(Axis(f"{BUDGET}.{name}", (now,)) for name, (_, now) in lines.items()))
    known = {axis.path for axis in earlier.designs.axes}
    missing = [axis.path for axis in study.designs.axes if axis.path not in known]
    missing += sorted(known - {axis.path for axis in axes})
    if missing:
        raise InputError(Problem("has other axes than this study", "--start", ", ".join(missing), file=str(file)))
    then = {f"{BUDGET}.{name}": was for name, (was, _) in lines.items()}
    best = (earlier.designs.overrides(o.number) for o in best_of(earlier.outcomes))
    start: tuple[Design, ...] = tuple(tuple((then | design)[axis.path] for axis in axes) for design in best)
    return replace(study, designs=replace(study.designs, axes=axes, start=start))


def _lines(now: Mapping[str, object], then: Mapping[str, object], axes: set[str]) -> dict[str, tuple[object, object]]:
    """Lines of the budget that grew and are no axis: (what the earlier study had, what this one has)."""
    found: dict[str, tuple[object, object]] = {}
    new, old = _budget(now), _budget(then)
    for name, field in LINES.items():
        if f"{BUDGET}.{name}" in axes or not old or not new:
            continue
        was, has = _number(old, name, field), _number(new, name, field)
        if was > has:
            rule = "was larger in the earlier study: its chips do not fit this budget"
            raise InputError(Problem(rule, f"{BUDGET}.{name}", str(_stated(old, name, field))))
        if was < has:
            found[name] = (_stated(old, name, field), _stated(new, name, field))
    return found


def _budget(identity: Mapping[str, object]) -> dict[str, Any]:
    """The budget of a study's base as it was stated."""
    found: Any = identity.get("bought", {})
    for step in ("cluster", "accelerator", "budget"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return dict(found)


def _stated(budget: Mapping[str, Any], name: str, field: str) -> object:
    return budget.get(name, budget.get(field))


def _number(budget: dict[str, Any], name: str, field: str) -> float:
    """A line in SI."""
    values = read_partial(ChipBudget, parse(yaml_text(budget)), BUDGET)
    return float(values[field])
