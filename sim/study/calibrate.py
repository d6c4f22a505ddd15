"""Constants of a chip from a user's own timings of products, attention and memory, or of a cluster's links from those
of collectives: an accelerator or a cluster file.

The models of `sim.device.timing` and `sim.network` are called with trial constants; nothing of them stands here again.
Single kernels run at full clock, so `sustained`, which belongs to hours under the power limit, is left as the base has
it and is 1 here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from sim.answer import Answer
from sim.device.records import Accelerator
from sim.device.timing import timer
from sim.errors import InputError, Problem
from sim.files.clusters import ClusterFile, cluster_tree, read_cluster
from sim.files.fields import read
from sim.files.hardware import AcceleratorFile, build_accelerator, load_accelerator_file
from sim.files.library import find
from sim.files.timings import KINDS, Timing, TimingKind, read_timings
from sim.records import dataclass
from sim.study.chip_constants import OVERHEAD, Constant, candidates, starting_chip
from sim.study.link_constants import collective_seconds, link_constants, with_links
from sim.study.log_fit import SMOOTH, LogFit, Mask, Vector, fit_logs, jacobian

FEWEST: Final = 3  # different kernels that must tell of a constant
SHARE: Final = 0.05  # of a kernel's time that a constant decides, from which the kernel tells of it
APART: Final = 0.05  # sine of the angle between a constant's effect and that of all others together
LOW: Final = 0.1  # share of a peak below which a unit or a count is likelier wrong than the kernel slow
KINKED: Final = 1e-6  # tolerance of a fit of collectives, which are the cheapest of several algorithms
POOR: Final = 0.2  # rms of ln from which the op model does not describe the rows


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A constant that was fitted: the base's value, the rows' and its 90 % interval, and how many kernels tell it."""

    constant: Constant
    base: float
    value: float
    low: float
    high: float
    kernels: int

    @property
    def text(self) -> str:
        """`kernel_overhead 6 us [5.8 us, 6.2 us]`."""
        show = self.constant.text
        return f"{self.constant.name} {show(self.value)} [{show(self.low)}, {show(self.high)}]"


@dataclass(frozen=True, slots=True)
class Residual:
    """A row and what the calibrated chip says of it; `ln` is ln(model / measured)."""

    timing: Timing
    predicted_s: float
    ln: float
    outlier: bool


@dataclass(frozen=True, slots=True)
class Unidentified:
    """A constant that stays as the base has it, and why."""

    name: str
    base: str
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration(Answer):
    """What `calibrate` found in one file, and the accelerator or cluster that carries it."""

    REPORT: ClassVar[str] = "sim.report.calibrate"
    csv: str
    base: str
    file: AcceleratorFile | ClusterFile
    constants: tuple[Calibrated, ...]
    unidentified: tuple[Unidentified, ...]
    residuals: tuple[Residual, ...]
    cached: tuple[Timing, ...]  # memory rows that fit the cache
    warnings: tuple[str, ...] = ()


def calibrate(
    path: str | Path,
    accelerator: str | Path | None = None,
    name: str | None = None,
    *,
    cluster: str | Path | None = None,
) -> Calibration:
    """Fit the constants of `accelerator` (a name or a file), or of the links of `cluster`, that the timings in the CSV
    at `path` tell.

    The new chip (or cluster) is called `name`, or after its base. InputError where no constant can be told.
    """
    path = Path(path)
    if accelerator is not None and cluster is None:
        return _of_chip(path, load_accelerator_file(accelerator), name)
    if cluster is not None and accelerator is None:
        return _of_cluster(path, find("clusters", str(cluster)), name)
    raise InputError(Problem("takes an accelerator or a cluster", "accelerator", hint="one of the two"))


def _of_chip(path: Path, file: AcceleratorFile, name: str | None) -> Calibration:
    chip = build_accelerator(file)
    timings = read_timings(path, chip)
    cached = tuple(t for t in timings if t.kind == "memory" and t.op.bytes_read <= chip.cache.capacity_bytes)
    rest = tuple(t for t in timings if t not in cached)
    start = replace(starting_chip(chip, timings), sustained=1.0)
    problem = _Problem(start, candidates(chip, rest), rest, _kernel_seconds, "chip")
    found, left, rows = problem.answer(str(path))
    new = _written(file, start, found, name or f"{file.name}-calibrated", path.name, len(rows))
    return Calibration(str(path), file.name, new, found, left, rows, cached, _warnings(found, rows))


def _of_cluster(path: Path, base: Path, name: str | None) -> Calibration:
    tree = cluster_tree(base)
    cluster, file = read_cluster(tree), read(ClusterFile, tree)
    if not file.levels:
        raise InputError(Problem("has no levels whose links could be told", "graph", file=str(base)))
    timings = read_timings(path, cluster)
    problem = _Problem(cluster, link_constants(cluster, timings), timings, collective_seconds, "cluster")
    found, left, rows = problem.answer(str(path))
    fitted = {c.constant: c.value for c in found}
    source = _source("", found, path.name, len(rows))
    new = with_links(file, cluster, fitted, name or f"{file.name}-calibrated", source)
    return Calibration(str(path), file.name, new, found, left, rows, (), _warnings(found, rows))


def _kernel_seconds(chip: Accelerator, timings: Sequence[Timing]) -> list[float]:
    time = timer(chip).time
    return [time(t.op).seconds for t in timings]


class _Problem:
    """Timings on one chip or cluster, and the constants they may tell."""

    def __init__(
        self,
        base: Any,
        candidates: tuple[Constant, ...],
        timings: tuple[Timing, ...],
        seconds: Callable[[Any, Sequence[Timing]], list[float]],
        what: str,
    ) -> None:
        self.base, self.candidates, self.timings, self.seconds, self.what = base, candidates, timings, seconds, what
        self.measured = np.log([t.seconds for t in timings])

    def answer(self, file: str) -> tuple[tuple[Calibrated, ...], tuple[Unidentified, ...], tuple[Residual, ...]]:
        """Constants, those that stay as they were, and every row."""
        chosen, reasons, fit = self.solve(file)
        found = tuple(
            Calibrated(c, c.read(self.base), math.exp(x), math.exp(low), math.exp(high), kernels)
            for c, x, (low, high), kernels in zip(
                chosen, fit.x, fit.intervals, self.kernels(chosen, fit.x, fit.kept), strict=True
            )
        )
        left = tuple(
            Unidentified(c.name, c.text(c.read(self.base)), reasons[c.name])
            for c in self.candidates
            if c.name in reasons
        )
        rows = tuple(
            Residual(t, t.seconds * math.exp(r), float(r), not kept)
            for t, r, kept in zip(self.timings, fit.residuals, fit.kept, strict=True)
        )
        return found, left, rows

    def residuals(self, chosen: Sequence[Constant]) -> Callable[[Vector], Vector]:
        """ln(model / measured) of every row, as a function of ln of the constants."""

        def of(x: Vector) -> Vector:
            trial = self.base
            for constant, value in zip(chosen, np.exp(x), strict=True):
                trial = constant.put(trial, min(float(value), 1.0) if constant.share else float(value))
            return np.log(self.seconds(trial, self.timings)) - self.measured

        return of

    def solve(self, file: str) -> tuple[list[Constant], dict[str, str], LogFit]:
        """Fit what the rows tell at the base's constants, and drop what they do not tell at the fitted ones."""
        chosen, reasons = list(self.candidates), dict[str, str]()
        x = np.array([math.log(max(c.read(self.base), c.least)) for c in chosen])
        kept, fitted = np.ones(len(self.timings), dtype=bool), None
        while True:
            told = self._told(chosen, x, kept, reasons)
            if not told or len(self.timings) <= len(told):
                said = [f"{name}: {reason}" for name, reason in reasons.items()]
                said += (
                    [f"{len(self.timings)} rows cannot give {len(told)} constants and their scatter"] if told else []
                )
                raise InputError(Problem(f"tells no constant of the {self.what}", file=file, hint="; ".join(said)))
            if len(told) == len(chosen) and fitted is not None:
                return chosen, reasons, fitted
            x = np.array([v for c, v in zip(chosen, x, strict=True) if c in told])
            chosen = told
            upper = np.array([0.0 if c.share else np.inf for c in chosen])
            fitted = fit_logs(self.residuals(chosen), x, upper, SMOOTH if self.what == "chip" else KINKED)
            x, kept = fitted.x, fitted.kept

    def kernels(self, chosen: Sequence[Constant], x: Vector, kept: Mask) -> list[int]:
        """For each constant the number of different kernels, outliers apart, of whose time it decides a share."""
        slopes = np.abs(jacobian(self.residuals(chosen), x)) >= SHARE
        return [
            len({(t.op, t.devices) for t, tells in zip(self.timings, column & kept, strict=True) if tells})
            for column in slopes.T
        ]

    def _told(self, chosen: Sequence[Constant], x: Vector, kept: Mask, reasons: dict[str, str]) -> list[Constant]:
        """Constants that enough kernels tell, each apart from the others; the last of a tangle goes first."""
        if not chosen:
            return []
        told = []
        for i, kernels in enumerate(self.kernels(chosen, x, kept)):
            if kernels >= FEWEST:
                told.append(i)
            else:
                said = f"{kernels} different kernels spend 5 % of their time on it, {FEWEST} are needed"
                reasons[chosen[i].name] = said
        slopes = jacobian(self.residuals(chosen), x)[kept]
        while tangled := [i for i in told if _apart(slopes, i, told) < APART]:
            told.remove(tangled[-1])
            reasons[chosen[tangled[-1]].name] = "the rows cannot tell it from the others: their sizes are too alike"
        return [chosen[i] for i in told]


def _apart(slopes: Vector, i: int, told: Sequence[int]) -> float:
    """Sine of the angle between one column and the span of the others."""
    others = [j for j in told if j != i]
    if not others:
        return 1.0
    column, span = slopes[:, i], slopes[:, others]
    rest = column - span @ np.linalg.lstsq(span, column, rcond=None)[0]
    return float(np.linalg.norm(rest) / np.linalg.norm(column))


def _written(
    file: AcceleratorFile, base: Accelerator, found: Sequence[Calibrated], name: str, csv: str, rows: int
) -> AcceleratorFile:
    """The base's file with the fitted constants, their intervals in the source of their group."""
    chip = base
    for c in found:
        chip = c.constant.put(chip, c.value)
    names = {c.constant.name for c in found}
    of_memory = [c for c in found if c.constant.name.startswith("memory.")]
    formats = {
        f: replace(group, achievable=chip.compute[f].achievable) if f"{f}.achievable" in names else group
        for f, group in file.compute.formats.items()
    }
    compute, memory = replace(file.compute, formats=formats), file.memory
    if OVERHEAD in names:
        compute = replace(compute, kernel_overhead=chip.kernel_overhead_s)
    if any(n.startswith("attention.") for n in names):
        compute = replace(compute, attention=chip.attention)
    of_compute = [c for c in found if c not in of_memory]
    if of_compute:
        compute = replace(compute, source=_source(compute.source, of_compute, csv, rows))
    if of_memory:
        pointwise = base.pointwise  # the generation's would be dropped beside a bandwidth share of the file's own
        source = _source(memory.source, of_memory, csv, rows)
        memory = replace(memory, achievable=chip.memory.achievable, pointwise=pointwise, source=source)
    return replace(file, name=name, compute=compute, memory=memory)


def _source(before: str, found: Sequence[Calibrated], csv: str, rows: int) -> str:
    said = f"foretrain calibrate on {rows} timings of {csv} (90 % intervals): {', '.join(c.text for c in found)}"
    return f"{before}; {said}" if before else said


def _warnings(found: Sequence[Calibrated], rows: Sequence[Residual]) -> tuple[str, ...]:
    said = [
        f"{c.constant.name} stands at its bound of 1: some kernels ran faster than the data sheet's peak allows"
        for c in found
        if c.constant.share and c.value > 0.9999
    ]
    said += [
        f"{c.constant.name} is known within a factor of {c.high / c.low:.2g} only" for c in found if c.high > 2 * c.low
    ]
    said += [
        f"{c.constant.name} is {c.value:.2g} only: are the times seconds, of this chip, of one kernel each?"
        for c in found
        if c.constant.share and c.value < LOW
    ]
    outliers = [r for r in rows if r.outlier]
    said += (
        [f"{len(outliers)} of {len(rows)} rows lie off the fit and were left out"]
        if len(outliers) * 5 > len(rows)
        else []
    )
    return (*said, *(f"{kind}: {text}" for kind in KINDS if (text := _poor(kind, rows))))


def _poor(kind: TimingKind, rows: Sequence[Residual]) -> str:
    rest = [r.ln for r in rows if r.timing.kind == kind and not r.outlier]
    rms = math.sqrt(sum(v * v for v in rest) / len(rest)) if rest else 0.0
    return f"the fitted chip is {rms:.0%} rms off; the op model does not describe these rows" if rms > POOR else ""
