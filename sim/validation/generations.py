"""Chips of several years beside each other in MLPerf's rows: ratios of rates per device, ranking by time to target.

    ratio   = (rate / devices) of the newer chip's entry over that of the older one's, each at its own printed batch
    ranking = order of minutes to the target · devices; Spearman's coefficient without ties

Which entries stand for which chip is data (scenarios/published/generations.csv).  Rates come from the rules of
mlperf_resnet and mlperf_bert, minutes from minutes_resnet and minutes_bert: nothing is set up here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from typing import Final

from sim.errors import InputError, Problem
from sim.files.library import folder
from sim.records import dataclass
from sim.validation import minutes
from sim.validation.ranking import spearman
from sim.validation.runs import simulate_request
from sim.validation.validation import Outcome, Request, ValidationSet, number_of, requests

RANKING: Final = "ranking"
TABLE: Final = "generations.csv"


@dataclass(frozen=True, slots=True)
class Entry:
    """One published row that stands for a chip."""

    benchmark: str
    comparison: str
    chip: str
    row: str
    samples: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """An entry's figure, published and simulated: a rate per device (samples/s), or device minutes to the target."""

    entry: Entry
    measured: float
    predicted: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a newer chip gains over an older one."""

    older: Figure
    newer: Figure

    @property
    def measured(self) -> float:
        return self.newer.measured / self.older.measured

    @property
    def predicted(self) -> float:
        return self.newer.predicted / self.older.predicted

    @property
    def error(self) -> float:
        """Relative."""
        return self.predicted / self.measured - 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """The chips of one benchmark, the fastest published first."""

    benchmark: str
    figures: tuple[Figure, ...]

    @property
    def correlation(self) -> float:
        """Spearman's, of device minutes."""
        return spearman([f.measured for f in self.figures], [f.predicted for f in self.figures], tie=0.0)


@cache
def entries() -> tuple[Entry, ...]:
    """The table."""
    text = (folder("validation") / TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Entry(r["benchmark"], r["comparison"], r["chip"], r["row"], number_of(r["samples"] or "")) for r in rows
    )


def ratios() -> tuple[Ratio, ...]:
    """Every pair of the table."""
    pairs: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries():
        if entry.comparison != RANKING:
            pairs.setdefault((entry.benchmark, entry.comparison), []).append(entry)
    return tuple(Ratio(_rate(older), _rate(newer)) for older, newer in pairs.values())


def orders() -> tuple[Order, ...]:
    """The ranking of each benchmark."""
    ranked = [entry for entry in entries() if entry.comparison == RANKING]
    return tuple(
        Order(name, tuple(sorted((_minutes(e) for e in ranked if e.benchmark == name), key=lambda f: f.measured)))
        for name in dict.fromkeys(entry.benchmark for entry in ranked)
    )


def _rate(entry: Entry) -> Figure:
    """Samples per second and device."""
    spec = minutes.rate_set(f"mlperf_{entry.benchmark}")
    request = _request(spec, entry)
    if request.measure is not None and request.measured is not None:
        field, measured = request.measure.field, request.measured
    else:
        field, measured = "samples_per_s", (entry.samples or 0.0) / (60.0 * _cell(request, "time_to_train_min"))
    devices = _cell(request, "n_accel")
    predicted = _outcome(entry, request, lambda found: simulate_request(spec, found)).fields[field]
    return Figure(entry, measured / devices, predicted / devices)


def _minutes(entry: Entry) -> Figure:
    """Minutes to the target times devices."""
    spec = minutes.rate_set(f"minutes_{entry.benchmark}")
    request = _request(spec, entry)
    devices = _cell(request, "n_accel")
    predicted = _outcome(entry, request, lambda found: minutes.simulate_row(spec, found)).fields["minutes"]
    return Figure(entry, _cell(request, "time_to_train_min") * devices, predicted * devices)


def _request(spec: ValidationSet, entry: Entry) -> Request:
    found = next((r for r in requests(spec) if r.id == entry.row), None)
    if found is None:
        raise InputError(Problem(f"no such row of {spec.name}", "row", entry.row, file=TABLE))
    return found


def _cell(request: Request, column: str) -> float:
    value = number_of(request.row.get(column, ""))
    if value is None:
        raise InputError(Problem(f"the row has no {column}", "row", request.id, file=TABLE))
    return value


def _outcome(entry: Entry, request: Request, simulate: Callable[[Request], Outcome | str]) -> Outcome:
    found = simulate(request)
    if isinstance(found, str):
        raise InputError(Problem(f"cannot be simulated: {found}", "row", entry.row, file=TABLE))
    return found
