"""A chip some years ahead: each number format along its own trend, a new format as an explicit step, power and price
as limits (`chip_limits`), capacity and bandwidth drawn together.

Capacity follows bandwidth: the time to read all memory has stayed at 19-60 ms since 2014 (its fitted growth is a
factor of 1.01 a year), so capacity = bandwidth · (capacity/bandwidth of the chip), with the scatter of that ratio.
The host issues an op in time ∝ 1 / speed of one thread; a kernel's overhead is a launch, which falls as launches do,
and ramp and drain on the device, which stay.  The energy of a FLOP is what full rate leaves of the power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError, Problem
from sim.fields import Confidence, Status
from sim.files.hardware import (
    AcceleratorFile,
    CacheGroup,
    FormatGroup,
    ReliabilityGroup,
    Unit,
    build_accelerator,
)
from sim.files.hardware_text import dump_accelerator
from sim.horizon.backtest import TESTED_YEARS
from sim.horizon.chip_limits import dram_byte_j, flop_j, limited, reference
from sim.horizon.points import METRICS, decimal_year
from sim.horizon.projected import Ahead, Band, Projected
from sim.horizon.trends import format_step, typical
from sim.ops import Format
from sim.records import dataclass

WIDER: Final[Mapping[Format, tuple[Format, ...]]] = {
    "nvfp4": ("mxfp4", "fp4", "fp8", "int8", "bf16", "fp16"),
    "mxfp4": ("nvfp4", "fp4", "fp8", "int8", "bf16", "fp16"),
    "mxfp6": ("mxfp8", "fp8", "int8", "bf16", "fp16"),
    "mxfp8": ("fp8", "int8", "bf16", "fp16"),
    "int4": ("fp4", "int8", "fp8", "bf16", "fp16"),
    "fp4": ("fp8", "int8", "bf16", "fp16"),
    "fp8": ("bf16", "fp16", "int8"),
    "int8": ("fp8", "bf16", "fp16"),
    "bf16": ("fp16", "tf32", "fp32"),
    "fp16": ("bf16", "tf32", "fp32"),
    "tf32": ("bf16", "fp16", "fp32"),
    "fp32": (),
    "fp64": (),
}
KEPT: Final = "achieved and sustained shares, tiles, energy of a byte in cache and on links, reserve"
"""What of a chip no dated figure tells of."""
FARTHEST: Final = 30.0
"""Years from the chip beyond which nothing is said."""


class Signed(TypedDict):
    """Source and confidence of a projected group: never better than D."""

    source: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class FormatStep:
    """A format the chip lacks, taken from one it has."""

    format: Format
    like: Format
    factor: float
    chips: int


@dataclass(frozen=True, slots=True)
class ChipProjection:
    """A chip `years` later, and how far that is from what the fits have seen."""

    chip: str
    year: float
    years: float
    beyond_data_years: float
    span_years: float
    rows: tuple[Projected, ...]
    steps: tuple[FormatStep, ...]
    constraints: tuple[str, ...]
    files: Mapping[Band, AcceleratorFile]

    @property
    def file(self) -> AcceleratorFile:
        """The central chip."""
        return self.files[Band.CENTRAL]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know of a year the trends have not seen."""
        if not self.beyond_data_years:
            return ()
        far = abs(self.years) > TESTED_YEARS
        beyond = f"{self.beyond_data_years:.1f} years beyond the chips the trends are fitted to"
        tested = f", and {abs(self.years):.1f} from {self.chip}: back-tests reach {TESTED_YEARS:g}" if far else ""
        return (f"{self.year:g} is extrapolated: {beyond}{tested}",)

    def row(self, metric: str) -> Projected:
        """One metric by name."""
        return next(row for row in self.rows if row.metric == metric)

    def named(self, band: Band) -> str:
        """What one of the three chips is called."""
        return f"{self.chip}-{self.year:g}-{band}".replace(".", "-")

    def text(self, band: Band, name: str = "") -> str:
        """One of the three chips as an accelerator file."""
        told = (f"{self.chip} projected to {self.year:g}, {band}.", *self.warnings)
        return dump_accelerator(replace(self.files[band], name=name or self.named(band)), told)


def project_chip(
    file: AcceleratorFile,
    year: float,
    new_format: Format | None = None,
    power_w: float | None = None,
    price_usd: float | None = None,
    before: float = math.inf,
) -> ChipProjection:
    """`file` extrapolated to `year` by what had shipped `before`; limits on power and price hold the peaks down."""
    ahead = _ahead(file, year, before)
    steps = _steps(file, new_format)
    peaks = {name: group.peak for name, group in file.compute.formats.items()}
    peaks |= {step.format: step.factor * peaks[step.like] for step in steps}
    rows = [ahead.along(f"{name} peak", peak, _trend_of(name, file)) for name, peak in peaks.items()]
    rows += _memory_rows(file, ahead) + _issue_rows(file, ahead) + _budget_rows(file, ahead)
    rows, constraints = limited(file, rows, ahead, power_w, price_usd)
    seen = [trend for metric, trend in ahead.fits.items() if metric in METRICS]
    first, last = min(trend.first for trend in seen), max(trend.last for trend in seen)
    files = {band: _file(file, year, rows, steps, band) for band in Band}
    return ChipProjection(
        chip=file.name,
        year=year,
        years=ahead.years,
        beyond_data_years=max(0.0, year - last, first - year),
        span_years=last - first,
        rows=(*rows, *_energy_rows(file, files, ahead)),
        steps=steps,
        constraints=tuple(constraints),
        files=files,
    )


def _ahead(file: AcceleratorFile, year: float, before: float) -> Ahead:
    """From the chip to `year`, which may lie before it."""
    if not file.date:
        raise InputError(Problem("a chip without a date cannot be projected", "date", file.name))
    start = decimal_year(file.date)
    if not start - FARTHEST <= year <= start + FARTHEST:
        rule = f"must lie within {FARTHEST:g} years of {file.name} ({start:.1f})"
        raise InputError(Problem(rule, "year", f"{year:g}"))
    ahead = Ahead(year - start, before)
    if start >= before or not ahead.fits:
        rule = f"nothing is known then of {file.name} ({start:.1f}) or of any trend"
        raise InputError(Problem(rule, "known", f"{before:g}"))
    return ahead


def _trend_of(name: Format, file: AcceleratorFile) -> str:
    """Iso-format: vector rates by fp32, matrix rates by 16-bit."""
    group = file.compute.formats.get(name)
    if (group is not None and group.unit == Unit.VECTOR) or name in ("fp32", "fp64"):
        return "fp32"
    return "matrix16"


def _steps(file: AcceleratorFile, new: Format | None) -> tuple[FormatStep, ...]:
    if new is None or new in file.compute.formats:
        return ()
    like = next((name for name in WIDER[new] if name in file.compute.formats), None)
    if like is None:
        raise InputError(Problem(f"{file.name} has no format from which a step to it is known", "format", new))
    factor, chips = format_step(new, like)
    return (FormatStep(new, like, factor, chips),)


def _memory_rows(file: AcceleratorFile, ahead: Ahead) -> list[Projected]:
    """Bandwidth by its trend, capacity at the chip's own reading time, with the scatter of capacities."""
    ratio = file.memory.capacity / file.memory.bandwidth
    note = f"{ratio * 1e3:.3g} ms to read all, as now"
    return [
        ahead.along("memory bandwidth", file.memory.bandwidth, "bandwidth"),
        ahead.along("memory capacity", file.memory.capacity, "capacity", note),
        ahead.along("cache", file.cache.capacity, "cache"),
    ]


def _issue_rows(file: AcceleratorFile, ahead: Ahead) -> list[Projected]:
    """What the host issues; a compiled program (no host time) is issued whole and keeps its overhead."""
    chip = build_accelerator(file)
    if not chip.host_s:
        return []
    thread = ahead.along("", 1.0, "single_thread")
    host = [chip.host_s / speed for speed in (thread.value, thread.high, thread.low)]
    rows = [_duration("host issue", chip.host_s, host, ahead, thread.points, "as one thread speeds up")]
    if (launches := ahead.fits.get("launch")) is None:
        return rows
    now = min(launches.at(decimal_year(file.date)), chip.kernel_overhead_s)
    stays = chip.kernel_overhead_s - now
    launch = ahead.along("", now, "launch")
    kernel = [stays + part for part in (launch.value, launch.low, launch.high)]
    split = f"launch {now * 1e6:.2g} of {chip.kernel_overhead_s * 1e6:.2g} us falls, ramp and drain stay"
    return [_duration("kernel overhead", chip.kernel_overhead_s, kernel, ahead, launch.points, split), *rows]


def _duration(metric: str, now: float, then: Sequence[float], ahead: Ahead, points: int, note: str) -> Projected:
    value, low, high = then
    return Projected(metric, now, ahead.yearly(value / now), value, low, high, points, note, duration=True)


def _budget_rows(file: AcceleratorFile, ahead: Ahead) -> list[Projected]:
    rows: list[Projected] = []
    if file.power:
        rows.append(ahead.along("power", file.power.peak, "power"))
        rows.append(ahead.along("memory energy", dram_byte_j(file), "memory_energy"))
    if file.price:
        rows.append(ahead.along("price", file.price.purchase, "price"))
    sites = ahead.fits.get("mtbf")
    if file.reliability is None and sites is None:
        return rows
    stated = file.reliability.mtbf if file.reliability else typical("mtbf")
    note = "" if file.reliability or sites is None else f"{file.name} states none: mean of {sites.n} sites"
    return [*rows, ahead.along("mtbf", stated, "mtbf", note)]


def _energy_rows(file: AcceleratorFile, files: Mapping[Band, AcceleratorFile], ahead: Ahead) -> list[Projected]:
    """J/FLOP of the reference format, of each machine; beside it what the trend of FLOP/J alone would give."""
    if file.power is None:
        return []
    now = flop_j(file)
    low, value, high = (flop_j(files[band]) for band in (Band.LOW, Band.CENTRAL, Band.HIGH))
    trend = f"{reference(file)[1]}_per_watt"
    known = ahead.fits.get(trend)
    note = f"by FLOP/J alone {now / ahead.factor(trend) * 1e12:.3g} pJ" if known else ""
    edges = min(low, value, high), max(low, value, high)
    return [Projected("energy per FLOP", now, ahead.yearly(value / now), value, *edges, known.n if known else 0, note)]


def _file(
    file: AcceleratorFile, year: float, rows: Sequence[Projected], steps: Sequence[FormatStep], band: Band
) -> AcceleratorFile:
    """One of the three chips as an accelerator file that passes check; all three move a byte at one energy."""
    by = {row.metric: row.at(Band.CENTRAL if row.metric == "memory energy" else band) for row in rows}
    source = f"{file.name} projected to {year:g}, {band}: fits to shipped chips (foretrain hardware project)"
    signed: Signed = {"source": source, "confidence": Confidence.D}
    formats = dict(file.compute.formats)
    formats |= {step.format: replace(formats[step.like], unit=Unit.MATRIX) for step in steps}
    stated: dict[Format, FormatGroup] = {
        name: replace(group, peak=by[f"{name} peak"]) for name, group in formats.items()
    }
    faster = by["memory bandwidth"] / file.memory.bandwidth
    wider = None if file.cache.bandwidth is None else file.cache.bandwidth * faster
    return replace(
        file,
        name=f"{file.name}-{math.floor(year)}",
        status=Status.HYPOTHETICAL,
        date=f"{math.floor(year)}-{min(12, int((year % 1) * 12) + 1):02d}",
        compute=replace(
            file.compute,
            formats=stated,
            kernel_overhead=by.get("kernel overhead", file.compute.kernel_overhead),
            host=by.get("host issue", file.compute.host),
            **signed,
        ),
        memory=replace(
            file.memory, capacity=by["memory capacity"], bandwidth=by["memory bandwidth"], exact=True, **signed
        ),
        cache=CacheGroup(by["cache"], wider, **signed),
        links=replace(file.links, **signed),
        power=file.power
        and replace(file.power, peak=by["power"], idle=None, arithmetic=None, dram=by["memory energy"], **signed),
        price=file.price and replace(file.price, purchase=by["price"], **signed),
        reliability=ReliabilityGroup(by["mtbf"], **signed) if "mtbf" in by else None,
    )


def draw(projection: ChipProjection, count: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """`count` chips from the bands (log-normal); capacity = bandwidth · reading time, so both rise together."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    found: dict[str, NDArray[np.float64]] = {}
    to_sd = 1.0 / 1.2816  # an 80 % band is ±1.282 standard deviations
    for row in projection.rows:
        if row.metric == "memory capacity":
            continue
        sd = math.log10(row.high / row.value) * to_sd
        found[row.metric] = row.value * 10.0 ** (sd * rng.standard_normal(count))
    bandwidth, capacity = projection.row("memory bandwidth"), projection.row("memory capacity")
    own = math.log10(capacity.high / capacity.value) ** 2 - math.log10(bandwidth.high / bandwidth.value) ** 2
    ratio = 10.0 ** (math.sqrt(max(0.0, own)) * to_sd * rng.standard_normal(count))
    found["memory capacity"] = found["memory bandwidth"] * (capacity.value / bandwidth.value) * ratio
    return found
