"""Published learning curves and batch curves against the laws fitted to them, each row predicted without itself.

A set's template names the law and what it is fitted on: `loss` with `train` (rows of at most so many parameters; none:
all rows) and `prior` (a scaling domain), or `batch` (each row from the other rows of its workload).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from statistics import mean, median
from typing import Final

import numpy as np
from scipy.optimize import least_squares

from sim.scaling import loss_at
from sim.scaling.curve_fit import Array, CurveFit, Shard, fit_curves
from sim.scaling.loss_fit import LossFit, Run, fit_loss
from sim.scaling.records import LossLaw
from sim.validation.validation import Outcome, Request, ValidationSet, domain_of, requests

SOFT: Final = 0.1  # ln steps; a curve read from a figure is right to about that


def simulate_row(spec: ValidationSet, request: Request) -> Outcome | str:
    """The figure of one row by the law of the others."""
    if spec.template.get("law") == "batch":
        return _steps(spec, request)
    if spec.template.get("law") == "synthetic":
        fitted, inside = coverage(int(request.row["draws"]), int(request.row["seed"]))
        return _outcome("coverage", inside / fitted)
    run = _run(request)
    train = spec.template.get("train_below")
    if isinstance(train, int | float) and run.parameters < train:
        return f"in the fit: under {train:.3g} parameters"
    worst = _outliers(spec)
    if run.loss in worst:
        return f"outlier, left out as in the published refit: one of the {len(worst)} highest losses"
    law = _fit(spec).law
    unique = run.unique if law.repeats else None
    return _outcome("loss", loss_at(law, run.parameters, run.units, unique))


def _outcome(name: str, value: float) -> Outcome:
    return Outcome(fields={name: value}, accelerator="", ideal_s=1.0, compute_share=1.0, fits=True)


def notes(spec: ValidationSet) -> tuple[str, ...]:
    """The fitted constants beside the published ones, and what the issue of each set is."""
    kind = spec.template.get("law")
    if kind == "batch":
        return _batch_notes(spec)
    return () if kind == "synthetic" else _loss_notes(spec)


def _run(request: Request) -> Run:
    row = request.row
    units = float(row["tokens"])
    return Run(float(row["parameters"]), units, float(row.get("unique_tokens") or units), float(row["loss"]))


def _outliers(spec: ValidationSet) -> frozenset[float]:
    """The highest losses of the set, as many as its template leaves out."""
    number = spec.template.get("outliers", 0)
    losses = sorted(_run(request).loss for request in requests(spec) if not request.skip)
    return frozenset(losses[-int(number) :]) if isinstance(number, int) and number else frozenset()


@lru_cache(maxsize=1)
def _fit(spec: ValidationSet) -> LossFit:
    """The law of the set's training rows."""
    train, prior, worst = spec.template.get("train_below"), spec.template.get("prior"), _outliers(spec)
    runs = [run for request in requests(spec) if not request.skip for run in (_run(request),) if run.loss not in worst]
    if isinstance(train, int | float):
        runs = [run for run in runs if run.parameters < train]
    return fit_loss(runs, domain_of(spec, prior, "prior").loss if prior else None)


def _loss_notes(spec: ValidationSet) -> tuple[str, ...]:
    law = _fit(spec).law
    lines = [f"refit: {_constants(law)}"]
    beside = spec.template.get("beside")
    for name in beside if isinstance(beside, list) else ():
        other = domain_of(spec, name, "beside").loss
        if other is None:
            continue
        lines.append(f"{name}: {_constants(other)}; median error of its constants {100 * _median(spec, other):.1f} %")
    return tuple(lines)


def _constants(law: LossLaw) -> str:
    a, b = f"{law.size_coefficient:.4g}", f"{law.data_coefficient:.4g}"
    return f"E {law.irreducible:.4f}, A {a}, B {b}, a {law.size_exponent:.4f}, b {law.data_exponent:.4f}"


def _median(spec: ValidationSet, law: LossLaw) -> float:
    """Median error of a published law on the rows that are predicted."""
    train, worst = spec.template.get("train_below"), _outliers(spec)
    runs = [_run(request) for request in requests(spec) if not request.skip]
    if isinstance(train, int | float):
        runs = [run for run in runs if run.parameters >= train]
    kept = [run for run in runs if run.loss not in worst]
    return median(
        abs(loss_at(law, r.parameters, r.units, r.unique if law.repeats else None) / r.loss - 1) for r in kept
    )


def _steps(spec: ValidationSet, request: Request) -> Outcome | str:
    others = [p for name, p in _points(spec) if name[0] == request.row["workload"] and name[1] != request.id]
    if len(others) < 3:
        return "the workload has fewer than three other batches"
    return _outcome("steps", math.exp(steps_law(tuple(others))(math.log(float(request.row["batch"])))))


def _points(spec: ValidationSet) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    for request in requests(spec):
        if not request.skip and request.measured is not None:
            row = request.row
            yield (row["workload"], request.id), (math.log(float(row["batch"])), math.log(request.measured))


@lru_cache(maxsize=1024)
def steps_law(points: tuple[tuple[float, float], ...]) -> Callable[[float], float]:
    """ln S against ln B of S = S_min·(1 + B_c/B), by soft-L1 least squares of (ln B, ln S)."""
    b, s = (np.array(values) for values in zip(*points, strict=True))

    def rest(t: Array) -> Array:
        difference: Array = t[0] + np.logaddexp(0.0, t[1] - b) - s
        return difference

    starts = np.linspace(b.min(), b.max(), 4)
    found = [least_squares(rest, [s.min(), start], loss="soft_l1", f_scale=SOFT) for start in starts]
    least, critical = (float(v) for v in min(found, key=lambda f: float(f.cost)).x)
    return lambda x: least + float(np.logaddexp(0.0, critical - x))


def _batch_notes(spec: ValidationSet) -> tuple[str, ...]:
    lines = []
    points = list(_points(spec))
    for workload in dict.fromkeys(name[0] for name, _ in points):
        mine = [point for name, point in points if name[0] == workload]
        rests = [steps_law(tuple(p for p in mine if p is not point))(point[0]) - point[1] for point in mine]
        inside = [steps_law(tuple(mine))(x) - s for x, s in mine]
        out, own = (math.sqrt(mean(r * r for r in values)) for values in (rests, inside))
        lines.append(f"{workload}: rms {out:.3f} in ln steps with each batch left out, {own:.3f} with all in the fit")
    return tuple(lines)


@cache
def coverage(draws: int, seed: int) -> tuple[int, int]:
    """(pilots not refused, whose 90 % band at 8 times the largest shard holds the truth).

    β from -0.35 to -0.07, γ none or up to 0.6 of the last error, 7 to 11 shards two apart, noise of 0.5 to 3 %.
    """
    rng = np.random.default_rng(seed)
    pilots, ends, truths = [], [], []
    for _ in range(draws):
        shards = int(rng.integers(7, 12))
        alpha, beta, noise = rng.uniform(2, 30), -rng.uniform(0.07, 0.35), rng.uniform(0.005, 0.03)
        sizes = 1e6 * 2.0 ** np.arange(shards)
        share = rng.choice([0.0, rng.uniform(0.0, 0.6)])
        floor = alpha * sizes[-1] ** beta * share / (1 - share)
        errors = (alpha * sizes**beta + floor) * np.exp(noise * rng.standard_normal(shards))
        pilots.append([Shard(float(m), float(e)) for m, e in zip(sizes, errors, strict=True)])
        ends.append(8 * float(sizes[-1]))
        truths.append(alpha * (8 * sizes[-1]) ** beta + floor)
    fits = [(k, found) for k, found in enumerate(fit_curves(pilots)) if isinstance(found, CurveFit)]
    bands = [(truths[k], *found.band(ends[k])) for k, found in fits]  # of those not refused
    return len(bands), sum(low <= truth <= high for truth, low, high in bands)
