"""What algorithmic speed-ups save on this hardware: each alone, all together, and what limits the step then."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from sim.engine.records import Step
from sim.plan import device_memory
from sim.plan.energy import step_energy
from sim.plan.records import Plan
from sim.plan.speedups import SPEEDUPS, Effect
from sim.plan.step_record import StepRecord
from sim.records import dataclass
from sim.result import Saving, Speedups, TimeToTarget
from sim.scenario import Scenario
from sim.simulation.goal import project_target
from sim.simulation.limits import bottleneck_of
from sim.simulation.planning import choose_plan, model_of
from sim.simulation.settling import settled
from sim.simulation.stepping import effects_of, slowest
from sim.workload.records import Model


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


@dataclass(frozen=True, slots=True)
class _Run:
    """A step as one set of speed-ups leaves it, its plan and the bytes of the fullest device."""

    scenario: Scenario
    model: Model
    plan: Plan
    record: StepRecord
    step: Step
    memory_bytes: float

    @classmethod
    def of(cls, scenario: Scenario, model: Model, plan: Plan, record: StepRecord, step: Step) -> _Run:
        devices = device_memory(model, plan, scenario.workload.numerics, scenario.accelerator)
        return cls(scenario, model, plan, record, step, max(device.total_bytes for device in devices))

    @property
    def time_s(self) -> float:
        """Of a sample."""
        return self.step.time_s / self.plan.global_batch

    @property
    def flops(self) -> float:
        """Of a sample."""
        return self.record.executed_flops / self.plan.global_batch

    @property
    def energy_j(self) -> float:
        """Of a sample."""
        spent = step_energy(self.record, self.scenario.accelerator, self.step.time_s, None, self.step.input_stall_s)
        return spent.step_j / self.plan.global_batch


def speedups_of(
    asked: Scenario, scenario: Scenario, model: Model, plan: Plan, record: StepRecord, step: Step
) -> Speedups | None:
    """The savings; None where no speed-up is asked for. `asked`: before the settings of speed-ups."""
    if not asked.speedups:
        return None
    plain = replace(scenario, workload=asked.workload, plan=asked.plan, speedups=())
    set_apart = plain.workload != scenario.workload or plain.plan != scenario.plan
    before = _planned(plain) if set_apart else _run(plain, model, plan)
    alone = []
    for request, effect in zip(asked.speedups, effects_of(asked), strict=True):
        one = settled(replace(plain, speedups=(request,)))
        after = _planned(one) if effect.settings else _run(one, before.model, before.plan)
        alone.append(_saving(request.method, before, after, effect))
    together = _Run.of(scenario, model, plan, record, step)
    return Speedups(
        alone=tuple(alone),
        together=_saving("together", before, together, None),
        product=1.0 - prod(1.0 - each.time for each in alone),
        before=bottleneck_of(before.scenario, before.model, before.plan, before.step, False),
        after=bottleneck_of(scenario, model, plan, step, False),
    )


def _run(scenario: Scenario, model: Model, plan: Plan) -> _Run:
    return _Run.of(scenario, model, plan, *slowest(scenario, model, plan, "recursion"))


def _planned(scenario: Scenario) -> _Run:
    """The step of the model and plan a scenario asks for, fitting or not."""
    model = model_of(scenario, project_target(scenario))
    plan, _ = choose_plan(scenario, model, must_fit=False)
    return _run(scenario, model, plan)


def _saving(name: str, before: _Run, after: _Run, effect: Effect | None) -> Saving:
    samples = samples_factor(after.scenario)
    powered = before.scenario.accelerator.power is not None
    method = SPEEDUPS.get(name)
    return Saving(
        name=name,
        flops=1.0 - samples * after.flops / before.flops,
        time=1.0 - samples * after.time_s / before.time_s,
        energy=1.0 - samples * after.energy_j / before.energy_j if powered else None,
        memory=1.0 - after.memory_bytes / before.memory_bytes,
        accuracy_points=effect.accuracy_points if effect else None,
        kind=method.kind if method else "",
        component=method.component if method else "",
        published=method.published if method else "",
        published_time=method.published_saving if method else None,
        source=method.source if method else "",
    )
