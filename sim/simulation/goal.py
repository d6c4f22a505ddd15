"""From a step to the target: how many samples and steps, how long, with which energy and cost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from sim.engine import Spread
from sim.errors import InputError, Problem
from sim.plan.energy import Energy
from sim.plan.records import Plan
from sim.result import TimeToTarget
from sim.scaling import CriticalBatch, Projection, critical_batch_of, effort, parse_critical_batch, project
from sim.scenario import Scenario
from sim.workload.records import Model

DAY: Final = 86400.0
AT_LEAST: Final = "one pass over the data: how many passes this domain needs is not known"


def project_target(scenario: Scenario) -> Projection | None:
    """Data and model size at the target, where the scenario has a scaling domain and asks for an error."""
    target = scenario.target
    if scenario.scaling is None:
        if target.error is not None:
            raise InputError(
                Problem("an error is a target only with a scaling domain", "target.error", f"{target.error:g}")
            )
        return None
    if target.samples or target.units or target.steps:
        return None
    if target.metric and target.metric != scenario.scaling.error_unit:
        rule = f"the domain {scenario.scaling.name} measures in {scenario.scaling.error_unit}; nothing is converted"
        raise InputError(Problem(rule, "target.metric", target.metric))
    return project(scenario.scaling, target.error, scenario.training.units_per_sample)


def units_per_sample(scenario: Scenario, model: Model) -> float:
    """Units of data in one sample: as given, else all a packed sample computes, else the domain's (one sentence …).

    A packed sample cannot hold more data than it computes.
    """
    given, domain = scenario.training.units_per_sample, scenario.scaling
    if given is not None and not model.padded and given > model.units_per_sample:
        rule = f"must be at most the {model.units_per_sample:g} units the computation of one sample processes"
        raise InputError(Problem(rule, "training.units_per_sample", f"{given:g}"))
    known = domain.units_per_sample if domain and model.padded else None
    return given or known or model.units_per_sample


def with_samples(projection: Projection | None, scenario: Scenario, model: Model) -> Projection | None:
    """The projection with the samples that hold its data, as `model` takes them."""
    if projection is None:
        return None
    return replace(projection, samples=projection.dataset_units / units_per_sample(scenario, model))


def time_to_target(
    scenario: Scenario, model: Model, projection: Projection | None, plan: Plan, step_s: float
) -> TimeToTarget | None:
    target, training, domain = scenario.target, scenario.training, scenario.scaling
    batch = plan.global_batch
    per_sample = units_per_sample(scenario, model)
    if target.steps:
        return _plain_goal(target.steps * batch, batch, step_s)
    if projection is None:
        samples = target.samples or (target.units / per_sample if target.units else None)
        return _plain_goal(samples, batch, step_s) if samples else None
    critical, others = critical_batches(scenario, projection)
    passes = training.passes or projection.passes
    needed = partial(effort, domain, projection, passes or 1.0, batch, units_per_sample=per_sample)
    done = needed(critical)
    pass_s = projection.dataset_units / per_sample / batch * step_s
    full = per_sample / model.units_per_sample
    at_target = partial(_at_target, per_sample=per_sample, error=projection.target_error)
    return TimeToTarget(
        seconds=done.steps * step_s,
        steps=done.steps,
        samples=done.samples,
        days_per_epoch=pass_s / DAY,
        days_per_epoch_full=pass_s * full / DAY if abs(full - 1) > 0.01 else None,
        critical_batch=at_target(critical) if critical else None,
        alternatives=tuple((at_target(c), needed(c).steps * step_s) for c in others),
        passes=passes or 1.0,
        at_least="" if passes else AT_LEAST,
        passes_source="given in the scenario" if training.passes else projection.passes_source,
    )


def critical_batches(
    scenario: Scenario, projection: Projection
) -> tuple[CriticalBatch | None, tuple[CriticalBatch, ...]]:
    """(the critical batch used, the other published ones)."""
    given, domain = scenario.training.critical_batch, scenario.scaling
    read = parse_critical_batch(given, domain.unit if domain else "unit") if given is not None else None
    return critical_batch_of(domain, projection, read)


def _at_target(critical: CriticalBatch, per_sample: float, error: float) -> CriticalBatch:
    """The critical batch in samples, where it grows at the target's error."""
    return replace(critical, samples=critical.in_samples(per_sample, error), units=None, error_exponent=None)


def _plain_goal(samples: float, batch: int, step_s: float) -> TimeToTarget:
    steps = samples / batch
    seconds = steps * step_s
    return TimeToTarget(seconds, steps, samples, seconds / DAY, None, None)


def with_band(goal: TimeToTarget | None, spread: Spread | None) -> TimeToTarget | None:
    """The time to the target with its 5th, 50th and 95th percentile under jitter."""
    if goal is None or spread is None:
        return goal
    low, middle, high = spread.of_steps(goal.steps)
    return replace(goal, p05_s=low, p50_s=middle, p95_s=high)


def energy_of(scenario: Scenario, spent: Energy | None, goal: TimeToTarget | None) -> tuple[Energy | None, str]:
    """Energy to the target of steps that each take what was `spent`, or why there is none."""
    if scenario.accelerator.power is None or spent is None:
        return None, f"the accelerator {scenario.accelerator.name} has no power figures"
    limit = scenario.accelerator.power.cap_w or scenario.accelerator.power.peak_w
    if spent.mean_device_w > limit * (1.0 + 1e-9):  # only where the time is not ours
        return None, f"in the published compute time a device would draw {spent.mean_device_w:.0f} W of {limit:.0f} W"
    power, clock = scenario.accelerator.power, scenario.accelerator.clock
    target_j = spent.step_j * goal.steps if goal else None
    return replace(spent, target_j=target_j, flop_j=power.flop_j[scenario.workload.numerics.compute] * clock**2), ""
