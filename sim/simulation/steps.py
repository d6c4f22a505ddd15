"""The step of a scenario at the clock its power allows, and steps that designs of a study share."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Final, NamedTuple

from sim.engine import Step
from sim.engine.step import Engine
from sim.errors import InputError, Problem
from sim.plan.energy import Energy, step_energy
from sim.plan.records import Plan
from sim.plan.step_record import StepRecord
from sim.scenario import Scenario
from sim.simulation.power import within_power
from sim.simulation.stepping import slowest
from sim.workload.records import Model

AROUND: Final = ("name", "description", "target", "scaling", "objective", "campaign", "study", "sources")
"""Parts of a scenario that no step reads, once its model and plan are known."""
MOST_KNOWN: Final = 64
_READ: Final = attrgetter(*(field.name for field in fields(Scenario) if field.name not in AROUND))


class Stepped(NamedTuple):
    """The clock a scenario's power allows, its step there, and what that spends where the chip's power is known."""

    clock: float
    record: StepRecord
    step: Step
    spent: Energy | None


class Steps:
    """Steps simulated so far: scenarios that differ in nothing a step reads share one."""

    def __init__(self) -> None:
        self._known: dict[_Asked, Stepped] = {}

    def of(self, scenario: Scenario, model: Model, plan: Plan, engine: Engine, trace: bool) -> Stepped:
        """The step of a plan."""
        asked = _Asked(scenario, model, plan, engine, trace)
        if asked not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[asked] = _stepped(scenario, model, plan, engine, trace)
        return self._known[asked]


class _Asked:
    """What a step follows from, equal to whatever says the same."""

    __slots__ = ("_hash", "_said")

    def __init__(self, scenario: Scenario, model: Model, plan: Plan, engine: Engine, trace: bool) -> None:
        self._said = (plan, engine, trace, model, _READ(scenario))
        self._hash = hash((scenario.accelerator, plan))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self._said == other._said


def _stepped(scenario: Scenario, model: Model, plan: Plan, engine: Engine, trace: bool) -> Stepped:
    record, step = slowest(scenario, model, plan, engine, trace)
    if not step.time_s > 0.0:
        raise InputError(Problem("a step of this model takes no time: it computes and moves nothing", "workload.sizes"))
    spent = _spent(scenario, record, step)
    limited = within_power(scenario, model, plan, spent)
    if limited is not scenario:
        record, step = slowest(limited, model, plan, engine, trace)
        spent = _spent(limited, record, step)
    return Stepped(limited.accelerator.clock, record, step, spent)


def _spent(scenario: Scenario, record: StepRecord, step: Step) -> Energy | None:
    chip = scenario.accelerator
    return None if chip.power is None else step_energy(record, chip, step.time_s, None, step.input_stall_s)
