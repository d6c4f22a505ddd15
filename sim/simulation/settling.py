"""A scenario with the settings of its speed-ups: what other keys of a scenario say too, compared as a speed-up."""

from __future__ import annotations

from sim.errors import InputError, Problem
from sim.plan.speedups import SPEEDUPS, FirstOf
from sim.scenario import Scenario
from sim.simulation.goal import project_target
from sim.simulation.planning import model_of
from sim.simulation.stepping import effects_of
from sim.workload.records import Model


def settled(scenario: Scenario) -> Scenario:
    """The scenario its speed-ups make of it.

    InputError for one of something the model does not have, one asked for twice, and one that changes nothing.
    """
    if not scenario.speedups:
        return scenario
    check_speedups(scenario, model_of(scenario, project_target(scenario)))
    found = scenario
    for index, effect in enumerate(effects_of(scenario)):
        before = found
        for path, value in effect.settings.items():
            found = found.with_(path, _format(scenario, value, index) if isinstance(value, FirstOf) else value)
        if effect.settings and found == before:
            rule = "changes nothing: the scenario says so already"
            raise InputError(Problem(rule, f"speedups.{index}.method", scenario.speedups[index].method))
    if found is not scenario and scenario.plan.search:
        rule = "a speed-up that sets other parts is compared under one plan: search it first, then give it"
        raise InputError(Problem(rule, "plan.search"))
    return found


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


def _format(scenario: Scenario, formats: FirstOf, index: int) -> str:
    """The first format in which the accelerator computes."""
    for name in formats:
        if name in scenario.accelerator.compute:
            return name
    rule = f"{scenario.accelerator.name} computes in none of {', '.join(formats)}"
    raise InputError(Problem(rule, f"speedups.{index}.method", scenario.speedups[index].method))
