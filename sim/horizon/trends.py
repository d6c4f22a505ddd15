"""Hardware trends: fits of log₁₀(metric) on time over shipped chips, their back-test, and the projection of one chip.

    log₁₀ y(t) = a + b·t            ordinary least squares, one number format at a time (iso-format)
    ŷ(T)       = y(chip)·10^(b·(T − t_chip))
    half width = w·t₀.₉₅(n−2)·√(s² + (se_b·(T − t_chip))²)     in log₁₀

w widens the nominal 90 % band to what the back-test demands (fit to five years before a chip, predict that chip):
nominal bands held 60-70 % of outcomes in published back-tests, because formats, die count and power budgets come in
steps.  Announced and hypothetical chips, wafers and chips without off-chip memory are never fitted.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean, median
from typing import Final

from scipy.special import stdtrit

from sim.errors import InputError, Problem
from sim.fields import Status
from sim.files.clusters import load_links
from sim.files.hardware import AcceleratorFile, Unit, accelerator_files
from sim.files.library import root
from sim.ops import Format

LEVEL: Final = 0.90
HORIZON_YEARS: Final = 5.0
MIN_POINTS: Final = 5
COMPUTE: Final = ("fp32", "matrix16", "matrix8")
METRICS: Final[Mapping[str, str]] = {
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


@dataclass(frozen=True, slots=True)
class Point:
    """A chip as trends see it."""

    name: str
    vendor: str
    year: float
    status: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Fit:
    """log₁₀ of a metric against the year: slope and its standard error (1/yr), residual deviation (dex)."""

    metric: str
    n: int
    first: float
    last: float
    intercept: float  # at `last`
    slope: float
    slope_error: float
    deviation: float

    @property
    def growth(self) -> float:
        """Factor per year."""
        return float(10.0**self.slope)

    @property
    def doubling_years(self) -> float:
        return math.log10(2.0) / self.slope if self.slope else math.inf

    def half_width(self, years: float) -> float:
        """Nominal 90 % prediction half width (dex), `years` from the chip extrapolated."""
        quantile = float(stdtrit(self.n - 2, 0.5 + LEVEL / 2.0))
        return quantile * math.hypot(self.deviation, self.slope_error * years)


@dataclass(frozen=True, slots=True)
class Backtest:
    """One chip predicted from what had shipped `horizon` years before it."""

    metric: str
    anchor: str
    target: str
    horizon: float
    n: int
    actual: float
    predicted: float
    half_width: float  # dex, nominal
    widening: float  # fitted on the targets of other years

    @property
    def error(self) -> float:
        """log₁₀(actual / predicted)."""
        return math.log10(self.actual / self.predicted)

    @property
    def nominal(self) -> bool:
        """Inside the nominal band."""
        return abs(self.error) <= self.half_width

    @property
    def inside(self) -> bool:
        """Inside the widened band."""
        return abs(self.error) <= self.half_width * self.widening


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many outcomes the 90 % bands held, and the median of actual / predicted."""

    metric: str
    n: int
    nominal: float
    widened: float
    median_ratio: float


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
        "read_all": file.memory.capacity / file.memory.bandwidth,
        "cache": file.cache.capacity,
        "link": _link(file),
        "power": file.power.peak if file.power else None,
        "price": file.price.purchase if file.price else None,
    }
    for per, by in (("watt", values["power"]), ("usd", values["price"])):
        for metric in ("matrix16", "fp32"):
            peak = values[metric]
            values[f"{metric}_per_{per}"] = peak / by if peak and by else None
    year = decimal_year(file.date) if file.date else math.nan
    return Point(file.name, file.vendor, year, file.status, {k: v for k, v in values.items() if v})


def _link(file: AcceleratorFile) -> float | None:
    links = load_links()
    return max((links[name].bandwidth for name in file.links.types if name in links), default=None)


def fit_points(files: Iterable[AcceleratorFile] | None = None) -> tuple[Point, ...]:
    """Chips a fit may use, oldest first: shipped parts for training (stacked memory, or before there was any)."""
    given = accelerator_files().values() if files is None else files
    usable = (f for f in given if f.status == Status.SHIPPED and f.date and _trains(f))
    return tuple(sorted(map(point_of, usable), key=lambda point: point.year))


def _trains(file: AcceleratorFile) -> bool:
    """Inference cards (GDDR6, DDR) and wafers follow other budgets and are kept out; HBM came with P100 in 2016."""
    return file.memory.type.upper().startswith("HBM") or (file.memory.type == "GDDR5" and file.date < "2016")


def fit(points: Sequence[Point], metric: str) -> Fit | None:
    """Least squares over the points that state the metric; None for fewer than five or a single date."""
    pairs = [(p.year, math.log10(p.values[metric])) for p in points if metric in p.values]
    if len(pairs) < MIN_POINTS:
        return None
    last = max(x for x, _ in pairs)
    mean_x, mean_y = mean(x for x, _ in pairs), mean(y for _, y in pairs)
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    if spread < 0.5:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread
    residuals = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in pairs)
    deviation = math.sqrt(residuals / (len(pairs) - 2))
    at_last = mean_y + slope * (last - mean_x)
    first = min(x for x, _ in pairs)
    return Fit(metric, len(pairs), first, last, at_last, slope, deviation / math.sqrt(spread), deviation)


def fits(points: Sequence[Point] | None = None) -> dict[str, Fit]:
    """Every metric that can be fitted."""
    chips = fit_points() if points is None else points
    return {metric: found for metric in METRICS if (found := fit(chips, metric)) is not None}


def backtest(points: Sequence[Point] | None = None, horizon: float = HORIZON_YEARS) -> list[Backtest]:
    """Every chip predicted from its vendor's best part of `horizon` years before, by fits on what had shipped then."""
    chips = fit_points() if points is None else points
    rows = [row for chip in chips for row in _predicted(chip, chips, horizon)]
    years = {chip.name: int(chip.year) for chip in chips}
    scores = [(years[row.target], abs(row.error) / row.half_width) for row in rows]
    widths = {year: widening_of([score for other, score in scores if other != year]) for year in set(years.values())}
    return [replace(row, widening=widths[years[row.target]]) for row in rows]


def _predicted(target: Point, chips: Sequence[Point], horizon: float) -> list[Backtest]:
    known = [chip for chip in chips if chip.year <= target.year - horizon]
    mine = [chip for chip in known if chip.vendor == target.vendor]
    if not mine:
        return []
    anchor = max(mine, key=lambda chip: (chip.values["bandwidth"], chip.year))
    years = target.year - anchor.year
    rows: list[Backtest] = []
    for metric in METRICS:
        trend = fit(known, metric) if metric in anchor.values and metric in target.values else None
        if trend is not None:
            predicted = anchor.values[metric] * 10.0 ** (trend.slope * years)
            width = trend.half_width(years)
            rows.append(
                Backtest(metric, anchor.name, target.name, years, trend.n, target.values[metric], predicted, width, 1.0)
            )
    return rows


def widening_of(scores: Sequence[float]) -> float:
    """Factor (at least 1) by which bands must grow to hold 90 % of |error| / half width: split-conformal quantile."""
    if not scores:
        return 1.0
    ordered = sorted(scores)
    rank = min(len(ordered), math.ceil((len(ordered) + 1) * LEVEL))
    return max(1.0, ordered[rank - 1])


def coverage(rows: Sequence[Backtest]) -> list[Coverage]:
    """Share of outcomes in the nominal and in the widened band, by metric and over all."""
    found: list[Coverage] = []
    for metric in [*METRICS, "all"]:
        group = [row for row in rows if metric in (row.metric, "all")]
        if group:
            ratios = [row.actual / row.predicted for row in group]
            nominal, inside = mean(row.nominal for row in group), mean(row.inside for row in group)
            found.append(Coverage(metric, len(group), nominal, inside, median(ratios)))
    return found


def band_widening(rows: Sequence[Backtest] | None = None) -> float:
    """The widening used for projections: the larger of what our own and the published back-test demand."""
    tested = backtest() if rows is None else rows
    own = widening_of([abs(row.error) / row.half_width for row in tested])
    return max(own, widening_of(published_scores()))


@cache
def published_scores() -> tuple[float, ...]:
    """|error| / half width of every prediction of hardware/trends_backtest.csv (source in its head)."""
    path = root() / "hardware" / "trends_backtest.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    scores: list[float] = []
    for row in csv.DictReader(lines):
        width = math.log10(float(row["high"]) / float(row["low"])) / 2.0
        scores.append(abs(math.log10(float(row["actual"]) / float(row["predicted"]))) / width)
    return tuple(scores)


def format_step(narrow: Format, wide: Format, files: Iterable[AcceleratorFile] | None = None) -> tuple[float, int]:
    """Median dense rate of one format over another on shipped chips that have both, and how many there are."""
    given = accelerator_files().values() if files is None else files
    ratios = [
        formats[narrow].peak / formats[wide].peak
        for file in given
        if file.status == Status.SHIPPED and narrow in (formats := file.compute.formats) and wide in formats
    ]
    if not ratios:
        raise InputError(Problem(f"no shipped chip has both {narrow} and {wide}", "format", narrow))
    return median(ratios), len(ratios)
