"""From a target error to data size, model size and samples."""

from __future__ import annotations

from dataclasses import dataclass

from sim.scaling.laws import Region, data_for, data_scale, error_at, parameters_for, region, samples_at
from sim.scaling.records import CriticalBatch, Domain


@dataclass(frozen=True, slots=True)
class Projection:
    """What a target asks for. `samples` is one pass over the data; scales are relative to the domain's present."""

    target_error: float
    dataset_units: float
    samples: float
    parameters: float
    data_scale: float
    model_scale: float
    region: Region
    extrapolated: bool  # beyond the data the laws were fitted on


@dataclass(frozen=True, slots=True)
class Effort:
    """Samples and steps to the target at one global batch; without a critical batch `samples` is a lower bound."""

    samples: float
    steps: float
    critical_batch: CriticalBatch | None


def project(domain: Domain, target_error: float | None = None, units_per_sample: float | None = None) -> Projection:
    """Data and parameters at `target_error` (the domain's own when empty)."""
    error = domain.target_error if target_error is None else target_error
    units = data_for(domain.curve, error)
    scale = data_scale(domain.curve, domain.current_error, error)
    return Projection(
        target_error=error,
        dataset_units=units,
        samples=units / (units_per_sample or domain.units_per_sample),
        parameters=parameters_for(domain.size, units),
        data_scale=scale,
        model_scale=scale**domain.size.beta,
        region=region(domain.curve, units),
        extrapolated=units > (domain.fitted_to_units or domain.current_units),
    )


def effort(min_samples: float, batch: float, critical: CriticalBatch | None) -> Effort:
    """Samples E = E_min·(1 + B/B_c) and steps E/B to the target."""
    samples = min_samples if critical is None else samples_at(min_samples, critical.samples, batch)
    return Effort(samples, samples / batch, critical)


def consistency(domain: Domain) -> float:
    """α·m_now^β + γ relative to the stated current error, minus 1: how well the curve passes through the present."""
    return error_at(domain.curve, domain.current_units) / domain.current_error - 1.0
