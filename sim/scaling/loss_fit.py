"""Loss against model size and data fitted to runs: L = E + A/N^a + B/D^b, with or without a published law as prior.

Residuals are of ln L, under Huber's loss at one robust standard deviation (1.4826 times the median of the residuals'
sizes, found in a few rounds), so that a diverged run bends nothing.  A prior is a published law: each constant (the
coefficients by their logarithms) is drawn to it in proportion to its published standard error (maximum a posteriori).
Hoffmann et al. 2022 (arXiv 2203.15556), eq. 4; Besiroglu et al. 2024 (arXiv 2404.10102).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.scaling.records import Errors, LossLaw, Repeats

Array = npt.NDArray[np.float64]
NAMES: Final = ("size_coefficient", "data_coefficient", "irreducible", "size_exponent", "data_exponent")
START: Final = (6.2, 7.6, 0.6, 0.35, 0.36)  # ln A, ln B, ln E, a, b of Besiroglu et al.
SPREAD: Final = (0.2546, 0.424, 0.0148, 0.02, 0.02)  # their standard errors, where a law has none of its own
FEWEST: Final = 8  # runs: five constants
ROUNDS: Final = 4
FINEST: Final = 1e-3  # ln L; losses are printed to three digits


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: parameters, units processed, unique units among them, final loss, row."""

    parameters: float
    units: float
    unique: float
    loss: float
    row: int = 0


@dataclass(frozen=True, slots=True)
class LossFit:
    """The fitted law, the robust scatter of ln L about it, the runs used."""

    law: LossLaw
    scatter: float
    runs: int


def fit_loss(runs: Sequence[Run], prior: LossLaw | None = None) -> LossFit:
    """The law through `runs`; with `prior`, drawn to it where the runs say little."""
    _check(runs, prior)
    repeats = prior.repeats if prior else None
    sizes, units, unique = (
        np.array([getattr(run, name) for run in runs]) for name in ("parameters", "units", "unique")
    )
    loss = np.log([run.loss for run in runs])
    centre, width = _prior(prior) if prior else (np.array(START), None)
    scale, theta = 0.03, centre
    for _ in range(ROUNDS):

        def residuals(t: Array, scale: float = scale) -> Array:
            rest = (_log_loss(t, sizes, units, unique, repeats) - loss) / scale
            return rest if width is None else np.concatenate([rest, (t - centre) / width])

        found = least_squares(
            residuals,
            theta,
            loss="huber",
            x_scale=[1.0, 1.0, 0.1, 0.1, 0.1],
            bounds=([-5, -5, -5, 0.01, 0.01], [60, 60, 3, 0.99, 0.99]),
            max_nfev=2000,
        )
        theta = found.x
        rest = np.abs(_log_loss(theta, sizes, units, unique, repeats) - loss)
        scale = max(FINEST, 1.4826 * float(np.median(rest)))
    jacobian = np.asarray(found.jac, dtype=np.float64)
    covariance = np.asarray(np.linalg.pinv(jacobian.T @ jacobian), dtype=np.float64)
    return LossFit(_law(theta, covariance, runs, repeats), scale, len(runs))


def _prior(law: LossLaw) -> tuple[Array, Array]:
    """(ln A, ln B, ln E, a, b) of a published law and their standard errors."""
    values = [getattr(law, name) for name in NAMES]
    centre = np.array([math.log(v) if k < 3 else v for k, v in enumerate(values)])
    own = [law.errors.standard.get(name) for name in NAMES]
    width = [
        (error / value if k < 3 else error) if error else default
        for k, (error, value, default) in enumerate(zip(own, values, SPREAD, strict=True))
    ]
    return centre, np.array(width)


def _log_loss(t: Array, parameters: Array, units: Array, unique: Array, repeats: Repeats | None) -> Array:
    """ln L of every run at constants t, repeated data and parameters counted as `sim.scaling.loss.effective` does."""
    a, b, e, alpha, beta = t
    size, data = parameters, units
    if repeats is not None:
        fit = np.exp((a - b + math.log(alpha / beta) + beta * np.log(unique)) / alpha)  # a·A/N^a = b·B/U^b
        base = np.minimum(fit, parameters)
        size = base * (
            1 + repeats.size_decay * (1 - np.exp(-np.maximum(parameters / base - 1, 0) / repeats.size_decay))
        )
        once = np.minimum(units, unique)
        data = once * (1 + repeats.data_decay * (1 - np.exp(-np.maximum(units / unique - 1, 0) / repeats.data_decay)))
    total: Array = np.log(np.exp(e) + np.exp(a - alpha * np.log(size)) + np.exp(b - beta * np.log(data)))
    return total


def _worth(once: Array, repeats: Array, decay: float) -> Array:
    """U + U·R*·(1 − e^(−R/R*))."""
    worth: Array = once * (1.0 + decay * (1.0 - np.exp(-np.maximum(repeats, 0.0) / decay)))
    return worth


def _law(t: Array, covariance: Array, runs: Sequence[Run], repeats: Repeats | None) -> LossLaw:
    spread = np.sqrt(np.diag(covariance))
    values = [*(float(math.exp(v)) for v in t[:3]), float(t[3]), float(t[4])]
    standard = {
        name: float(s) * (value if k < 3 else 1.0)
        for k, (name, s, value) in enumerate(zip(NAMES, spread, values, strict=True))
    }
    correlations = {
        f"{NAMES[j]} {NAMES[i]}": float(np.clip(covariance[i, j] / max(spread[i] * spread[j], 1e-300), -1, 1))
        for i in range(len(NAMES))
        for j in range(i)
    }
    return LossLaw(
        size_coefficient=values[0],
        data_coefficient=values[1],
        size_exponent=values[3],
        data_exponent=values[4],
        irreducible=values[2],
        repeats=repeats,
        fitted_parameters=(min(r.parameters for r in runs), max(r.parameters for r in runs)),
        errors=Errors(standard, correlations, "curvature at the fit; coefficients by their logarithms"),
    )


def _check(runs: Sequence[Run], prior: LossLaw | None) -> None:
    """Enough runs, of different sizes and data, unless a prior fills in."""
    if prior is not None and prior.form != "sum":
        raise InputError(Problem("only a law of the form E + A/N^a + B/D^b can be a prior", "prior", prior.form))
    if len(runs) < (1 if prior else FEWEST):
        raise InputError(Problem(f"a loss law needs at least {FEWEST} runs, or a prior", "runs", str(len(runs))))
    for name, what in (("parameters", "model sizes"), ("units", "amounts of data")):
        if prior is None and len({getattr(run, name) for run in runs}) < 3:
            raise InputError(Problem(f"a loss law needs at least three {what}, or a prior", name))
