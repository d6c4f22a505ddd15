"""From a target error to data size, model size and samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.errors import InputError, Problem, Unreachable, UnreachableError
from sim.records import dataclass
from sim.scaling.batch import check_batch, samples_as_it_grows, samples_at
from sim.scaling.laws import Region, check_error, data_for, data_scale, error_at, parameters_for, region
from sim.scaling.loss import loss_at, optimum, optimum_with_repeats
from sim.scaling.records import CriticalBatch, Domain, Passes

ENDLESS: Final = 1e60  # units of data: the term of a loss law that data makes smaller is nothing there


@dataclass(frozen=True, slots=True)
class Projection:
    """What a target asks for. `samples` is one pass over the data; scales are relative to the domain's present."""

    target_error: float
    error_unit: str
    dataset_units: float  # unique data
    samples: float | None  # None: the domain does not say how many units a sample holds
    parameters: float | None  # None: a data set of fixed size, whose model the scenario names
    data_scale: float | None
    model_scale: float | None
    region: Region | None
    extrapolated: bool  # beyond the data or the model sizes the laws were fitted on
    passes: float | None = None  # over the data at small batch; None: not known, at least one
    passes_source: str = ""
    known: Passes | None = None  # the published passes they come from


@dataclass(frozen=True, slots=True)
class Effort:
    """Samples and steps to the target at one global batch; without a critical batch `samples` is a lower bound."""

    samples: float
    steps: float
    critical_batch: float | None  # samples, at the target


MOST: Final = 1.3e50
"""Atoms of the Earth (recalled): no data set and no model has as many units, whatever a power law says so far out."""


def project(domain: Domain, target_error: float | None = None, units_per_sample: float | None = None) -> Projection:
    """Data and parameters at `target_error` (the domain's own when empty).

    UnreachableError for a target below the irreducible error, and for one that asks for more than could exist.
    """
    found = _projected(domain, target_error, units_per_sample)
    for amount, what in ((found.dataset_units, f"{domain.unit}s"), (found.parameters or 0.0, "parameters")):
        if amount > MOST:
            said = f"asks for {amount:.3g} {what}, more than the Earth has atoms ({MOST:g}): nothing that could exist"
            floor = domain.curve.irreducible if domain.curve else domain.loss.irreducible if domain.loss else None
            error = found.target_error
            raise UnreachableError(Unreachable(f"an error of {error:g} {said} reaches it", error, floor))
    return found


def _projected(domain: Domain, target_error: float | None, units_per_sample: float | None) -> Projection:
    error = domain.target_error if target_error is None else target_error
    per_sample = units_per_sample or domain.units_per_sample
    if domain.loss is not None:
        return _by_loss(domain, error, per_sample)
    known = passes_to(domain, error)
    if domain.data_set_units is not None:
        if known is None:
            raise InputError(_unknown_error(domain, error))
        return _by_passes(domain, error, known, per_sample)
    if domain.curve is None or domain.current_error is None:
        raise LookupError(f"the domain {domain.name} has no law")
    units = data_for(domain.curve, error)
    scale = data_scale(domain.curve, domain.current_error, error)
    return Projection(
        target_error=error,
        error_unit=domain.error_unit,
        dataset_units=units,
        samples=units / per_sample if per_sample else None,
        parameters=parameters_for(domain.size, units) if domain.size else None,
        data_scale=scale,
        model_scale=scale**domain.size.beta if domain.size else None,
        region=region(domain.curve, units),
        extrapolated=units > (domain.fitted_units or units),
        passes=known.passes if known else None,
        passes_source=known.source if known else "",
        known=known,
    )


def _by_passes(domain: Domain, error: float, known: Passes, per_sample: float | None) -> Projection:
    """A data set of fixed size: the passes are the law, the scenario names the model."""
    units = domain.data_set_units or 0.0
    return Projection(
        target_error=error,
        error_unit=domain.error_unit,
        dataset_units=units,
        samples=units / per_sample if per_sample else None,
        parameters=None,
        data_scale=None,
        model_scale=None,
        region=None,
        extrapolated=False,
        passes=known.passes,
        passes_source=known.source,
        known=known,
    )


def _by_loss(domain: Domain, error: float, per_sample: float | None) -> Projection:
    """The cheapest N and D; with little data, D is unique data times passes."""
    if domain.loss is None:
        raise LookupError(f"the domain {domain.name} has no loss law")
    law, unique = domain.loss, domain.available_units
    size, units = optimum(law, error) if unique is None else optimum_with_repeats(law, error, unique)
    once = units if unique is None else min(units, unique)
    beyond = law.fitted_parameters and not law.fitted_parameters[0] <= size <= law.fitted_parameters[1]
    most = law.repeats.most_passes if law.repeats else 1.0
    return Projection(
        target_error=error,
        error_unit=domain.error_unit,
        dataset_units=once,
        samples=once / per_sample if per_sample else None,
        parameters=size,
        data_scale=None,
        model_scale=None,
        region=None,
        extrapolated=bool(beyond or units > (domain.fitted_units or units) or units / once > most),
        passes=units / once,
        passes_source=domain.source,
    )


def error_of_size(domain: Domain, parameters: float) -> float | None:
    """The error a model of that many parameters can reach: the size law read backwards gives the data it can fit, the
    curve the error there; by a loss law, with data without end. None where the model is no part of the law.
    """
    if domain.loss is not None:
        return loss_at(domain.loss, parameters, ENDLESS)
    if domain.curve is None or domain.size is None:
        return None
    return error_at(domain.curve, float((parameters / domain.size.sigma) ** (1.0 / domain.size.beta)))


def passes_to(domain: Domain, error: float) -> Passes | None:
    """Published passes that reach `error`: of those that were read, the first whose own error is as low or lower.

    A law's domain falls back on its first entry; a data set of fixed size does not, since the pass count is its law.
    """
    read = [known for known in domain.passes if known.confidence != "recalled"]
    reaching = [known for known in read if known.error is not None and known.error <= error * (1 + 1e-9)]
    if reaching:
        return min(reaching, key=lambda known: known.passes)
    return None if domain.data_set_units is not None else next(iter(read), None)


def _unknown_error(domain: Domain, error: float) -> Problem:
    check_error(error, 0.0)
    told = ", ".join(f"{known.error:g}" for known in domain.passes if known.error is not None)
    return Problem(
        f"no published run of {domain.name} reached so low an error",
        "target.error",
        f"{error:g}",
        hint=f"errors reached: {told}",
    )


def critical_batch_of(
    domain: Domain | None, projection: Projection, given: CriticalBatch | None
) -> tuple[CriticalBatch | None, tuple[CriticalBatch, ...]]:
    """(the critical batch used, the other published ones): given, else fitted with the passes, else the domain's."""
    published = tuple(_in_units(c, domain) for c in domain.critical_batches) if domain else ()
    fitted = projection.known
    if fitted is not None and fitted.critical_batch is not None:
        at = f"{fitted.model}, fitted with its {fitted.passes:g} passes"
        own = CriticalBatch(samples=fitted.critical_batch, measured_at=at, source=fitted.source)
        published = (_in_units(own, domain), *published)
    if given is not None:
        return given, published
    return (published[0], published[1:]) if published else (None, ())


def _in_units(critical: CriticalBatch, domain: Domain | None) -> CriticalBatch:
    """A published batch counts the domain's samples: in units of data it holds for samples of any length."""
    if domain is None or critical.samples is None or domain.units_per_sample is None:
        return critical
    return replace(critical, samples=None, units=critical.samples * domain.units_per_sample)


def effort(
    domain: Domain | None,
    projection: Projection,
    passes: float,
    batch: float,
    critical: CriticalBatch | None,
    units_per_sample: float,
) -> Effort:
    """Samples E = E_min·(1 + B/B_c) and steps E/B to the target; E_min = passes·(samples of a pass)."""
    least = passes * projection.dataset_units / units_per_sample
    known = projection.known
    if known is not None and known.error is not None and known.error <= projection.target_error * (1 + 1e-9):
        own = domain.units_per_sample if domain else None  # published batches count the domain's samples
        check_batch(batch * units_per_sample / own if own else batch, known, projection.target_error)
    if critical is None:
        return Effort(least, least / batch, None)
    at_target = critical.in_samples(units_per_sample, projection.target_error)
    if critical.error_exponent is not None and domain is not None and domain.curve is not None:
        once = samples_as_it_grows(domain.curve, critical, units_per_sample, projection.dataset_units, batch)
        return Effort(passes * once, passes * once / batch, at_target)
    samples = samples_at(least, at_target, batch)
    return Effort(samples, samples / batch, at_target)


def consistency(domain: Domain) -> float:
    """α·m_now^β + γ relative to the stated current error, minus 1: how well the curve passes through the present."""
    if domain.curve is None or domain.current_units is None or domain.current_error is None:
        raise LookupError(f"the domain {domain.name} has no learning curve")
    return error_at(domain.curve, domain.current_units) / domain.current_error - 1.0
