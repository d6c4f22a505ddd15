"""Run validation sets: find them, simulate every row, sum up per published set and over all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from statistics import StatisticsError, mean
from typing import ClassVar, cast

from sim.answer import Answer
from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.files.library import folder
from sim.files.yaml_text import yaml_text
from sim.records import dataclass
from sim.validation.outcomes import Outcomes
from sim.validation.published import load_validation_set, read_rows
from sim.validation.validation import (
    Comparison,
    Outcome,
    Request,
    Skipped,
    Summary,
    ValidationSet,
    compare,
    leave_one_set_out,
    null_levels,
    requests,
    summarise,
)

Simulate = Callable[[Request], Outcome | str]


@dataclass(frozen=True, slots=True)
class Overall:
    """Errors of many sets together: over all rows, and the mean over sets of each set's mean; left out: with each set
    left out of the fits in turn (its mean, counted for each of its rows, or once)."""

    name: str
    rows: Summary
    left_out: float | None
    mean_over_sets: float
    left_out_over_sets: float | None


@dataclass(frozen=True, slots=True)
class Report(Answer):
    """One validation set, run: its published groups, and all of them together (every field printed; all rows)."""

    REPORT: ClassVar[str] = "sim.report.validation"
    name: str
    quantity: str
    description: str
    summaries: tuple[Summary, ...]
    overall: tuple[Overall, ...]
    left_out: dict[str, float]
    excluded: dict[str, str]
    notes: tuple[str, ...] = ()  # sentences below the table
    interrupted: bool = False  # only the rows that were done are in it
    by: tuple[Summary, ...] = ()  # all rows again, by the cells of chosen columns
    no_memory: str = ""  # why no row shows that its layout fits


def set_files() -> dict[str, Path]:
    """The sets of the library by name."""
    return {path.stem: path for path in sorted((folder("scenarios") / "published").glob("*.yaml"))}


def find_set(name: str | Path) -> Path:
    """A set by library name or file."""
    known = set_files()
    path = known.get(str(name)) or Path(name)
    if not path.is_file():
        raise InputError(
            Problem(
                "unknown validation set",
                "SET",
                repr(str(name)),
                hint=f"one of paper, trends, generations, {', '.join(known)}",
            )
        )
    return path


Watch = Callable[[Iterable[Comparison | Skipped], int], Iterable[Comparison | Skipped]]


def row_scenario(path: Path, row_id: str, rows: Path | None = None) -> str:
    """The scenario a row of a set of runs becomes, as a file that `run` takes."""
    spec = load_validation_set(path)
    if spec.quantity != "run":
        raise InputError(Problem(f"rows of {spec.quantity} are no scenarios", "quantity", spec.name))
    (request,) = _rows_asked(requests(spec, read_rows(rows) if rows else None), (row_id,))
    if request.skip:
        raise InputError(Problem(f"cannot be expressed: {request.skip}", "row", row_id))
    return yaml_text(import_module("sim.validation.runs").scenario_values(spec, request))


def row_trace(path: Path, row_id: str, rows: Path | None = None, *, packed: bool = False) -> bytes:
    """The timeline of a row's step, as `run --trace` writes it."""
    spec = load_validation_set(path)
    if spec.quantity != "run":
        raise InputError(Problem(f"rows of {spec.quantity} have no step", "quantity", spec.name))
    (request,) = _rows_asked(requests(spec, read_rows(rows) if rows else None), (row_id,))
    if request.skip:
        raise InputError(Problem(f"cannot be expressed: {request.skip}", "row", row_id))
    runs = import_module("sim.validation.runs")
    result = runs.simulated(runs.row_scenario(spec, request), trace=True)
    return cast(bytes, import_module("sim.engine.trace").trace_file(result.step, result.memory, packed=packed))


def _rows_asked(asked: list[Request], row_ids: Sequence[str]) -> list[Request]:
    """The requests of these rows, all of them where none is named; an unknown row is refused."""
    known = {request.id: request for request in asked}
    problems = [
        Problem("no such row", "row", row_id, hint=did_you_mean(row_id, known))
        for row_id in row_ids
        if row_id not in known
    ]
    if problems:
        raise InputError(*problems)
    return [known[row_id] for row_id in row_ids] if row_ids else asked


def validate(
    name: str | Path,
    rows: str | Path | None = None,
    watch: Watch = lambda work, total: work,
    row_ids: Sequence[str] = (),
    by: Sequence[str] = (),
    outcomes: Outcomes | None = None,
) -> Report:
    """Simulate every row of a set (or of another CSV through its rules) and sum up; `watch` sees each row go by.

    An interrupt keeps the rows that are done. `outcomes` are shared between sets.
    """
    spec, asked = _asked(name, rows, row_ids)
    _check_columns(by, asked)
    simulate = _simulator(spec, outcomes)
    compared: dict[str, list[Comparison]] = defaultdict(list)
    skipped: dict[str, list[Skipped]] = defaultdict(list)
    found_by_row: dict[str, Outcome] = {}
    kept, interrupted = _kept(simulate, found_by_row), False
    try:
        for found in watch((compare(request, kept) for request in asked), len(asked)):
            if isinstance(found, Comparison):
                compared[found.group].append(found)
            else:
                skipped[found.group].append(found)
    except KeyboardInterrupt:
        interrupted = True
    names = dict.fromkeys([*compared, *skipped])
    excluded = {name: why for name, why in (spec.excluded or {}).items() if name in names}
    counted = [row for name in names if name not in excluded for row in compared[name]]
    levels = null_levels(row for name in names for row in compared[name]) | null_levels(counted)
    summaries = tuple(summarise(name, compared[name], skipped[name], levels) for name in names)
    done = sum(map(len, compared.values())) + sum(map(len, skipped.values()))
    left_out: dict[str, float] = {}
    notes: tuple[str, ...] = (f"interrupted after {done} of {len(asked)} rows",)
    if not interrupted:
        try:
            left_out, notes = _held_out(spec, asked, counted, found_by_row, simulate) if counted else ({}, ())
        except StatisticsError:
            notes = ("too few rows to leave some of them out",)
    together = [
        overall("every field printed", [row for row in counted if row.printed], left_out, levels),
        overall("all rows", counted, left_out, levels),
    ]
    return Report(
        spec.name,
        spec.quantity,
        spec.description,
        summaries,
        tuple(part for part in together if part is not None),
        left_out,
        excluded,
        notes,
        interrupted,
        _by(by, counted),
        "" if rows else spec.no_memory,
    )


def _asked(name: str | Path, rows: str | Path | None, row_ids: Sequence[str]) -> tuple[ValidationSet, list[Request]]:
    spec = load_validation_set(find_set(name))
    return spec, _rows_asked(requests(spec, read_rows(Path(rows)) if rows else None), row_ids)


def scenario_texts(name: str | Path, rows: str | Path | None = None, row_ids: Sequence[str] = ()) -> Iterator[str]:
    """The scenarios a set asks the outcomes of; none where it cannot be read, which `validate` tells."""
    try:
        spec, asked = _asked(name, rows, row_ids)
    except InputError:
        return
    text = import_module("sim.validation.runs").scenario_text
    if spec.quantity == "minutes":
        pairs = [import_module("sim.validation.minutes").run_of(spec, request) for request in asked if not request.skip]
    elif spec.quantity == "run":
        bare = import_module("sim.validation.by_framework").unfitted
        pairs = [(spec, one) for request in asked for one in (request, bare(spec, request)) if one is not None]
    else:
        return
    for base, request in pairs:
        if not request.skip:
            with suppress(LookupError, ValueError, ArithmeticError):  # told as the row is compared
                yield text(base, request)


def _check_columns(by: Sequence[str], asked: Sequence[Request]) -> None:
    """Columns to sum up by are columns of the table."""
    known = list(dict.fromkeys(name for request in asked for name in request.row))
    problems = [
        Problem("no such column", "by", name, hint=did_you_mean(name, known) or f"of {', '.join(known)}")
        for name in by
        if name not in known
    ]
    if problems:
        raise InputError(*problems)


def _by(columns: Sequence[str], rows: Sequence[Comparison]) -> tuple[Summary, ...]:
    """Errors of the averaged rows by the cells of some columns, in the order of the table."""
    parts: dict[str, list[Comparison]] = defaultdict(list)
    for row in rows if columns else ():
        parts[", ".join(row.row.get(name, "") or "-" for name in columns)].append(row)
    return tuple(summarise(name, members) for name, members in parts.items())


def _held_out(
    spec: ValidationSet,
    asked: Sequence[Request],
    counted: Sequence[Comparison],
    outcomes: dict[str, Outcome],
    simulate: Simulate,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """(mean error of each group left out, sentences below the table), as the quantity has them."""
    if spec.quantity == "collective":
        found = import_module("sim.validation.collectives").left_out(spec, asked)
        return cast(tuple[dict[str, float], tuple[str, ...]], found)
    if spec.quantity == "ops":
        found = import_module("sim.validation.single_device").left_out_summary(counted)
        return cast(tuple[dict[str, float], tuple[str, ...]], found)
    if spec.quantity == "failures":
        return {}, import_module("sim.validation.failures").notes(spec)
    if spec.quantity in ("scaling", "learning"):
        room = "epochs" if spec.quantity == "scaling" else "learning"
        return {}, cast(tuple[str, ...], import_module(f"sim.validation.{room}").notes(spec))
    if spec.quantity == "minutes":
        return {}, cast(tuple[str, ...], import_module("sim.validation.minutes").notes(spec, counted, asked))
    notes = import_module("sim.validation.scaling_efficiency").notes(asked, counted, outcomes)
    notes += import_module("sim.validation.ranking").notes(asked, counted)
    notes += import_module("sim.validation.by_framework").notes(spec, asked, counted, simulate)
    return leave_one_set_out(counted), notes


def _kept(simulate: Simulate, outcomes: dict[str, Outcome]) -> Simulate:
    """The same simulation, its outcomes kept by row."""

    def run(request: Request) -> Outcome | str:
        found = simulate(request)
        if isinstance(found, Outcome):
            outcomes[request.id] = found
        return found

    return run


def _simulator(spec: ValidationSet, outcomes: Outcomes | None) -> Simulate:
    """How a row of this quantity is simulated; each room is loaded only for its own quantity."""
    if spec.quantity in ("run", "minutes"):
        known = outcomes or Outcomes()
        minutes = spec.quantity == "minutes"
        room, name = ("minutes", "simulate_row") if minutes else ("runs", "simulate_request")
        run = getattr(import_module(f"sim.validation.{room}"), name)
        return lambda request: cast(Outcome | str, run(spec, request, known.of))
    if spec.quantity == "collective":
        collective = import_module("sim.validation.collectives").simulate_row
        return lambda request: cast(Outcome | str, collective(request, spec.template))
    if spec.quantity == "ops":
        ops = import_module("sim.validation.single_device").simulate_row
        return lambda request: cast(Outcome | str, ops(spec, request))
    if spec.quantity == "scaling":
        epochs = import_module("sim.validation.epochs").simulate_row
        return lambda request: cast(Outcome | str, epochs(spec, request))
    if spec.quantity == "failures":
        failures = import_module("sim.validation.failures").simulate_row
        return lambda request: cast(Outcome | str, failures(request))
    if spec.quantity == "learning":
        learning = import_module("sim.validation.learning").simulate_row
        return lambda request: cast(Outcome | str, learning(spec, request))
    raise InputError(Problem(f"no simulation of the quantity {spec.quantity!r}", "quantity"))


def overall(
    name: str, rows: Sequence[Comparison], left_out: dict[str, float], levels: dict[str, float]
) -> Overall | None:
    """The counted rows of a set together; None without any."""
    timed = [row for row in rows if math.isfinite(row.error) and row.status == "ok"]
    if not timed:
        return None
    groups = _groups(timed)
    held_out = {name: left_out[name] for name in groups if name in left_out}
    of_rows = [error for name, error in held_out.items() for _ in groups[name]]
    means = [mean(abs(row.error) for row in members) for members in groups.values()]
    over_rows, over_sets = (mean(errors) if errors else None for errors in (of_rows, list(held_out.values())))
    return Overall(name, summarise(name, rows, (), levels), over_rows, mean(means), over_sets)


def _groups(rows: Iterable[Comparison]) -> dict[str, list[Comparison]]:
    groups: dict[str, list[Comparison]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    return groups
