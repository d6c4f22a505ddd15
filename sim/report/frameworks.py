"""Frameworks on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sim.plan.preset import FrameworkFile, Habit, Preset
from sim.report.tables import Column, Table
from sim.report.text import table


def as_table(files: Sequence[FrameworkFile]) -> Table:
    """A line per framework: its releases and whose it is."""
    columns = (Column("framework"), Column("releases"), Column("description"))
    return Table(columns, tuple((file.name, ", ".join(file.releases), file.description) for file in files))


def listing(files: Sequence[FrameworkFile]) -> str:
    """The table as text."""
    return as_table(files).text()


def listing_json(files: Sequence[FrameworkFile]) -> dict[str, Any]:
    """`frameworks`, each with its description and the dates of its releases."""
    return {"frameworks": [_file_json(file) for file in files]}


def _file_json(file: FrameworkFile) -> dict[str, Any]:
    releases = {name: release.date for name, release in file.releases.items()}
    return {"name": file.name, "description": file.description, "releases": releases}


def text(framework: Preset) -> str:
    """Habits in force, a later release's in place of an earlier one's, and what it cannot do."""
    header = ["field", "value", "where", "", "source"]
    rows = [[h.key, str(h.value), _where(h.when), h.confidence, h.source] for h in in_force(framework)]
    parts = [f"{framework}, {framework.date}", table(header, rows, left=5)]
    parts += [f"only {limit.key} {limit.allowed}: {limit.source}" for limit in framework.limits]
    return "\n".join(parts)


def in_force(framework: Preset) -> list[Habit]:
    """The last habit of each field and condition; one without a condition replaces those before it."""
    found: dict[tuple[str, str], Habit] = {}
    for habit in framework.habits:
        if not habit.when:
            found = {key: one for key, one in found.items() if key[0] != habit.key}
        found[habit.key, str(dict(habit.when))] = habit
    return list(found.values())


def _where(when: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {condition}" for key, condition in when.items())


def framework_json(framework: Preset) -> dict[str, Any]:
    """`habits` in force and `limits`, each with source and confidence."""
    return {
        "schema_version": 1,
        "name": framework.name,
        "release": framework.release,
        "date": framework.date,
        "habits": [asdict(habit) for habit in in_force(framework)],
        "limits": [asdict(limit) for limit in framework.limits],
    }
