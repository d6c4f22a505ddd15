"""A chip some years ahead: each number format along its own trend, a new format as an explicit step, power and price
as constraints, capacity and bandwidth drawn together.

Capacity follows bandwidth: the time to read all memory has stayed at 19-60 ms since 2014 (its fitted growth is a
factor of 1.01 a year), so capacity = bandwidth · (capacity/bandwidth of the chip), with the scatter of that ratio.
A power (or price) limit holds the peak to limit · FLOP/J (FLOP/s/USD) of the chip · growth of that ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.device.energy import BITS_PER_BYTE, DRAM_PJ_PER_BIT, PICO
from sim.errors import InputError, Problem
from sim.fields import Confidence, Status
from sim.files.hardware import (
    AcceleratorFile,
    CacheGroup,
    ComputeGroup,
    FormatGroup,
    MemoryGroup,
    PowerGroup,
    PriceGroup,
    Unit,
)
from sim.horizon.trends import Fit, band_widening, decimal_year, fits, format_step
from sim.ops import Format

WIDER: Final[Mapping[Format, tuple[Format, ...]]] = {
    "fp4": ("fp8", "int8", "bf16", "fp16"),
    "fp8": ("bf16", "fp16", "int8"),
    "int8": ("fp8", "bf16", "fp16"),
    "bf16": ("fp16", "tf32", "fp32"),
    "fp16": ("bf16", "tf32", "fp32"),
    "tf32": ("bf16", "fp16", "fp32"),
    "fp32": (),
    "fp64": (),
}
MEMORY_POWER_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Projected:
    """One metric: the chip's value, the trend's factor per year, the value then and its 90 % band."""

    metric: str
    now: float
    growth: float
    value: float
    low: float
    high: float
    points: int
    note: str = ""


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
    widening: float
    rows: tuple[Projected, ...]
    steps: tuple[FormatStep, ...]
    constraints: tuple[str, ...]
    file: AcceleratorFile

    def row(self, metric: str) -> Projected:
        """One metric by name."""
        return next(row for row in self.rows if row.metric == metric)


def project_chip(
    file: AcceleratorFile,
    year: float,
    new_format: Format | None = None,
    power_w: float | None = None,
    price_usd: float | None = None,
) -> ChipProjection:
    """`file` extrapolated to `year`; limits on power and price hold the peaks down."""
    start = _start(file, year)
    trends, widening = fits(), band_widening()
    years = year - start
    steps = _steps(file, new_format)
    peaks = {name: group.peak for name, group in file.compute.formats.items()}
    peaks |= {step.format: step.factor * peaks[step.like] for step in steps}
    rows = [
        _projected(f"{name} peak", peak, trends[_trend_of(name, file)], years, widening) for name, peak in peaks.items()
    ]
    rows += _memory_rows(file, trends, years, widening)
    rows += _budget_rows(file, trends, years, widening)
    rows, constraints = _constrained(file, rows, trends, years, power_w, price_usd)
    last = max(trend.last for trend in trends.values())
    return ChipProjection(
        chip=file.name,
        year=year,
        years=years,
        beyond_data_years=max(0.0, year - last),
        span_years=last - min(trend.first for trend in trends.values()),
        widening=widening,
        rows=tuple(rows),
        steps=steps,
        constraints=tuple(constraints),
        file=_file(file, year, rows, steps),
    )


def _start(file: AcceleratorFile, year: float) -> float:
    if not file.date:
        raise InputError(Problem("a chip without a date cannot be projected", "date", file.name))
    start = decimal_year(file.date)
    if not start < year <= start + 30:
        rule = f"must lie in the 30 years after {file.name} ({start:.1f})"
        raise InputError(Problem(rule, "year", f"{year:g}"))
    return start


def _trend_of(name: Format, file: AcceleratorFile) -> str:
    """Iso-format: vector rates by fp32, matrix rates by 16-bit or 8-bit."""
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


def _projected(metric: str, now: float, trend: Fit, years: float, widening: float, note: str = "") -> Projected:
    value = now * trend.growth**years
    band = 10.0 ** (widening * trend.half_width(years))
    return Projected(metric, now, trend.growth, value, value / band, value * band, trend.n, note)


def _memory_rows(file: AcceleratorFile, trends: Mapping[str, Fit], years: float, widening: float) -> list[Projected]:
    """Bandwidth by its trend, capacity at the chip's own reading time, whose scatter widens capacity's band."""
    bandwidth = _projected("memory bandwidth", file.memory.bandwidth, trends["bandwidth"], years, widening)
    ratio = file.memory.capacity / file.memory.bandwidth
    wide = math.hypot(math.log10(bandwidth.high / bandwidth.value), widening * trends["read_all"].half_width(years))
    value = bandwidth.value * ratio
    capacity = Projected(
        "memory capacity",
        file.memory.capacity,
        bandwidth.growth,
        value,
        value / 10**wide,
        value * 10**wide,
        bandwidth.points,
        f"{ratio * 1e3:.3g} ms to read all, as now",
    )
    return [bandwidth, capacity, _projected("cache", file.cache.capacity, trends["cache"], years, widening)]


def _budget_rows(file: AcceleratorFile, trends: Mapping[str, Fit], years: float, widening: float) -> list[Projected]:
    rows: list[Projected] = []
    if file.power:
        rows.append(_projected("power", file.power.peak, trends["power"], years, widening))
    if file.price:
        rows.append(_projected("price", file.price.purchase, trends["price"], years, widening))
    return rows


def _constrained(
    file: AcceleratorFile,
    rows: Sequence[Projected],
    trends: Mapping[str, Fit],
    years: float,
    power_w: float | None,
    price_usd: float | None,
) -> tuple[list[Projected], list[str]]:
    """Peaks held to what the limits pay for, and a sentence for each limit."""
    said: list[str] = []
    scale, by = 1.0, ""
    limits = (
        ("power", power_w, file.power and file.power.peak),
        ("price", price_usd, file.price and file.price.purchase),
    )
    kept = list(rows)
    for name, limit, now in limits:
        if limit is None:
            continue
        if not now:
            raise InputError(Problem(f"{file.name} states no {name}, so none can be limited", name, f"{limit:g}"))
        share = _paid_for(file, trends, years, name, limit / now)
        unit = "W" if name == "power" else "USD"
        said.append(f"{name} of {limit:g} {unit} pays for {min(share, 1.0):.0%} of the trend's peak")
        if share < scale:
            scale, by = share, name
        kept = [replace(r, value=limit, low=limit, high=limit, note="given") if r.metric == name else r for r in kept]
    if scale < 1.0:
        kept = [_held(row, scale, by) if row.metric.endswith(" peak") else row for row in kept]
    said += _memory_power(file, kept)
    return kept, said


def _paid_for(file: AcceleratorFile, trends: Mapping[str, Fit], years: float, name: str, ratio: float) -> float:
    """(limit · efficiency then) / (peak of the trend then), both as multiples of the chip's."""
    matrix = any(group.unit == Unit.MATRIX for group in file.compute.formats.values())
    peak = "matrix16" if matrix else "fp32"
    per = trends[f"{peak}_per_{'watt' if name == 'power' else 'usd'}"]
    return float(ratio * per.growth**years / trends[peak].growth ** years)


def _held(row: Projected, scale: float, by: str) -> Projected:
    return replace(row, value=row.value * scale, low=row.low * scale, high=row.high * scale, note=f"held by {by}")


def _memory_power(file: AcceleratorFile, rows: Sequence[Projected]) -> list[str]:
    """A sentence when memory traffic alone would take more than half of the power."""
    power = next((row.value for row in rows if row.metric == "power"), None)
    bandwidth = next(row.value for row in rows if row.metric == "memory bandwidth")
    byte_j = DRAM_PJ_PER_BIT.get(file.memory.type.upper(), DRAM_PJ_PER_BIT["HBM3"]) * BITS_PER_BYTE * PICO
    if power is None or bandwidth * byte_j <= MEMORY_POWER_SHARE * power:
        return []
    watts = bandwidth * byte_j
    return [
        f"memory at full rate takes {watts:.0f} of {power:.0f} W at {byte_j * 1e12:.3g} pJ/B: it needs cheaper bits"
    ]


def _file(
    file: AcceleratorFile, year: float, rows: Sequence[Projected], steps: Sequence[FormatStep]
) -> AcceleratorFile:
    """The projected chip as an accelerator file that passes check."""
    by = {row.metric: replace(row, value=float(f"{row.value:.3g}")) for row in rows}
    source = f"{file.name} projected to {year:g} along fits to shipped chips (foretrain hardware project)"
    formats = dict(file.compute.formats)
    formats |= {step.format: replace(formats[step.like], unit=Unit.MATRIX) for step in steps}
    told: dict[Format, FormatGroup] = {
        name: replace(group, peak=by[f"{name} peak"].value) for name, group in formats.items()
    }
    compute: ComputeGroup = replace(file.compute, formats=told, source=source, confidence=Confidence.D)
    memory: MemoryGroup = replace(
        file.memory,
        capacity=by["memory capacity"].value,
        bandwidth=by["memory bandwidth"].value,
        exact=True,
        source=source,
        confidence=Confidence.D,
    )
    faster = by["memory bandwidth"].value / file.memory.bandwidth
    wider = None if file.cache.bandwidth is None else file.cache.bandwidth * faster
    power: PowerGroup | None = file.power and replace(
        file.power, peak=by["power"].value, idle=None, source=source, confidence=Confidence.D
    )
    price: PriceGroup | None = file.price and replace(
        file.price, purchase=by["price"].value, source=source, confidence=Confidence.D
    )
    return replace(
        file,
        name=f"{file.name}-{math.floor(year)}",
        status=Status.HYPOTHETICAL,
        date=f"{math.floor(year)}-{min(12, int((year % 1) * 12) + 1):02d}",
        compute=compute,
        memory=memory,
        cache=CacheGroup(by["cache"].value, wider, source=source, confidence=Confidence.D),
        power=power,
        price=price,
    )


def draw(projection: ChipProjection, count: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """`count` chips from the bands (log-normal); capacity = bandwidth · reading time, so both rise together."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    found: dict[str, NDArray[np.float64]] = {}
    to_sd = 1.0 / 1.6449  # a 90 % band is ±1.645 standard deviations
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


def renamed(file: AcceleratorFile, name: str) -> AcceleratorFile:
    """The chip under another name, that of the file it is written to."""
    return replace(file, name=name)
