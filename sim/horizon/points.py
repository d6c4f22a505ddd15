"""What trends are fitted to: shipped training chips, older boards, and dated figures of what surrounds a chip.

Chips are the catalogue's (hardware/accelerators) and, before it begins, hardware/trends_chips.csv; links, hosts,
launches, the energy of a byte and failures are hardware/trends.csv, with a source in every row.  Announced and
hypothetical chips, wafers and inference cards are never fitted.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from sim.errors import InputError, Problem
from sim.fields import Status
from sim.files.clusters import load_links
from sim.files.hardware import AcceleratorFile, Unit, accelerator_files
from sim.files.library import root
from sim.records import dataclass

METRICS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fp32": "FLOP/s, fp32 vector",
        "matrix16": "FLOP/s, 16-bit matrix, dense",
        "matrix8": "FLOP/s, 8-bit matrix, dense",
        "bandwidth": "B/s of memory",
        "capacity": "B of memory",
        "link": "B/s of the widest link, per direction",
        "cache": "B of last-level cache",
        "power": "W",
        "price": "USD",
        "matrix16_per_watt": "FLOP/J, 16-bit",
        "fp32_per_watt": "FLOP/J, fp32",
        "matrix16_per_usd": "FLOP/s/USD, 16-bit",
        "fp32_per_usd": "FLOP/s/USD, fp32",
        "read_all": "s to read all memory",
    }
)
"""Of a chip."""
SERIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scale_out": "B/s of one network port, per direction",
        "host_bus": "B/s of a host's x16 slot, per direction",
        "single_thread": "SPECint of one thread, relative",
        "host_cores": "physical cores of a node of eight devices",
        "host_memory": "B of main memory of a node of eight devices",
        "launch": "s to launch one kernel",
        "memory_energy": "J/B of memory",
        "mtbf": "s between failures of one device that stop a job",
    }
)
"""Of what surrounds it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A chip, or a dated figure, as trends see it; what is predicted is predicted from its own `vendor`'s past."""

    name: str
    vendor: str
    year: float
    status: str
    values: Mapping[str, float]


def decimal_year(date: str) -> float:
    """ "2020-11-16" → 2020.9; a missing month or day counts as the middle."""
    if not re.fullmatch(r"\d{4}(-\d{1,2}){0,2}", date):
        raise InputError(Problem("must be a date such as 2026, 2026-05 or 2026-05-20", "date", repr(date)))
    parts = [int(part) for part in date.split("-")]
    month = parts[1] - 1 if len(parts) > 1 else 6
    day = parts[2] - 1 if len(parts) > 2 else 15
    return parts[0] + month / 12.0 + day / 365.25


def point_of(file: AcceleratorFile) -> Point:
    """The metrics of one chip; those it does not state are left out."""
    formats = file.compute.formats
    matrix = {name: group.peak for name, group in formats.items() if group.unit == Unit.MATRIX}
    values: dict[str, float | None] = {
        "fp32": formats["fp32"].peak if "fp32" in formats else None,
        "matrix16": max((matrix[f] for f in ("bf16", "fp16") if f in matrix), default=None),
        "matrix8": max((matrix[f] for f in ("fp8", "int8") if f in matrix), default=None),
        "bandwidth": file.memory.bandwidth,
        "capacity": file.memory.capacity,
        "cache": file.cache.capacity,
        "link": _link(file),
        "power": file.power.peak if file.power else None,
        "price": file.price.purchase if file.price else None,
    }
    year = decimal_year(file.date) if file.date else math.nan
    return Point(file.name, file.vendor, year, file.status, _with_ratios(values))


def _with_ratios(values: Mapping[str, float | None]) -> dict[str, float]:
    """What is stated, and the ratios of it."""
    known = {name: value for name, value in values.items() if value}
    ratios = {"read_all": ("capacity", "bandwidth")} | {
        f"{peak}_per_{per}": (peak, by) for peak in ("matrix16", "fp32") for per, by in _PER.items()
    }
    return known | {name: known[a] / known[b] for name, (a, b) in ratios.items() if a in known and b in known}


_PER: Final = {"watt": "power", "usd": "price"}


def _link(file: AcceleratorFile) -> float | None:
    """Of the widest link between devices; a board with nothing but a slot states none."""
    links = load_links()
    between = [name for name in file.links.types if name in links and not name.startswith("pcie")]
    return max((links[name].bandwidth for name in between), default=None)


def fit_points(files: Iterable[AcceleratorFile] | None = None) -> tuple[Point, ...]:
    """Chips a fit may use, oldest first: boards before the catalogue, and its shipped parts for training (stacked
    memory, or before there was any)."""
    given = accelerator_files().values() if files is None else files
    usable = (f for f in given if f.status == Status.SHIPPED and f.date and _trains(f))
    return tuple(sorted((*_earlier(), *map(point_of, usable)), key=lambda point: point.year))


def _trains(file: AcceleratorFile) -> bool:
    """Inference cards (GDDR6, DDR) and wafers follow other budgets and are kept out; HBM came with P100 in 2016."""
    return file.memory.type.upper().startswith("HBM") or (file.memory.type == "GDDR5" and file.date < "2016")


def _rows(name: str) -> list[dict[str, str]]:
    path = root() / "hardware" / name
    return list(csv.DictReader(row for row in path.read_text("utf-8").splitlines() if not row.startswith("#")))


@cache
def _earlier() -> tuple[Point, ...]:
    told = ("name", "vendor", "date")
    return tuple(
        Point(
            row["name"],
            row["vendor"],
            decimal_year(row["date"]),
            Status.SHIPPED,
            _with_ratios({key: float(value) for key, value in row.items() if value and key not in told}),
        )
        for row in _rows("trends_chips.csv")
    )


@cache
def series_points() -> tuple[Point, ...]:
    """Every row of hardware/trends.csv, oldest first."""
    rows = _rows("trends.csv")
    points = (
        Point(r["name"], r["metric"], decimal_year(r["date"]), Status.SHIPPED, {r["metric"]: float(r["value"])})
        for r in rows
    )
    return tuple(sorted(points, key=lambda point: point.year))


@cache
def published_rows() -> tuple[Mapping[str, str], ...]:
    """Published five-years-ahead predictions: hardware/trends_backtest.csv (source in its head)."""
    return tuple(_rows("trends_backtest.csv"))
