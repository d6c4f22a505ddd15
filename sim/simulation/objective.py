"""The plan chosen for the target: batch, sub-batch and number of devices that reach it soonest, or with least energy.

Candidates are the same whatever the hardware: sub-batches and device counts 2^k and 3·2^k (a cluster's own size too).
A better part may run any plan of the lesser one, so none can make the target later; only memory takes candidates away.
The paper's rule (PPoPP 2019, section 5.2.1: `objective: rate`) looks at the device's rate alone, where a faster chip
asks for a larger batch, and that for more samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sim.errors import InfeasibleError, InputError, Lever, UnreachableError
from sim.plan import device_memory
from sim.plan.energy import step_energy
from sim.plan.records import Plan
from sim.result import Bottleneck, TimeToTarget
from sim.scaling import Projection
from sim.scenario import Objective, Scenario
from sim.simulation.goal import critical_batches, time_to_target, units_per_sample
from sim.simulation.planning import choose_plan
from sim.simulation.stepping import record_of, run_step
from sim.workload.records import Model

WIDEST: Final = 64.0
"""Multiples of the critical batch that are tried: there 65 times the samples save under 2 % of the steps."""
EARLIER: Final = 0.995  # of the time to the target, for a lever to be told
MOST: Final = 2**20  # samples per device and pass, as in the paper's figure 11


@dataclass(frozen=True, slots=True)
class Chosen:
    """The plan that reaches the target best, on which part of the cluster, among how many."""

    scenario: Scenario
    plan: Plan
    value: float  # s, or J
    considered: int


def choose_for_target(
    scenario: Scenario, model: Model, projection: Projection | None, must_fit: bool = True
) -> Chosen | None:
    """The candidate of least time (or energy) to the target; None where samples do not depend on the batch.

    Of equals the one with fewer devices and the smaller batch is kept.
    """
    if projection is None or scenario.objective == Objective.RATE or scenario.plan.search:
        return None
    critical, _ = critical_batches(scenario, projection)
    request = scenario.plan
    open_batch = request.global_batch is None or request.sub_batch is None
    if critical is None or not (open_batch or scenario.cluster_choices):
        return None
    batch = critical.in_samples(units_per_sample(scenario, model), projection.target_error)
    best: Chosen | None = None
    failure: InfeasibleError | UnreachableError | None = None
    considered = 0
    for case in _clusters(scenario):
        for plan in _plans(case, model, WIDEST * batch):
            try:
                value = _value(case, model, projection, plan, must_fit)
            except (InfeasibleError, UnreachableError) as error:
                failure = failure or error
                continue
            considered += 1
            if value is not None and (best is None or value < best.value * (1.0 - 1e-12)):
                best = Chosen(case, plan, value, considered)
    if best is None:
        if isinstance(failure, UnreachableError):
            raise failure
        return None
    return replace(best, considered=considered)


def _clusters(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario on every part of its cluster that `devices: auto` offers, small ones first."""
    for cluster in scenario.cluster_choices or (scenario.cluster,):
        yield replace(scenario, cluster=cluster, cluster_choices=())


def _plans(scenario: Scenario, model: Model, widest: float) -> Iterator[Plan]:
    """Plans of every candidate sub-batch, up to `widest` samples a step (one sample a pass in any case)."""
    request = scenario.plan
    given: Iterable[int] = [request.sub_batch] if request.sub_batch is not None else _sizes(MOST)
    for size in given:
        try:
            plan, _ = choose_plan(replace(scenario, plan=replace(request, sub_batch=size)), model)
        except (InputError, InfeasibleError):
            if request.sub_batch is not None or size == 1:
                continue
            return
        if plan.global_batch > widest and size > 1 and request.global_batch is None:
            return
        yield plan


def _sizes(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12 …"""
    size = 1
    while size <= most:
        yield size
        if size >= 2 and 3 * size // 2 <= most:
            yield 3 * size // 2
        size *= 2


def _value(scenario: Scenario, model: Model, projection: Projection, plan: Plan, must_fit: bool) -> float | None:
    """Time (s) or energy (J) to the target of one plan."""
    chip = scenario.accelerator
    memory = device_memory(model, plan, scenario.workload.numerics, chip)
    if must_fit and not all(device.fits for device in memory):
        return None
    step = run_step(scenario, model, plan, engine="recursion")
    goal = time_to_target(scenario, model, projection, plan, step.time_s)
    if goal is None:
        return None
    if scenario.objective == Objective.ENERGY:
        found = step_energy(record_of(scenario, model, plan), chip, step.time_s, goal.steps)
        return found.target_j
    return goal.seconds


def with_earlier_batch(
    bottleneck: Bottleneck,
    scenario: Scenario,
    model: Model,
    projection: Projection | None,
    goal: TimeToTarget | None,
    step_s: float,
) -> Bottleneck:
    """Where the device's rate chose the batch: the batch that is earlier, as the first lever."""
    if goal is None or scenario.objective != Objective.RATE:
        return bottleneck
    other = choose_for_target(replace(scenario, objective=Objective.TIME), model, projection)
    if other is None or other.value > EARLIER * goal.steps * step_s:
        return bottleneck
    plan = other.plan
    change = f"objective: time, sub-batch {plan.sub_batch} ({plan.global_batch:,} a step)"
    note = f"{goal.steps * step_s / other.value:.2f}x earlier"
    return replace(bottleneck, levers=(Lever(change, other.value, "time_to_target_s", note), *bottleneck.levers))
