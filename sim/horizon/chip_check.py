"""What a budget gives back of chips whose making is published, beside a null model; and the fit behind it.

Fed: area, dies, node, year, kind and width of the cores, registers and cache (MiB), stacks and generation of memory,
links, the share of the cores sold. Back come peak, bandwidth and power. Power is that of a large product at the share
of the clock the chip's own steps keep (`sustained` of its generation, from step times, not from power).
Null model: area times what the chips the model was fitted on have per mm², those of the nearest node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, geometric_mean
from typing import ClassVar

from sim.answer import Answer
from sim.device.records import Accelerator
from sim.device.silicon import ChipBudget, Process
from sim.device.silicon.area import MIB, MM2, Parts, fixed_areas, parts_of
from sim.device.silicon.band import Band
from sim.device.silicon.power import power_of
from sim.files.budget import BudgetFile, bands_of
from sim.files.clusters import load_links
from sim.files.hardware import load_accelerator
from sim.files.process import KnownChip, load_known_chips, load_process
from sim.records import dataclass

FIGURES = ("peak", "bandwidth", "power")
PICO = 1e-12
EDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Returned:
    """One figure of a known chip: published, from its budget, from the null model (SI)."""

    chip: str
    figure: str
    fit: tuple[str, ...]  # coefficients fitted on the chip; empty: held out
    note: str
    published: float
    band: Band
    null: float

    @property
    def error(self) -> float:
        """Of the budget."""
        return self.band.value / self.published - 1.0

    @property
    def inside(self) -> bool:
        """Whether the published figure lies in what the ranges of the coefficients leave open (to a thousandth)."""
        return self.band.low * (1.0 - EDGE) <= self.published <= self.band.high * (1.0 + EDGE)

    @property
    def null_error(self) -> float:
        """Of the null model."""
        return self.null / self.published - 1.0


@dataclass(frozen=True, slots=True)
class ChipCheck(Answer):
    """Known chips from their budgets."""

    REPORT: ClassVar[str] = "sim.report.chip_check"
    rows: tuple[Returned, ...]

    @property
    def largest(self) -> float:
        """Largest error of a held-out chip."""
        return max(abs(row.error) for row in self.rows if not row.fit)

    @property
    def inside(self) -> tuple[int, int]:
        """(figures of held-out chips inside their ranges, all of theirs)."""
        rows = [row for row in self.rows if not row.fit]
        return sum(row.inside for row in rows), len(rows)


@dataclass(frozen=True, slots=True)
class CoreFit:
    """Coefficients of a kind of core as its fitted chips give them."""

    delivery: float  # um2 per multiply-add
    control: float  # mm2
    energy: float | None  # pJ/FLOP at N7; None where no fitted chip has a file
    clock: float  # GHz at N7


def check_chips() -> ChipCheck:
    """Every known chip that has a file."""
    chips = {name: known for name, known in load_known_chips().items() if known.chip}
    return ChipCheck(tuple(row for name, known in chips.items() for row in _returned(name, known, chips)))


def _returned(name: str, known: KnownChip, chips: Mapping[str, KnownChip]) -> Iterator[Returned]:
    real = load_accelerator(known.chip)
    found = {band.name: band for band in bands_of(_file(known), real.sustained)}
    for figure, was, none in zip(FIGURES, _published(real), _null(name, known, chips), strict=True):
        yield Returned(name, figure, known.fit, known.note, was, found[figure], none)


def _published(real: Accelerator) -> tuple[float, float, float]:
    """(dense 16-bit peak, bandwidth, board power)."""
    peak = max(real.compute[f].peak_flops for f in ("bf16", "fp16") if f in real.compute)
    return peak, real.memory.bandwidth, real.power.peak_w if real.power else 0.0


def _null(name: str, known: KnownChip, chips: Mapping[str, KnownChip]) -> tuple[float, ...]:
    """Area times what fitted chips of the nearest node have per mm² (the geometric mean of those equally near)."""
    process = load_process()
    others = {n: c for n, c in chips.items() if c.fit and n != name}
    apart = {n: abs(process.nodes[c.node].year - process.nodes[known.node].year) for n, c in others.items()}
    nearest = [c for n, c in others.items() if apart[n] == min(apart.values())]
    per = zip(*([v / c.area for v in _published(load_accelerator(c.chip))] for c in nearest), strict=True)
    return tuple(known.area * geometric_mean(values) for values in per)


def budget_of(known: KnownChip) -> ChipBudget:
    """What is fed of a known chip: never its clock, peak, bandwidth or power."""
    process, rates = load_process(), {name: link.bandwidth for name, link in load_links().items()}
    whole = ChipBudget(
        area=known.area * MM2,
        power_w=1e6,
        stacks=known.stacks,
        year=known.year,
        node=known.node,
        memory=known.memory,
        core=known.core,
        width=known.width,
        local_bytes=known.local_mib * MIB,
        dies=known.dies,
        io_node=known.io,
        enabled=known.enabled / known.cores,
        links=known.links,
    )
    cache = known.cache_mib * parts_of(whole, process, rates).cache
    return whole.with_("cache_share", cache / known.area)


def _file(known: KnownChip) -> BudgetFile:
    return BudgetFile("known", budget_of(known), generation=load_accelerator(known.chip).generation)


def fitted(core: str) -> CoreFit:
    """The coefficients of a kind of core again, from the chips marked `fit`.

    mm² of a core beside matrix unit and memories, at N7 = control + width·delivery, by least squares; the clock and the
    energy of a FLOP are geometric means.
    """
    process = load_process()
    nodes = process.nodes
    chips = [known for known in load_known_chips().values() if known.core == core]
    slope, start = _line([(known.width, _rest(known, process)) for known in chips if "area" in known.fit])
    clocks = [known.clock / nodes[known.node].speed.value for known in chips if "clock" in known.fit]
    energies = [_energy(known, process) for known in chips if "energy" in known.fit]
    return CoreFit(slope / MM2, start, geometric_mean(energies) if energies else None, geometric_mean(clocks))


def _rest(known: KnownChip, process: Process) -> float:
    """mm² of a core beside its matrix unit and memories, as logic of N7."""
    parts, fixed = _parts(known, process)
    on_die = known.area - known.links_mm2 - (0.0 if parts.stacked else fixed + known.cache_mib * parts.cache)
    return (on_die / known.cores - parts.matrix - parts.local) / parts.logic


def _parts(known: KnownChip, process: Process) -> tuple[Parts, float]:
    rates = {name: link.bandwidth for name, link in load_links().items()}
    parts = parts_of(budget_of(known), process, rates)
    return parts, sum(area for _, area in fixed_areas(parts, known.stacks))


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(slope, start) by least squares; one point is all start."""
    if len(points) == 1:
        return 0.0, points[0][1]
    x, y = fmean(p[0] for p in points), fmean(p[1] for p in points)
    slope = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
    return slope, y - slope * x


def _energy(known: KnownChip, process: Process) -> float:
    """pJ per FLOP at N7 that the board's power leaves a large product beside leakage and memory."""
    real, (parts, fixed) = load_accelerator(known.chip), _parts(known, process)
    base = max(known.area, fixed + known.cache_mib * parts.cache) if parts.stacked else 0.0
    peak, bandwidth, power_w = _published(real)
    rate = peak * max(real.compute[f].achievable for f in ("bf16", "fp16") if f in real.compute)
    split = power_of(parts, known.area + base, bandwidth * real.memory.achievable, rate, power_w, real.sustained)
    left = power_w - split.idle_w - split.memory_w
    return left / (rate * real.sustained) / parts.node.energy.value / PICO
