"""Scaling domains as data: learning laws, batch laws, where the field stands and what it wants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final, Literal

from sim.errors import Problem
from sim.fields import Record, about
from sim.records import dataclass

Confidence = Literal["seen", "derived", "recalled"]
FLOOR: Final = "irreducible"  # additive, and often not told from 0
WIDEST: Final = 10.0
"""Times a constant that its standard error may be: beyond, it is not known to an order of magnitude."""


@dataclass(frozen=True, slots=True)
class Errors(Record):
    """Standard errors of fitted constants and how they are correlated; constants without one are taken as exact."""

    standard: Mapping[str, float] = field(
        default_factory=dict, metadata=about("standard error of each constant, by the constant's name", ge=0)
    )
    correlations: Mapping[str, float] = field(
        default_factory=dict, metadata=about("correlation of two constants, as `alpha beta: -0.9`")
    )
    source: str = field(default="", metadata=about("where the errors come from"))

    def problems(self, owner: str, values: Mapping[str, float | None]) -> list[Problem]:
        """Where an error or a correlation is impossible or names no constant of `owner`, whose constants are these."""
        constants = tuple(values)
        problems = [
            Problem(f"{name} is no constant of the {owner}", "errors.standard", hint=f"one of {', '.join(constants)}")
            for name in (*self.standard, *(n for pair in self.correlations for n in pair.split()))
            if name not in constants
        ]
        problems += [
            Problem(f"must be at most {WIDEST:g} times the constant", f"errors.standard.{name}", f"{value:g}")
            for name, value in self.standard.items()
            if name != FLOOR and value > WIDEST * abs(values.get(name) or math.inf)
        ]
        problems += [
            Problem("must name two constants and lie between -1 and 1", f"errors.correlations.{pair}", f"{value:g}")
            for pair, value in self.correlations.items()
            if len(pair.split()) != 2 or not -1 <= value <= 1
        ]
        return problems


def _values(record: object, *names: str) -> dict[str, float | None]:
    """The constants of a law by name."""
    return {name: getattr(record, name) for name in names}


@dataclass(frozen=True, slots=True)
class LearningCurve(Record):
    """ε(m) = α·m^β + γ between the best-guess error (small m) and the irreducible error γ; m in units of data."""

    alpha: float = field(metadata=about("α, error at one unit of data", gt=0))
    beta: float = field(metadata=about("β, slope in log-log, between −0.5 and 0", ge=-0.5, lt=0))
    irreducible: float = field(default=0.0, metadata=about("γ, error no amount of data removes", ge=0))
    best_guess: float | None = field(default=None, metadata=about("error of guessing, without training", gt=0))
    best_guess_source: str = field(default="", metadata=about("how the best-guess error is known"))
    errors: Errors = field(default=Errors(), metadata=about("standard errors of alpha, beta, irreducible"))

    def contradictions(self) -> list[Problem]:
        return self.errors.problems("learning curve", _values(self, "alpha", "beta", "irreducible"))


@dataclass(frozen=True, slots=True)
class SizeLaw(Record):
    """p(m) = σ·m^βp parameters fit m units of data."""

    sigma: float = field(metadata=about("σ, parameters at one unit of data", gt=0))
    beta: float = field(metadata=about("βp, between 0.5 and 1 in every published domain", gt=0, lt=2))
    errors: Errors = field(default=Errors(), metadata=about("standard errors of sigma, beta"))

    def contradictions(self) -> list[Problem]:
        return self.errors.problems("model-size law", _values(self, "sigma", "beta"))


@dataclass(frozen=True, slots=True)
class Repeats(Record):
    """What a repeated unit of data is worth: U·R*·(1 − e^(−R/R*)) new units after R repeats of U unique ones."""

    data_decay: float = field(metadata=about("R_D*, repeats after which 1/e of the worth is left", gt=0))
    size_decay: float = field(metadata=about("R_N*, the same for parameters beyond what the data ask for", gt=0))
    most_passes: float = field(default=4.0, metadata=about("passes beyond which the answer is extrapolated", ge=1))
    source: str = field(default="", metadata=about("source"))


@dataclass(frozen=True, slots=True)
class LossLaw(Record):
    """Loss against parameters N and units of data D.

    `sum`: L = E + A/N^a + B/D^b (Hoffmann et al. 2022). `kaplan`: L = ((A/N)^(a/b) + B/D)^b (Kaplan et al. 2020), where
    A and B are the parameters and units at which each alone gives a loss of 1, and E is 0.
    """

    size_coefficient: float = field(metadata=about("A", gt=0))
    data_coefficient: float = field(metadata=about("B", gt=0))
    size_exponent: float = field(metadata=about("a", gt=0, lt=1))
    data_exponent: float = field(metadata=about("b", gt=0, lt=1))
    irreducible: float = field(default=0.0, metadata=about("E, loss no model and no data remove", ge=0))
    form: Literal["sum", "kaplan"] = field(default="sum", metadata=about("how the two terms join"))
    repeats: Repeats | None = field(default=None, metadata=about("worth of repeated data; empty: as fresh data"))
    fitted_parameters: tuple[float, ...] = field(
        default=(), metadata=about("smallest and largest model the law was fitted on")
    )
    errors: Errors = field(default=Errors(), metadata=about("standard errors of the constants"))

    def contradictions(self) -> list[Problem]:
        names = ("size_coefficient", "data_coefficient", "size_exponent", "data_exponent", "irreducible")
        problems = self.errors.problems("loss law", _values(self, *names))
        if self.form == "kaplan" and self.irreducible:
            problems.append(Problem("is 0 in Kaplan's form", "irreducible", f"{self.irreducible:g}"))
        if len(self.fitted_parameters) not in (0, 2):
            problems.append(Problem("must be the smallest and the largest", "fitted_parameters"))
        return problems


@dataclass(frozen=True, slots=True)
class CriticalBatch(Record):
    """Critical batch with what it was measured at and its source; it may grow as the error falls."""

    samples: float | None = field(default=None, metadata=about("critical batch in samples", gt=0))
    units: float | None = field(default=None, metadata=about("critical batch in units of data instead", gt=0))
    measured_at: str = field(default="", metadata=about("loss or error it was measured at"))
    error_exponent: float | None = field(
        default=None, metadata=about("x of B_c = B·ε^(−1/x), where it grows as the error ε falls", gt=0, lt=1)
    )
    standard_error: float | None = field(default=None, metadata=about("standard error of ln B_c", ge=0))
    source: str = field(default="", metadata=about("source"))

    def contradictions(self) -> Iterator[Problem]:
        if (self.samples is None) == (self.units is None):
            yield Problem("give the critical batch in samples or in units, one of the two", "samples")

    def in_samples(self, units_per_sample: float, error: float | None = None) -> float:
        """B_c in samples; at `error` where it grows along training."""
        plain = self.samples if self.samples is not None else (self.units or 0.0) / units_per_sample
        if self.error_exponent is None or error is None:
            return plain
        return float(plain * error ** (-1.0 / self.error_exponent))


@dataclass(frozen=True, slots=True)
class Passes(Record):
    """E_min, passes over the data set that reach an error at small batch, as one model and recipe showed it."""

    passes: float = field(metadata=about("E_min, passes at small batch", gt=0))
    model: str = field(metadata=about("model and recipe"))
    data_set: str = field(metadata=about("data set and its size"))
    error: float | None = field(default=None, metadata=about("error they reach, in the domain's unit", gt=0))
    critical_batch: float | None = field(
        default=None, metadata=about("B_c in samples of E_min·(1 + B/B_c), fitted with E_min", gt=0)
    )
    largest_batch: float | None = field(
        default=None, metadata=about("largest batch in samples that still reached the error", gt=0)
    )
    largest_batch_source: str = field(default="", metadata=about("who reached it and how"))
    errors: Errors = field(default=Errors(), metadata=about("standard errors of passes, critical_batch"))
    confidence: Confidence = field(default="seen", metadata=about("seen, derived from what was seen, or recalled"))
    source: str = field(default="", metadata=about("source"))

    def contradictions(self) -> list[Problem]:
        return self.errors.problems("passes", _values(self, "passes", "critical_batch"))


@dataclass(frozen=True, slots=True)
class Printed(Record):
    """What the paper prints for this domain, kept beside what its own constants give."""

    data_scale: float | None = field(default=None, metadata=about("data at the target / data today"))
    model_scale: float | None = field(default=None, metadata=about("parameters at the target / today"))
    dataset_units: float | None = field(default=None, metadata=about("units of data at the target"))
    parameters: float | None = field(default=None, metadata=about("parameters at the target"))
    sub_batch: int | None = field(default=None, metadata=about("samples per device and step"))
    flops_per_step: float | None = field(default=None, metadata=about("FLOPs of a step on one accelerator"))
    bytes_per_step: float | None = field(default=None, metadata=about("bytes accessed in that step"))
    footprint_bytes: float | None = field(default=None, metadata=about("minimal memory footprint"))
    step_s: float | None = field(default=None, metadata=about("time of that step"))
    epoch_days: float | None = field(default=None, metadata=about("days of one pass over the data"))
    mismatches: tuple[str, ...] = field(default=(), metadata=about("known inconsistencies of the paper"))


@dataclass(frozen=True, slots=True)
class Domain(Record):
    """One application domain: its laws, its present state, its target.

    The data at a target come from one of three: a learning curve with a model-size law, a loss law (the cheapest N and
    D at 6·N·D FLOPs), or a data set of fixed size that is passed over as often as `passes` says.
    """

    name: str = field(metadata=about("name of the domain"))
    unit: str = field(metadata=about("what a data set counts: word, char, image …"))
    error_unit: str = field(metadata=about("unit of the error"))
    target_error: float = field(metadata=about("error wanted", gt=0))
    curve: LearningCurve | None = field(default=None, metadata=about("learning curve"))
    size: SizeLaw | None = field(default=None, metadata=about("model-size law, with a learning curve"))
    loss: LossLaw | None = field(default=None, metadata=about("loss law instead of a learning curve"))
    data_set_units: float | None = field(
        default=None, metadata=about("units of a data set of fixed size, instead of a law", gt=0)
    )
    current_error: float | None = field(default=None, metadata=about("error of the state of the art", gt=0))
    current_units: float | None = field(default=None, metadata=about("data the state of the art was trained on", gt=0))
    units_per_sample: float | None = field(
        default=None, metadata=about("units of data one sample holds; empty: what the model computes", gt=0)
    )
    units_per_sample_source: str = field(default="", metadata=about("how units_per_sample is known"))
    available_units: float | None = field(
        default=None, metadata=about("unique data there is; a loss law then repeats them", gt=0)
    )
    critical_batches: tuple[CriticalBatch, ...] = field(
        default=(), metadata=about("measured critical batches, the default first")
    )
    passes: tuple[Passes, ...] = field(
        default=(), metadata=about("known passes to an error, the default first; recalled ones are only shown")
    )
    fitted_to_units: float | None = field(
        default=None, metadata=about("largest data set the laws were fitted on; empty: current_units")
    )
    printed: Printed = field(default=Printed(), metadata=about("what a paper prints, for comparison only"))
    source: str = field(default="", metadata=about("where the laws come from"))

    def contradictions(self) -> list[Problem]:
        laws = [name for name in ("curve", "loss", "data_set_units") if getattr(self, name) is not None]
        problems = []
        if len(laws) != 1:
            told = " and ".join(laws) or "none"
            problems.append(Problem("a domain has a curve, a loss law or a data set, one of the three", "curve", told))
        if self.curve is None and self.size is not None:
            problems.append(Problem("a model-size law needs a learning curve", "size"))
        if self.curve is not None and (self.current_error is None or self.current_units is None):
            problems.append(Problem("a learning curve needs current_error and current_units", "current_error"))
        if self.curve is None and self.current_error is not None:
            problems.append(Problem("belongs to a learning curve", "current_error", f"{self.current_error:g}"))
        if self.available_units is not None and self.loss is None:
            problems.append(Problem("needs a loss law with repeats", "available_units"))
        if self.data_set_units is not None and not any(p.error is not None for p in self.passes):
            problems.append(Problem("a data set of fixed size needs passes with the error they reach", "passes"))
        return problems

    @property
    def fitted_units(self) -> float | None:
        """Largest data set the laws were fitted on, where it is known."""
        return self.fitted_to_units or self.current_units
