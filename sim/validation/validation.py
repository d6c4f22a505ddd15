"""How right foretrain is: predicted against measured, per published set, beside a null model.

A `ValidationSet` says how a row of a CSV becomes a scenario: ordered rules, each a condition on cells (regular
expressions) and the scenario fields it sets.  A rule with an `assume` text is a stated assumption: rows it touches are
reported apart from rows with every field printed.  Rows that cannot be expressed are listed with the reason.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from statistics import mean, median
from typing import Final, Literal

from sim.errors import InputError, Problem
from sim.fields import Record, about
from sim.files.conditions import comparison
from sim.files.scaling import load_domain
from sim.records import dataclass
from sim.scaling import Domain

LESS_IS_FASTER: Final = frozenset(
    (
        "step_time_s",
        "memory_bytes",
        "joules_per_unit",
        "seconds",
        "seconds_per_sample",
        "epochs",
        "loss",
        "steps",
        "coverage",
        "mttf_h",
        "minutes",
    )
)
NOTHING: Final = ("", "null")
"""How a table writes a cell without a value."""
Row = Mapping[str, str]
Quantity = Literal["run", "collective", "ops", "scaling", "learning", "minutes", "failures"]
Cell = str | float | bool | None
"""A condition on a cell as YAML has it: a regular expression or a comparison; nothing asks for an empty cell."""

LARGEST: Final = 1e100
"""A cell beyond it is no measurement: products of cells and units stay finite."""


def wrong_patterns(conditions: Mapping[str, Cell], path: str) -> Iterator[Problem]:
    """Conditions that are no regular expression."""
    for column, pattern in conditions.items():
        try:
            re.compile(_pattern(pattern))
        except re.error as error:
            yield Problem(f"is not a regular expression: {error}", f"{path}.{column}", _pattern(pattern))


def _pattern(cell: Cell) -> str:
    return "" if cell is None else str(cell)


@dataclass(frozen=True, slots=True)
class Rule(Record):
    """Where every cell of `when` matches its pattern or comparison (`">= 100"`), set fields.

    `{column}` and named groups are filled in.
    """

    when: Mapping[str, Cell] = dataclasses.field(
        default_factory=dict, metadata=about("column: regular expression or comparison its cell meets")
    )
    set: Mapping[str, object] = dataclasses.field(
        default_factory=dict, metadata=about("field of the scenario: value, `{column}` being the row's cell")
    )
    assume: str = dataclasses.field(default="", metadata=about("what the source does not print"))
    skip: str | bool = dataclasses.field(
        default="", metadata=about("why the row cannot be expressed; false: it can, whatever an earlier rule says")
    )

    def contradictions(self) -> Iterator[Problem]:
        """A pattern nobody can match, a skip without a reason."""
        yield from wrong_patterns(self.when, "when")
        if self.skip is True:
            yield Problem("must be a reason, or false", "skip", "true")

    def match(self, row: Row) -> dict[str, str] | None:
        """Named groups of the match, or None."""
        groups: dict[str, str] = {}
        for column, condition in self.when.items():
            found = _met(_pattern(condition), row.get(column, "") or "")
            if found is None:
                return None
            groups |= found
        return groups


@lru_cache(maxsize=65_536)
def _met(condition: str, cell: str) -> Mapping[str, str] | None:
    """Named groups where a cell meets its condition (columns hold the same few cells over and over)."""
    if (meets := comparison(condition)) is not None:
        number = number_of(cell)
        return {} if number is not None and meets(number) else None
    found = re.fullmatch(condition, cell)
    return found and {name: value for name, value in found.groupdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """A measured column and what it is compared with: a field of the outcome, times `scale`."""

    column: str = dataclasses.field(metadata=about("of the table"))
    field: str = dataclasses.field(metadata=about("figure of the simulation: step_time_s, samples_per_s, mfu …"))
    scale: float = dataclasses.field(default=1.0, metadata=about("of the cell, to SI", gt=0, le=1e300))
    when: Mapping[str, Cell] = dataclasses.field(
        default_factory=dict, metadata=about("conditions on cells under which this column counts")
    )

    def contradictions(self) -> Iterator[Problem]:
        """A pattern nobody can match."""
        return wrong_patterns(self.when, "when")

    @property
    def higher_is_faster(self) -> bool:
        """Whether the relative error in time has the opposite sign."""
        return self.field not in LESS_IS_FASTER


@dataclass(frozen=True, slots=True, eq=False)
class ValidationSet:
    """A published set: its rows and how a row becomes a scenario (`template` plus what `rules` assign); one that was
    read is equal to itself alone."""

    name: str
    quantity: Quantity
    template: Mapping[str, object]
    rules: tuple[Rule, ...]
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    group: str = ""  # column that names the published set a row belongs to
    printed: Mapping[str, Cell] | None = None  # cells a row must show for "every field printed"
    excluded: Mapping[str, str] | None = None  # group → why it is left out of the averages
    source: str = ""
    description: str = ""
    without: Mapping[str, str] = dataclasses.field(default_factory=dict)  # row → why it is left out
    require: tuple[str, ...] = ()  # parts of the scenario a rule must name, whatever the template has
    no_memory: str = ""  # why none of its rows shows that a layout fits its devices


def domain_of(spec: ValidationSet, name: object, key: str) -> Domain:
    """The scaling domain that a set's template names under `key`."""
    try:
        return load_domain(str(name))
    except InputError as error:
        there = (
            p if p.line else dataclasses.replace(p, path=f"template.{key}", file=spec.name) for p in error.problems
        )
        raise InputError(*there) from None


@dataclass(frozen=True, slots=True)
class Request:
    """A row ready to be simulated: overrides by path, the assumptions they rest on, what was measured."""

    id: str
    group: str
    row: Row
    overrides: Mapping[str, object]
    assumptions: tuple[str, ...]
    measure: Measure | None
    measured: float | None
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation of a row gives: every comparable field, and what the null model needs."""

    fields: Mapping[str, float]
    accelerator: str
    ideal_s: float  # model FLOPs / (devices · peak): the null model's time at utilisation 1
    compute_share: float  # of the step, for refitting a chip's achievable fraction
    fits: bool
    note: str = ""
    time_parts_s: Mapping[str, float] = dataclasses.field(default_factory=dict)  # of the step, on the critical stage
    memory_bytes: Mapping[str, float] = dataclasses.field(default_factory=dict)  # of the fullest device, by kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row: measured and predicted in the measured unit; `error` is relative in time (positive: too slow)."""

    id: str
    group: str
    measured: float
    predicted: float
    error: float
    assumptions: tuple[str, ...]
    accelerator: str
    time_over_ideal: float  # measured time / null model's time at utilisation 1
    compute_share: float
    fits: bool
    status: str = "ok"
    memory_measured: float | None = None
    memory_predicted: float | None = None
    time_parts_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    memory_bytes: Mapping[str, float] = dataclasses.field(default_factory=dict)
    row: Row = dataclasses.field(default_factory=dict)

    @property
    def printed(self) -> bool:
        """Whether every field the simulation needed was printed in the source."""
        return not self.assumptions


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that could not be compared, and why."""

    id: str
    group: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Errors of one set, beside the null model (one utilisation per accelerator, fitted on the rows measured)."""

    name: str
    rows: tuple[Comparison, ...]
    skipped: tuple[Skipped, ...]
    mean_abs_error: float
    median_abs_error: float
    p90_abs_error: float
    bias: float
    null_mean_abs_error: float
    skill: float | None
    worst: str


def requests(spec: ValidationSet, rows: Iterable[Row] | None = None) -> list[Request]:
    """Turn rows into requests by the set's rules."""
    return list(_own(spec)) if rows is None else [_request(spec, row, index) for index, row in enumerate(rows)]


@lru_cache(maxsize=4)
def _own(spec: ValidationSet) -> tuple[Request, ...]:
    """Of a set's own rows, each of which may be predicted from the others."""
    return tuple(_request(spec, row, index) for index, row in enumerate(spec.rows))


def _request(spec: ValidationSet, row: Row, index: int) -> Request:
    row = {k: "" if (v or "").strip() in NOTHING else str(v).strip() for k, v in row.items() if k}
    overrides: dict[str, object] = {}
    assumptions: list[str] = []
    skip = ""
    for rule in spec.rules:
        groups = rule.match(row)
        if groups is None:
            continue
        overrides |= {path: _fill(value, {**row, **groups}) for path, value in rule.set.items()}
        if rule.assume:
            assumptions.append(_said(rule.assume, row))
        skip = "" if rule.skip is False else skip or _said(str(rule.skip), row)
    counted = [m for m in spec.measures if Rule(m.when, {}).match(row) is not None]
    found = next(((m, v) for m in counted if (v := number_of(row.get(m.column, ""))) is not None), None)
    skip = spec.without.get(row.get("id", ""), skip) or _unnamed(spec, row, overrides)
    if not skip and found is None and row.get("status", "ok") == "ok":
        skip = "no measured value"
    for column, pattern in (spec.printed or {}).items():
        if not re.fullmatch(_pattern(pattern), row.get(column, "")):
            assumptions.append(f"{column} is {row.get(column) or 'empty'}")
    measure, value = found if found else (None, None)
    scaled = value * measure.scale if measure is not None and value is not None else None
    name = row.get("id") or f"{spec.name}:{index + 1}"
    group = str(overrides.get("group", "")) or row.get(spec.group, "") or spec.name
    return Request(name, group, row, overrides, tuple(assumptions), measure, scaled, skip)


def _unnamed(spec: ValidationSet, row: Row, overrides: Mapping[str, object]) -> str:
    """Why a row is not simulated with the template's own: no rule names a part that is required, or its chip where the
    rules tell chips apart."""
    telling = any("accelerator" in rule.when and "accelerator" in rule.set for rule in spec.rules)
    inside = ("", ".extends", ".name", ".levels", ".graph", ".family")
    missing = [
        part
        for part in dict.fromkeys((*spec.require, *(("accelerator",) if telling else ())))
        if {f"{head}{part}{tail}" for head in ("", "cluster.") for tail in inside}.isdisjoint(overrides)
    ]
    if not missing:
        return ""
    cell = row.get(missing[0])
    return f"no rule names its {', '.join(missing)}" + (f" ({cell})" if cell else "")


_CELL: Final = re.compile(r"\{(\w+(?:[*/]\w+)*)\}")


def _fill(value: object, cells: Mapping[str, str]) -> object:
    """`"{column}"` becomes the cell (a number if it is one), `"{a/b}"` a quotient; inside a text they are inserted."""
    if isinstance(value, Mapping):
        return {key: _fill(item, cells) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, cells) for item in value]
    if not isinstance(value, str):
        return value
    whole = _CELL.fullmatch(value)
    if whole:
        cell = _cell(whole[1], cells)
        number = number_of(cell)
        return cell if number is None else int(number) if number.is_integer() else number
    text = _CELL.sub(lambda match: _cell(match[1], cells), value)
    number = number_of(text) if text != value else None
    return text if number is None else number


def _said(text: str, row: Row) -> str:
    """A sentence with the cells of the row it is said of."""
    return _CELL.sub(lambda match: _cell(match[1], row), text)


def _cell(expression: str, cells: Mapping[str, str]) -> str:
    """A cell, or products and quotients of cells and numbers from left to right (empty where one of them is)."""
    first, *rest = re.split(r"([*/])", expression)
    if not rest:
        return cells.get(first, "")
    value = number_of(cells.get(first, first))
    for sign, name in zip(rest[::2], rest[1::2], strict=True):
        other = number_of(cells.get(name, name))
        if value is None or other is None:
            return ""
        value = value * other if sign == "*" else value / other
    return "" if value is None else repr(value)


def number_of(text: str) -> float | None:
    """A positive number of a cell; None where there is none."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if 0.0 < value < LARGEST else None


def compare(request: Request, simulate: Callable[[Request], Outcome | str]) -> Comparison | Skipped:
    """Simulate one request; a text instead of an outcome is the reason it could not be simulated."""
    if request.skip:
        return Skipped(request.id, request.group, request.skip)
    try:
        outcome = simulate(request)
    except (LookupError, ValueError, ArithmeticError) as wrong:
        return Skipped(request.id, request.group, f"its cells cannot be read: {type(wrong).__name__} {wrong}")
    if isinstance(outcome, str):
        return Skipped(request.id, request.group, outcome)
    memory = number_of(request.row.get("mem_gib_per_dev", ""))
    measure, measured = request.measure, request.measured
    if measure is None or measured is None:
        predicted = error = over = math.nan
        measured = math.nan
    else:
        if measure.field not in outcome.fields:
            known = ", ".join(outcome.fields)
            raise InputError(Problem("no such figure", "measured.field", measure.field, hint=f"one of {known}"))
        predicted = outcome.fields[measure.field]
        ratio = measured / predicted if measure.higher_is_faster else predicted / measured
        error = ratio - 1.0
        time_s = outcome.fields.get("step_time_s", predicted) / ratio
        over = time_s / outcome.ideal_s if outcome.ideal_s else math.nan
    return Comparison(
        id=request.id,
        group=request.group,
        measured=measured,
        predicted=predicted,
        error=error,
        assumptions=request.assumptions,
        accelerator=outcome.accelerator,
        time_over_ideal=over,
        compute_share=outcome.compute_share,
        fits=outcome.fits,
        status=request.row.get("status", "ok") or "ok",
        memory_measured=memory * 2**30 if memory is not None else None,
        memory_predicted=outcome.fields.get("memory_bytes"),
        time_parts_s=outcome.time_parts_s,
        memory_bytes=outcome.memory_bytes,
        row=request.row,
    )


def null_levels(rows: Iterable[Comparison]) -> dict[str, float]:
    """The null model: one utilisation per accelerator, the median over `rows` (as time over ideal time)."""
    by_chip: dict[str, list[float]] = defaultdict(list)
    for row in _timed(rows):
        if math.isfinite(row.time_over_ideal):
            by_chip[row.accelerator].append(row.time_over_ideal)
    return {chip: median(values) for chip, values in by_chip.items()}


def _timed(rows: Iterable[Comparison]) -> list[Comparison]:
    """Rows that ran and have a measured time."""
    return [row for row in rows if math.isfinite(row.error) and row.status == "ok"]


def summarise(
    name: str, rows: Sequence[Comparison], skipped: Sequence[Skipped] = (), levels: Mapping[str, float] | None = None
) -> Summary:
    """Errors over the rows that have a measured time; `levels` of the null model (fitted on `rows` when not given)."""
    timed = _timed(rows)
    nan = math.nan
    if not timed:
        return Summary(name, tuple(rows), tuple(skipped), nan, nan, nan, nan, nan, None, "")
    known = null_levels(timed) if levels is None else levels
    nulls = [abs(known[row.accelerator] / row.time_over_ideal - 1.0) for row in timed if row.accelerator in known]
    null = mean(nulls) if nulls else nan
    sizes = sorted(abs(row.error) for row in timed)
    return Summary(
        name=name,
        rows=tuple(rows),
        skipped=tuple(skipped),
        mean_abs_error=mean(sizes),
        median_abs_error=median(sizes),
        p90_abs_error=percentile(sizes, 0.9),
        bias=mean(row.error for row in timed),
        null_mean_abs_error=null,
        skill=1.0 - mean(sizes) / null if nulls and null > 0 else None,
        worst=max(timed, key=lambda row: abs(row.error)).id,
    )


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Linear interpolation between the two nearest of the ordered values."""
    place = fraction * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def leave_one_set_out(rows: Sequence[Comparison]) -> dict[str, float]:
    """Mean absolute error of each group when its chip's achievable fraction is refitted on the other groups only.

    One factor per chip stretches the compute share of every step; its value is the median over the other groups' rows
    of what each row asks for.  A chip seen in one group only keeps its catalogue value.
    """
    members: dict[str, list[float]] = defaultdict(list)
    for row, error in left_out_errors(rows, lambda row: row.group):
        members[row.group].append(error)
    return {group: mean(members[group]) for group in sorted(members)}


def left_out_errors(rows: Sequence[Comparison], part: Callable[[Comparison], str]) -> list[tuple[Comparison, float]]:
    """Absolute error of each row with its chip's rate refitted on the rows of the other parts."""
    timed = _timed(rows)
    wanted: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in timed:
        wanted[row.accelerator].append((part(row), _wanted(row)))
    factors = {
        (chip, mine): median([value for other, value in found if other != mine] or [1.0])
        for chip, found in wanted.items()
        for mine in {name for name, _ in found}
    }
    changed = ((row, factors[row.accelerator, part(row)]) for row in timed)
    return [(row, abs((1.0 + row.error) * (1.0 + (f - 1.0) * row.compute_share) - 1.0)) for row, f in changed]


def _wanted(row: Comparison) -> float:
    """Factor on the compute share that would make this row exact."""
    return 1.0 + (1.0 / (1.0 + row.error) - 1.0) / max(row.compute_share, 0.05)
