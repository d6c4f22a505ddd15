"""One optimiser step of a plan: priced, slowed by the devices that are slow, simulated."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from sim.device import with_kernels
from sim.device.records import Accelerator
from sim.engine import Spread, Step, simulate_step
from sim.engine.step import Engine
from sim.network import communicator_of
from sim.plan import prepare, slow_stages, slowed
from sim.plan.records import Plan
from sim.plan.sped import sped
from sim.plan.speedups import SPEEDUPS, Effect
from sim.plan.step_record import StepRecord, with_compute
from sim.scenario import Scenario
from sim.simulation.feeding import fed
from sim.workload.records import Model


def run_step(scenario: Scenario, model: Model, plan: Plan, *, engine: Engine = "simpy", trace: bool = False) -> Step:
    """Price and simulate one optimiser step of `plan`."""
    return slowest(scenario, model, plan, engine, trace)[1]


def record_of(scenario: Scenario, model: Model, plan: Plan) -> StepRecord:
    """The step of `plan` with all that runs in it, as the device model prices it."""
    return prepare(model, plan, scenario.workload.numerics, scenario.accelerator, communicator_of(scenario.cluster))


def kernels_of(scenario: Scenario) -> Accelerator:
    """The accelerator as its kernels run, issued ahead of it."""
    return with_kernels(replace(scenario.accelerator, host_s=0.0), scenario.workload.numerics.kernel_rate)


def effects_of(scenario: Scenario) -> tuple[Effect, ...]:
    """What the scenario's speed-ups change, in their order."""
    found = []
    for request in scenario.speedups:
        method = SPEEDUPS[request.method]
        found.append(method.effect(method.default if request.amount is None else request.amount))
    return tuple(found)


def slowest(
    scenario: Scenario, model: Model, plan: Plan, engine: Engine, trace: bool = False
) -> tuple[StepRecord, Step]:
    """The step of the replica all others wait for: that with the devices that slow it most."""
    return slowest_of(scenario, plan, record_of(scenario, model, plan), engine, trace)


def slowest_of(
    scenario: Scenario, plan: Plan, record: StepRecord, engine: Engine, trace: bool = False
) -> tuple[StepRecord, Step]:
    """The same of a record as the device model prices it."""
    published = scenario.training.compute_s
    if published is not None:
        record = with_compute(record, published.value)
    record = sped(record, effects_of(scenario), kernels_of(scenario))
    slow = slow_stages(plan, [(device.rank, device.factor) for device in scenario.training.slow_devices])
    replicas = [slowed(record, stages) if stages else record for stages in slow]
    decoded = prod(effect.decoded for effect in effects_of(scenario))
    steps = [fed(scenario, plan, simulate_step(replica, engine=engine, trace=trace), decoded) for replica in replicas]
    return max(zip(replicas, steps, strict=True), key=lambda pair: pair[1].time_s)


def spread_of(scenario: Scenario, record: StepRecord, step: Step, seed: int) -> Spread | None:
    """The step under the scenario's jitter, where it has any."""
    if scenario.training.jitter == 0.0:
        return None
    from sim.engine.jitter import spread  # noqa: PLC0415  (scipy: only where there is jitter)

    return spread(record, step.time_s, scenario.training.jitter, seed=seed)
