"""Laws fitted to pilot runs, ready to be used as `scaling:`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import ClassVar, Final

from sim.answer import Answer
from sim.errors import InputError, Problem
from sim.files.pilot import BestRun, Law, best_per_shard, read_pilot
from sim.files.scaling import load_domain
from sim.records import dataclass
from sim.scaling import CriticalBatch, Domain, Errors, Passes, SizeLaw
from sim.scaling.batch_fit import FEWEST, BatchLaw, fit_batch
from sim.scaling.curve_fit import TWO_SIDED, CurveFit, Shard, fit_curve
from sim.scaling.loss_fit import LossFit, Run, fit_loss

AHEAD: Final = (2.0, 4.0, 8.0, 16.0, 100.0)  # multiples of the largest shard the band is shown at


@dataclass(frozen=True, slots=True)
class SizeFit:
    """Model size against data of the best models, with its 90 % interval of βp."""

    law: SizeLaw
    interval: tuple[float, float]
    runs: tuple[BestRun, ...]


@dataclass(frozen=True, slots=True)
class Fitted(Answer):
    """What `fit` found in one file: one of the laws, and the domain that carries it."""

    REPORT: ClassVar[str] = "sim.report.fit"
    file: str
    law: Law
    domain: Domain
    curve: CurveFit | None = None
    size: SizeFit | None = None
    loss: LossFit | None = None
    batch: BatchLaw | None = None
    points: tuple[tuple[float, float], ...] = ()  # (batch, samples), where the batch law was fitted
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What the numbers of a pilot count, and the error wanted."""

    unit: str = "unit"
    metric: str = "error"
    best_guess: float | None = None
    target: float | None = None
    units_per_sample: float | None = None


def fit(
    path: str | Path,
    law: Law = "curve",
    *,
    unit: str = "unit",
    metric: str = "error",
    best_guess: float | None = None,
    target: float | None = None,
    units_per_sample: float | None = None,
    prior: str | None = None,
) -> Fitted:
    """Fit a learning curve (with model size against data), a loss law or a batch law to the CSV at `path`.

    `prior` names a scaling domain whose loss law the fit is drawn to; the rest says what the numbers count.
    """
    path, labels = Path(path), Labels(unit, metric, best_guess, target, units_per_sample)
    rows = read_pilot(path, law)
    try:
        if law == "curve":
            return _fit_curve(path, best_per_shard(path, rows), labels)
        if law == "loss":
            runs = [
                Run(v["parameters"], v["units"], v.get("unique_units", v["units"]), v["error"], row.line)
                for row in rows
                for v in (row.values,)
            ]
            return _fit_loss(path, runs, labels, prior)
        return _fit_batch(
            path, [(row.values["batch"], row.values["batch"] * row.values["steps"]) for row in rows], labels
        )
    except InputError as error:
        located = (replace(p, file=p.file or str(path), line=p.line or 1, column=p.column or 1) for p in error.problems)
        raise InputError(*located) from None


def _fit_curve(path: Path, best: Sequence[BestRun], labels: Labels) -> Fitted:
    found = fit_curve([Shard(run.units, run.error, run.line) for run in best], labels.best_guess)
    used = {shard.units for shard in found.used}
    size = _fit_size([run for run in best if run.units in used])
    last = found.used[-1]
    warnings = found.warnings + (() if size is None else _size_warnings(size))
    domain = Domain(
        name=path.stem,
        unit=labels.unit,
        error_unit=labels.metric,
        target_error=labels.target or last.error,
        curve=found.curve,
        size=size.law if size is not None else None,
        current_error=last.error,
        current_units=last.units,
        units_per_sample=labels.units_per_sample,
        fitted_to_units=last.units,
        source=f"fitted to {len(used)} shards of {path.name}",
    )
    return Fitted(str(path), "curve", domain, curve=found, size=size, warnings=warnings)


def _fit_size(best: Sequence[BestRun]) -> SizeFit | None:
    """ln p = ln σ + βp·ln m by least squares, with Student's interval of the slope; None without two model sizes."""
    runs = tuple(run for run in best if run.parameters is not None)
    if len({run.parameters for run in runs}) < 2 or len(runs) < FEWEST:
        return None
    from scipy.special import stdtrit  # noqa: PLC0415  (half a second of start-up)

    x, y = [math.log(r.units) for r in runs], [math.log(r.parameters or 1.0) for r in runs]
    cx, cy = mean(x), mean(y)
    sxx = sum((v - cx) ** 2 for v in x)
    slope = sum((v - cx) * (w - cy) for v, w in zip(x, y, strict=True)) / sxx
    rest = sum((w - cy - slope * (v - cx)) ** 2 for v, w in zip(x, y, strict=True)) / max(1, len(x) - 2)
    spread = math.sqrt(rest / sxx)
    half = float(stdtrit(max(1, len(x) - 2), 0.95)) * spread
    sigma = math.exp(cy - slope * cx)
    spread_sigma = math.sqrt(rest / len(x) + (cx * spread) ** 2)
    both = -cx * spread / spread_sigma if spread_sigma else 0.0
    errors = Errors({"sigma": sigma * spread_sigma, "beta": half / TWO_SIDED}, {"sigma beta": both}, "least squares")
    return SizeFit(SizeLaw(sigma, slope, errors), (slope - half, slope + half), runs)


def _size_warnings(size: SizeFit) -> tuple[str, ...]:
    if 0.5 <= size.law.beta < 1.0:
        return ()
    said = f"model size grows as data to the {size.law.beta:.3g}; Hestness et al. 2017 found 0.5 to 1 in every domain"
    return (said,)


def _fit_loss(path: Path, runs: Sequence[Run], labels: Labels, prior: str | None) -> Fitted:
    known = load_domain(prior).loss if prior else None
    if prior and known is None:
        raise InputError(Problem("has no loss law to start from", "--prior", prior))
    found = fit_loss(runs, known)
    largest = max(run.units for run in runs)
    domain = Domain(
        name=path.stem,
        unit=labels.unit,
        error_unit=labels.metric,
        target_error=labels.target or min(run.loss for run in runs),
        loss=found.law,
        units_per_sample=labels.units_per_sample,
        available_units=None if found.law.repeats is None else max(run.unique for run in runs),
        fitted_to_units=largest,
        source=f"fitted to {len(runs)} runs of {path.name}" + (f", drawn to {prior}" if prior else ""),
    )
    return Fitted(str(path), "loss", domain, loss=found)


def _fit_batch(path: Path, points: Sequence[tuple[float, float]], labels: Labels) -> Fitted:
    if len({batch for batch, _ in points}) < FEWEST:
        raise InputError(Problem(f"a batch law needs at least {FEWEST} different batches", "batch"))
    found = fit_batch(points)
    critical = found.critical_batch
    warnings = () if critical else ("samples do not grow with the batch here: no critical batch is identified",)
    largest = max(batch for batch, _ in points)
    passes = Passes(
        1.0, path.stem, path.name, labels.target or 1.0, critical, largest, confidence="derived", source=path.name
    )
    domain = Domain(
        name=path.stem,
        unit=labels.unit,
        error_unit=labels.metric,
        target_error=labels.target or 1.0,
        data_set_units=found.least * (labels.units_per_sample or 1.0),
        units_per_sample=labels.units_per_sample or 1.0,
        passes=(passes,),
        critical_batches=(CriticalBatch(samples=critical, measured_at="fitted", source=path.name),) if critical else (),
        source=f"E_min and B_c fitted to {len(points)} runs of {path.name}",
    )
    return Fitted(str(path), "batch", domain, batch=found, points=tuple(points), warnings=warnings)
