"""One door: `simulate(scenario) -> Result`, the way from the frozen scenario to the frozen result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.engine import Step
from sim.engine.step import Engine
from sim.errors import InfeasibleError
from sim.network.optical import shape_of
from sim.plan import device_memory, infeasible
from sim.plan.energy import Energy
from sim.plan.records import DeviceMemory, Plan
from sim.plan.sub_batch import SubBatch
from sim.records import dataclass
from sim.result import Result, TimeToTarget, Uncertainty
from sim.scaling import Projection
from sim.scenario import Scenario
from sim.simulation.campaign import campaign_of, with_campaign
from sim.simulation.goal import energy_of, project_target, time_to_target, with_band, with_samples
from sim.simulation.inheritance import inherited
from sim.simulation.invariants import check_published, check_result
from sim.simulation.limits import bottleneck_of
from sim.simulation.objective import check_objective, choose_for_target, with_earlier_batch
from sim.simulation.planning import check_search, choose_plan, model_of
from sim.simulation.provenance import extrapolated, missing, part_names, provenance
from sim.simulation.settling import settled
from sim.simulation.speeding import fewer_samples, speedups_of
from sim.simulation.spending import cost_of, with_waiting
from sim.simulation.stepping import spread_of
from sim.simulation.steps import Steps
from sim.simulation.uncertainty import Planned, uncertainty_of
from sim.workload.records import Model

if TYPE_CHECKING:
    from sim.search.plans import Found


def check_scenario(scenario: Scenario) -> None:
    """What `simulate` refuses before it runs a step: target, sizes, plan, memory; nothing is searched for."""
    scenario = settled(scenario)
    projection = project_target(scenario)
    model = model_of(scenario, projection)
    with_samples(projection, scenario, model)
    check_objective(scenario, model, projection)
    if scenario.plan.search:
        check_search(scenario, model)
    if scenario.plan.search or scenario.cluster_choices:
        return
    plan, _ = choose_plan(scenario, model)
    _check_memory(scenario, model, plan)


def _memory(scenario: Scenario, model: Model, plan: Plan) -> tuple[DeviceMemory, ...]:
    return tuple(device_memory(model, plan, scenario.workload.numerics, scenario.accelerator))


def _check_memory(scenario: Scenario, model: Model, plan: Plan) -> tuple[DeviceMemory, ...]:
    """Memory of every class of devices; InfeasibleError where one does not hold what it must."""
    memory = _memory(scenario, model, plan)
    if not all(device.fits for device in memory):
        raise InfeasibleError(infeasible(model, plan, scenario.workload.numerics, scenario.accelerator))
    return memory


@dataclass(frozen=True, slots=True)
class _Planned:
    """The scenario on the devices chosen, its plan, and how that was come by."""

    scenario: Scenario
    plan: Plan
    choice: SubBatch | None = None
    found: Found | None = None
    considered: int = 0
    weighed: tuple[tuple[int, int, float], ...] = ()


def _plan(scenario: Scenario, model: Model, projection: Projection | None, must_fit: bool) -> _Planned:
    """The plan for the objective, searched, or as given with the sub-batch filled in."""
    chosen = choose_for_target(scenario, model, projection, must_fit)
    if chosen is not None:
        weighed = chosen.weighed if scenario.sizes_open else ()
        return _Planned(chosen.scenario, chosen.plan, found=chosen.found, considered=chosen.considered, weighed=weighed)
    plan, choice = choose_plan(scenario, model, must_fit)
    return _Planned(scenario, plan, choice)


def _bands(
    scenario: Scenario, model: Model, projection: Projection | None, planned: _Planned, step: Step,
    goal: TimeToTarget | None, energy: Energy | None, seed: int,
) -> Uncertainty | None:  # fmt: skip
    """Bands of the headline numbers, where there is a target."""
    if goal is None:
        return None
    joules = energy.target_j if energy else None
    return uncertainty_of(scenario, model, projection, Planned(planned.plan, step, goal, joules, planned.weighed), seed)


def simulate(
    scenario: Scenario,
    *,
    engine: Engine = "simpy",
    trace: bool = False,
    must_fit: bool = True,
    levers: bool = True,
    bands: bool | None = None,
    searched: bool = False,
    seed: int = 0,
    steps: Steps | None = None,
) -> Result:
    """Answer one scenario; `seed` of its random streams (jitter).

    Raises InputError (wrong plan or target), InfeasibleError (does not fit, unless `must_fit` is off),
    UnreachableError (target below the floor).  `levers` computes what would help most: a few more steps simulated;
    `bands` those of the headline numbers, as a rule with the levers;
    `searched` looks for a better plan among all there are (seconds); `steps` are those simulated before, to be shared.
    """
    asked, scenario = scenario, settled(scenario)
    drawn = levers if bands is None else bands
    projection = project_target(scenario)
    model = model_of(scenario, projection)
    projection = with_samples(projection, scenario, model)
    planned = _plan(scenario, model, projection, must_fit)
    plan = planned.plan
    memory = _check_memory(planned.scenario, model, plan) if must_fit else _memory(planned.scenario, model, plan)
    check_published(scenario, plan.sub_batch)
    clock, record, step, spent = (steps or Steps()).of(planned.scenario, model, plan, engine, trace)
    scenario = planned.scenario.at_clock(clock)
    spread = spread_of(scenario, record, step, seed)
    goal = time_to_target(scenario, model, projection, plan, spread.mean_s if spread else step.time_s)
    goal = fewer_samples(scenario, goal)
    goal = with_band(goal, spread)
    mean_s = spread.mean_s if spread else step.time_s
    campaign = campaign_of(scenario, model, plan, step, mean_s, goal, seed=seed, spans=trace)
    goal = with_campaign(goal, campaign)
    peak = scenario.accelerator.compute[scenario.workload.numerics.compute].peak_flops * step.time_s * plan.devices
    energy, no_energy = energy_of(scenario, spent, goal)
    energy, site = with_waiting(scenario, plan, energy, goal, campaign)
    cost, no_cost = cost_of(scenario, plan, goal, site)
    bottleneck = bottleneck_of(scenario, model, plan, step, levers, searched, record)
    if levers and must_fit and not scenario.speedups:
        bottleneck = with_earlier_batch(bottleneck, scenario, model, projection, goal, step.time_s)
    result = Result(
        name=scenario.name,
        description=scenario.description,
        workload=model.name,
        accelerator=scenario.accelerator.name,
        cluster=scenario.cluster.name,
        devices=plan.devices,
        shape=shape_of(scenario.cluster),
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        units_per_sample=model.units_per_sample,
        projection=projection,
        plan=plan,
        sub_batch=planned.choice,
        memory=memory,
        step=step,
        spread=spread,
        campaign=campaign,
        site=site,
        speedups=speedups_of(asked, scenario, model, plan, record, step),
        mfu=step.model_flops / peak,
        hfu=step.executed_flops / peak,
        time_to_target=goal,
        energy=energy,
        cost=cost,
        bottleneck=bottleneck,
        objective=scenario.objective,
        considered=planned.considered,
        uncertainty=_bands(scenario, model, projection, planned, step, goal, energy, seed) if drawn else None,
        provenance=provenance(scenario, inherited(scenario, model, plan, step) if levers else ()),
        extrapolated=extrapolated(scenario, projection, goal, plan.global_batch, model.parameters),
        search=planned.found,
        missing=missing(scenario, no_energy, no_cost, projection is not None, goal is not None),
        parts=part_names(scenario),
    )
    check_result(result, record, scenario.accelerator)
    return result
