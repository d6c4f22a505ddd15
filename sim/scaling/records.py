"""Scaling domains as data: learning curve, model-size law, where the field stands and what it wants."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """ε(m) = α·m^β + γ between the best-guess error (small m) and the irreducible error γ; m in units of data."""

    alpha: float = field(metadata={"doc": "α, error at one unit of data", "gt": 0})
    beta: float = field(metadata={"doc": "β, slope in log-log, between −0.5 and 0", "ge": -0.5, "lt": 0})
    irreducible: float = field(default=0.0, metadata={"doc": "γ, error no amount of data removes", "ge": 0})
    best_guess: float | None = field(default=None, metadata={"doc": "error of guessing, without training", "gt": 0})
    best_guess_source: str = field(default="", metadata={"doc": "how the best-guess error is known"})


@dataclass(frozen=True, slots=True)
class SizeLaw:
    """p(m) = σ·m^βp parameters fit m units of data."""

    sigma: float = field(metadata={"doc": "σ, parameters at one unit of data", "gt": 0})
    beta: float = field(metadata={"doc": "βp, between 0.5 and 1", "ge": 0.5, "lt": 1})


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    """Critical batch in samples, with the loss it was measured at and its source."""

    samples: float = field(metadata={"doc": "critical batch", "gt": 0})
    measured_at: str = field(default="", metadata={"doc": "loss or error it was measured at"})
    source: str = field(default="", metadata={"doc": "source"})


@dataclass(frozen=True, slots=True)
class Printed:
    """What the paper prints for this domain, kept beside what its own constants give."""

    data_scale: float | None = field(default=None, metadata={"doc": "data at the target / data today"})
    model_scale: float | None = field(default=None, metadata={"doc": "parameters at the target / today"})
    dataset_units: float | None = field(default=None, metadata={"doc": "units of data at the target"})
    parameters: float | None = field(default=None, metadata={"doc": "parameters at the target"})
    sub_batch: int | None = field(default=None, metadata={"doc": "samples per device and step"})
    flops_per_step: float | None = field(default=None, metadata={"doc": "FLOPs of a step on one accelerator"})
    bytes_per_step: float | None = field(default=None, metadata={"doc": "bytes accessed in that step"})
    footprint_bytes: float | None = field(default=None, metadata={"doc": "minimal memory footprint"})
    step_s: float | None = field(default=None, metadata={"doc": "time of that step"})
    epoch_days: float | None = field(default=None, metadata={"doc": "days of one pass over the data"})
    mismatches: tuple[str, ...] = field(default=(), metadata={"doc": "known inconsistencies of the paper"})


@dataclass(frozen=True, slots=True)
class Domain:
    """One application domain: its laws, its present state, its target."""

    name: str = field(metadata={"doc": "name of the domain"})
    unit: str = field(metadata={"doc": "what a data set counts: word, char, image …"})
    error_unit: str = field(metadata={"doc": "unit of the error"})
    curve: LearningCurve = field(metadata={"doc": "learning curve"})
    size: SizeLaw = field(metadata={"doc": "model-size law"})
    current_error: float = field(metadata={"doc": "error of the state of the art", "gt": 0})
    current_units: float = field(metadata={"doc": "data the state of the art was trained on", "gt": 0})
    target_error: float = field(metadata={"doc": "error wanted", "gt": 0})
    units_per_sample: float = field(metadata={"doc": "units of data one sample holds", "gt": 0})
    units_per_sample_source: str = field(default="", metadata={"doc": "how units_per_sample is known"})
    critical_batches: tuple[CriticalBatch, ...] = field(
        default=(), metadata={"doc": "measured critical batches, the default first"}
    )
    fitted_to_units: float | None = field(
        default=None, metadata={"doc": "largest data set the laws were fitted on; empty: current_units"}
    )
    printed: Printed = field(default=Printed(), metadata={"doc": "what a paper prints, for comparison only"})
    source: str = field(default="", metadata={"doc": "where the laws come from"})
