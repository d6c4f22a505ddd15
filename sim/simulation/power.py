"""One power model: the clock at which a step keeps the board's power, or the cap set below it.

P(s) = P_idle + (s²·E_arithmetic + E_movement) / (T(s)·devices). At clock s arithmetic takes 1/s of its time and, the
voltage following the clock, s² of its energy (dynamic energy C·V²); movement keeps both. What the limit holds down is
the mean over a step: boards let their power swing for longer than an op takes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.engine import Step
from sim.errors import InputError, Problem
from sim.plan.energy import step_energy
from sim.plan.records import Plan
from sim.plan.step_record import StepRecord
from sim.scenario import Scenario
from sim.simulation.stepping import slowest
from sim.workload.records import Model

LOWEST_CLOCK: Final = 0.1  # of the full clock; an A100's range is 210 to 1410 MHz (recalled)
TOLERANCE: Final = 1e-3  # of the clock


def within_power(scenario: Scenario, model: Model, plan: Plan, record: StepRecord, step: Step) -> Scenario:
    """The scenario itself where its step (at full clock) stays below the limit, else with the clock that does."""
    chip = scenario.accelerator
    if chip.power is None or scenario.training.compute_s is not None:
        return scenario
    limit = min(chip.power.peak_w, chip.power.cap_w or chip.power.peak_w)
    if limit <= chip.power.idle_w:
        rule = f"must lie above the idle power of {chip.power.idle_w:g} W"
        raise InputError(Problem(rule, "accelerator.power.cap", f"{limit:g} W"))
    if step_energy(record, chip, step.time_s, None).mean_device_w <= limit:
        return scenario
    low, high = LOWEST_CLOCK, 1.0
    least = _mean_w(_at(scenario, low), model, plan)
    if least > limit:
        rule = f"cannot be kept: at a clock of {LOWEST_CLOCK:g} of the full one this step draws {least:.0f} W"
        raise InputError(Problem(rule, "accelerator.power.cap", f"{limit:g} W"))
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        fits = _mean_w(_at(scenario, middle), model, plan) <= limit
        low, high = (middle, high) if fits else (low, middle)
    return _at(scenario, low)


def _at(scenario: Scenario, clock: float) -> Scenario:
    return replace(scenario, accelerator=replace(scenario.accelerator, clock=clock))


def _mean_w(scenario: Scenario, model: Model, plan: Plan) -> float:
    record, step = slowest(scenario, model, plan, "recursion")
    return step_energy(record, scenario.accelerator, step.time_s, None).mean_device_w
