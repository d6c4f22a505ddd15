"""What algorithmic speed-ups save on this hardware: each alone, all together, and what limits the step then."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from sim.engine.records import Step
from sim.errors import InputError, Problem
from sim.plan.energy import step_energy
from sim.plan.records import Plan
from sim.plan.speedups import SPEEDUPS, Effect
from sim.plan.step_record import StepRecord
from sim.result import Saving, Speedups, TimeToTarget
from sim.scenario import Scenario
from sim.simulation.limits import bottleneck_of
from sim.simulation.stepping import effects_of, slowest
from sim.workload.records import Model


def check_speedups(scenario: Scenario, model: Model) -> None:
    """InputError for every speed-up of something the model does not have, and for one asked for twice."""
    problems = []
    names = [request.method for request in scenario.speedups]
    for index, request in enumerate(scenario.speedups):
        method = SPEEDUPS[request.method]
        if method.needs and not any(hasattr(model, name) for name in method.needs):
            rule = f"the model {model.name} has no {method.needs[0]}"
            problems.append(Problem(rule, f"speedups.{index}.method", request.method))
        if request.method in names[:index]:
            problems.append(Problem("is there twice", f"speedups.{index}.method", request.method))
    if problems:
        raise InputError(*problems)


def samples_factor(scenario: Scenario) -> float:
    """Samples to the target with all speed-ups, over those without."""
    return prod(effect.samples for effect in effects_of(scenario))


def fewer_samples(scenario: Scenario, goal: TimeToTarget | None) -> TimeToTarget | None:
    """The way to the target with the samples speed-ups leave."""
    factor = samples_factor(scenario)
    if goal is None or factor == 1.0:
        return goal
    return replace(
        goal, seconds=goal.seconds * factor, steps=goal.steps * factor, samples=goal.samples * factor,
        alternatives=tuple((critical, seconds * factor) for critical, seconds in goal.alternatives),
    )  # fmt: skip


def speedups_of(scenario: Scenario, model: Model, plan: Plan, record: StepRecord, step: Step) -> Speedups | None:
    """The savings; None where no speed-up is asked for."""
    if not scenario.speedups:
        return None
    bare = replace(scenario, speedups=())
    before, plain = slowest(bare, model, plan, "recursion")

    def saving(name: str, asked: Scenario, after: StepRecord, sped_up: Step, effect: Effect | None) -> Saving:
        samples = samples_factor(asked)
        power = scenario.accelerator.power
        energy = None
        if power is not None:
            spent = step_energy(after, scenario.accelerator, sped_up.time_s, None).step_j
            energy = 1.0 - samples * spent / step_energy(before, scenario.accelerator, plain.time_s, None).step_j
        method = SPEEDUPS.get(name)
        return Saving(
            name=name,
            flops=1.0 - samples * after.executed_flops / before.executed_flops,
            time=1.0 - samples * sped_up.time_s / plain.time_s,
            energy=energy,
            accuracy_points=effect.accuracy_points if effect else None,
            kind=method.kind if method else "",
            component=method.component if method else "",
            published=method.published if method else "",
            published_time=method.published_saving if method else None,
            source=method.source if method else "",
        )

    alone = []
    for request, effect in zip(scenario.speedups, effects_of(scenario), strict=True):
        asked = replace(scenario, speedups=(request,))
        alone.append(saving(request.method, asked, *slowest(asked, model, plan, "recursion"), effect))
    return Speedups(
        alone=tuple(alone),
        together=saving("together", scenario, record, step, None),
        product=1.0 - prod(1.0 - each.time for each in alone),
        before=bottleneck_of(bare, model, plan, plain, False),
        after=bottleneck_of(scenario, model, plan, step, False),
    )
