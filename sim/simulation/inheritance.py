"""What a chip nobody measured takes from a generation of real ones, and what each of these constants costs the step."""

from __future__ import annotations

from dataclasses import replace

from sim.device.inheritance import LOSSES
from sim.engine import Step
from sim.fields import Status
from sim.plan.records import Plan
from sim.result import Inherited
from sim.scenario import Scenario
from sim.simulation.stepping import run_step
from sim.workload.records import Model


def inherited(scenario: Scenario, model: Model, plan: Plan, step: Step) -> tuple[Inherited, ...]:
    """Every constant the chip's file leaves out, with the step's time over that of a chip without this loss.

    Empty for a shipped chip: its generation's constants were measured on it or its like.
    """
    chip = scenario.accelerator
    if chip.status == Status.SHIPPED or scenario.training.compute_s is not None:
        return ()
    found = []
    for name in chip.inherited:
        ideal = replace(scenario, accelerator=LOSSES[name].lifted(chip))
        seconds = run_step(ideal, model, plan, engine="recursion").time_s
        found.append(Inherited(name, LOSSES[name].value(chip), chip.generation, step.time_s / seconds))
    return tuple(found)
