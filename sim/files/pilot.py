"""Pilot runs from a CSV: shards of growing size, runs of model size and data, or runs over batches."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final, Literal

from sim.errors import InputError, Problem
from sim.files.table_text import table_text
from sim.records import dataclass

Law = Literal["curve", "loss", "batch"]
COLUMNS: Final[dict[Law, tuple[str, ...]]] = {
    "curve": ("units", "error"),
    "loss": ("parameters", "units", "error"),
    "batch": ("batch", "steps"),
}
OPTIONAL: Final[dict[Law, tuple[str, ...]]] = {"curve": ("parameters",), "loss": ("unique_units",), "batch": ()}
RISE: Final = 1.05  # an error this many times that of a shard at most half as large is a mistake, not noise


@dataclass(frozen=True, slots=True)
class PilotRow:
    """One row: its line in the file and its numbers by column."""

    line: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class BestRun:
    """The best model of one shard: the least over model sizes of the median over seeds."""

    units: float
    error: float
    parameters: float | None
    line: int


def read_pilot(path: Path, law: Law) -> tuple[PilotRow, ...]:
    """Rows with the columns the law needs; InputError names every wrong cell by its line."""
    try:
        reader = csv.DictReader(table_text(path))
        names = tuple(name.strip() for name in reader.fieldnames or ())
        table = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=str(path))) from None
    absent = [name for name in COLUMNS[law] if name not in names]
    if absent:
        rule = f"a column is missing for a {law}: {', '.join(absent)}"
        raise InputError(Problem(rule, file=str(path), line=1, column=1, hint=f"columns: {', '.join(names) or 'none'}"))
    wanted = [name for name in (*COLUMNS[law], *OPTIONAL[law]) if name in names]
    problems: list[Problem] = []
    rows = [PilotRow(line, _numbers(row, wanted, str(path), line, problems)) for line, row in table]
    if not rows:
        problems.append(Problem("has no rows", file=str(path)))
    if problems:
        raise InputError(*problems)
    return tuple(rows)


def _numbers(row: dict[str, str], wanted: list[str], file: str, line: int, problems: list[Problem]) -> dict[str, float]:
    """The numbers of one row; each must be positive and finite."""
    found = {}
    for column, name in enumerate(wanted, start=1):
        text = (row.get(name) or "").strip()
        try:
            value = float(text.replace("_", ""))
        except ValueError:
            problems.append(Problem("is no number", name, repr(text), file, line, column))
            continue
        if not (math.isfinite(value) and value > 0):
            problems.append(Problem("must be a positive number", name, text, file, line, column))
        found[name] = value
    return found


def best_per_shard(path: Path, rows: tuple[PilotRow, ...]) -> tuple[BestRun, ...]:
    """The composite curve (Hestness et al. 2017, section 3): the best model of every shard; it must fall."""
    runs: dict[tuple[float, float | None], list[PilotRow]] = defaultdict(list)
    for row in rows:
        runs[row.values["units"], row.values.get("parameters")].append(row)
    shards: dict[float, list[BestRun]] = defaultdict(list)
    for (units, parameters), members in runs.items():
        error = median(row.values["error"] for row in members)
        shards[units].append(BestRun(units, error, parameters, members[0].line))
    best = tuple(min(shards[units], key=lambda run: run.error) for units in sorted(shards))
    file = str(path)
    if len(best) == 1:
        rule = "one point is no curve" if len(rows) == 1 else "all rows have the same size: no slope can be told"
        raise InputError(Problem(rule, "units", f"{best[0].units:g}", file, rows[-1].line, 1))
    problems = []
    for k, run in enumerate(best):
        smaller = [other for other in best[:k] if other.units <= run.units / 2 and run.error > RISE * other.error]
        if smaller:
            rule = f"rises with data: {smaller[-1].units:g} units of line {smaller[-1].line} gave {smaller[-1].error:g}"
            problems.append(Problem(rule, "error", f"{run.error:g}", file, run.line, 2, "repeat or drop the run"))
    if problems:
        raise InputError(*problems)
    return best
