"""One door: `simulate(scenario) -> Result`, the way from the frozen scenario to the frozen result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from sim.device import time_ops
from sim.engine import Spread, Step, simulate_step
from sim.engine.step import Engine
from sim.errors import InfeasibleError, InputError, Lever, Problem
from sim.network import Communicator
from sim.network.records import Cluster, LinkType
from sim.plan import check_given, check_plan, device_memory, infeasible, prepare, slow_stages, slowed
from sim.plan.costs import Prepared
from sim.plan.energy import Energy, step_energy
from sim.plan.pricing import shard_of
from sim.plan.records import Plan
from sim.plan.sub_batch import LARGEST, SubBatch, choose_sub_batch
from sim.result import Bottleneck, Cost, Provenance, Result, TimeToTarget
from sim.scaling import CriticalBatch, Projection, effort, project
from sim.scenario import PlanRequest, Scenario
from sim.workload.build import build_model
from sim.workload.records import Model

if TYPE_CHECKING:
    from sim.search.plans import Found

DAY: Final = 86400.0
MICRO_BATCHES_PER_STAGE: Final = 4  # default accumulation of a pipeline: bubble below a fifth
LEVERS_SHOWN: Final = 3


def simulate(
    scenario: Scenario,
    *,
    engine: Engine = "simpy",
    trace: bool = False,
    must_fit: bool = True,
    levers: bool = True,
    seed: int = 0,
) -> Result:
    """Answer one scenario; `seed` of its random streams (jitter).

    Raises InputError (wrong plan or target), InfeasibleError (does not fit, unless `must_fit` is off),
    UnreachableError (target below the floor).  `levers` computes what would help most: a few more steps simulated.
    """
    projection = project_target(scenario)
    model = model_of(scenario, projection)
    found = search_plan(scenario, model) if scenario.plan.search else None
    plan, choice = (found.best, None) if found else choose_plan(scenario, model, must_fit)
    memory = device_memory(model, plan, scenario.workload.numerics, scenario.accelerator)
    if must_fit and not all(device.fits for device in memory):
        raise InfeasibleError(infeasible(model, plan, scenario.workload.numerics, scenario.accelerator))
    prepared, step = _slowest(scenario, model, plan, engine, trace)
    spread = _spread(scenario, prepared, step, seed)
    goal = _time_to_target(scenario, model, projection, plan, spread.mean_s if spread else step.time_s)
    goal = _with_band(goal, spread)
    peak = scenario.accelerator.compute[scenario.workload.numerics.compute].peak_flops * step.time_s * plan.devices
    energy, no_energy = _energy(scenario, model, plan, step, goal)
    cost, no_cost = _cost(scenario, plan, goal)
    return Result(
        name=scenario.name,
        description=scenario.description,
        workload=model.name,
        accelerator=scenario.accelerator.name,
        cluster=scenario.cluster.name,
        devices=plan.devices,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        units_per_sample=model.units_per_sample,
        projection=projection,
        plan=plan,
        sub_batch=choice,
        memory=memory,
        step=step,
        spread=spread,
        mfu=step.model_flops / peak,
        hfu=step.executed_flops / peak,
        time_to_target=goal,
        energy=energy,
        cost=cost,
        bottleneck=_bottleneck(scenario, model, plan, step, levers),
        extrapolated=_extrapolated(scenario, projection),
        provenance=_provenance(scenario),
        search=found,
        missing=_missing(no_energy, no_cost, projection is not None, goal is not None),
    )


def _missing(no_energy: str, no_cost: str, projected: bool, timed: bool) -> dict[str, str]:
    """Why parts of the result are empty."""
    whys = {"energy": no_energy, "cost": no_cost}
    if not projected:
        whys["projection"] = "the scenario names no scaling domain"
    if not timed:
        whys["time_to_target"] = "the scenario names no target: only the step was simulated"
    return {key: why for key, why in whys.items() if why}


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
    return project(scenario.scaling, target.error, scenario.training.units_per_sample)


def model_of(scenario: Scenario, projection: Projection | None) -> Model:
    """The model, of the projected size where its own is left open."""
    workload = scenario.workload
    projected = projection.parameters if projection else None
    return build_model(workload.family, workload.sizes, workload.parameters, projected)


def run_step(scenario: Scenario, model: Model, plan: Plan, *, engine: Engine = "simpy", trace: bool = False) -> Step:
    """Price and simulate one optimiser step of `plan`."""
    return _slowest(scenario, model, plan, engine, trace)[1]


def _slowest(
    scenario: Scenario, model: Model, plan: Plan, engine: Engine, trace: bool = False
) -> tuple[Prepared, Step]:
    """The step of the replica all others wait for: that with the devices that slow it most."""
    published = scenario.training.compute_s
    prepared = prepare(
        model,
        plan,
        scenario.workload.numerics,
        scenario.accelerator,
        _communicator(scenario.cluster),
        compute_s=published.value if published else None,
    )
    slow = slow_stages(plan, [(device.rank, device.factor) for device in scenario.training.slow_devices])
    replicas = [slowed(prepared, stages) if stages else prepared for stages in slow]
    steps = [simulate_step(replica, engine=engine, trace=trace) for replica in replicas]
    return max(zip(replicas, steps, strict=True), key=lambda pair: pair[1].time_s)


def _spread(scenario: Scenario, prepared: Prepared, step: Step, seed: int) -> Spread | None:
    """The step under the scenario's jitter, where it has any."""
    if scenario.training.jitter == 0.0:
        return None
    from sim.engine.jitter import spread  # noqa: PLC0415  (scipy: only where there is jitter)

    return spread(prepared, step.time_s, scenario.training.jitter, seed=seed)


_communicators: dict[int, tuple[Cluster, Communicator]] = {}


def _communicator(cluster: Cluster) -> Communicator:
    """One communicator per cluster object: its costs are memoised."""
    known = _communicators.get(id(cluster))
    if known is None or known[0] is not cluster:
        if len(_communicators) > 64:
            _communicators.clear()
        known = _communicators[id(cluster)] = (cluster, Communicator(cluster))
    return known[1]


# --- the plan ---------------------------------------------------------------------------------------------------


def choose_plan(scenario: Scenario, model: Model, must_fit: bool = True) -> tuple[Plan, SubBatch | None]:
    """The plan the scenario asks for, with what it leaves open filled in, checked against the cluster."""
    request, devices = scenario.plan, scenario.cluster.devices
    shared = given(request)
    pipeline = request.pipeline or 1
    data = request.data or max(1, devices // ((request.tensor or 1) * pipeline * (request.context or 1)))
    shared |= {"data": data}
    accumulate = MICRO_BATCHES_PER_STAGE * pipeline if pipeline > 1 else 1

    def checked(sub_batch: int) -> Plan:
        plan = Plan(**{"global_batch": sub_batch * data * accumulate, **shared, "sub_batch": sub_batch})
        check_plan(plan, devices, **_limits(model))
        return plan

    if request.sub_batch is not None:
        return checked(request.sub_batch), None
    checked(1)  # wrong degrees are told before a sub-batch is weighed with them
    choice = _choose_sub_batch(scenario, model, shared, must_fit)
    return checked(choice.samples), choice


def given(request: PlanRequest) -> dict[str, Any]:
    """What a request says of the plan."""
    said = {f.name: getattr(request, f.name) for f in fields(Plan) if hasattr(request, f.name)}
    return {name: value for name, value in said.items() if value is not None}


def search_plan(scenario: Scenario, model: Model) -> Found:
    """All plans for the scenario's global batch, best first; what the request gives is kept."""
    batch = scenario.plan.global_batch
    if batch is None:
        raise InputError(Problem("is required when the plan is searched", "plan.global_batch", hint="samples per step"))
    check_given(given(scenario.plan), scenario.cluster.devices, **_limits(model))
    from sim.search.plans import limits_of, search  # noqa: PLC0415  (only when asked for)

    return search(
        model,
        scenario.workload.numerics,
        scenario.accelerator,
        _communicator(scenario.cluster),
        batch,
        limits_of(given(scenario.plan), model),
    )


def _limits(model: Model) -> dict[str, int | None]:
    """What of a model bounds the degrees, where it has it: blocks a pipeline cuts between, heads, experts, sequence."""
    depth = getattr(model, "depth", None)
    blocks = None if depth is None else int(depth) + int(getattr(model, "encoder_blocks", 0))
    return {"blocks": blocks, **{name: getattr(model, name, None) for name in ("heads", "experts", "sequence")}}


def _choose_sub_batch(scenario: Scenario, model: Model, shared: Mapping[str, Any], must_fit: bool) -> SubBatch:
    """The rule of `sim.plan.sub_batch`, with the device model's pass time and the plan's memory."""
    request, numerics, chip = scenario.plan, scenario.workload.numerics, scenario.accelerator
    shard = shard_of(Plan(**{**shared, "sub_batch": 1, "global_batch": 1}))
    times: dict[int, float] = {}

    def pass_time(batch: int) -> float:
        if batch not in times:
            layers = model.layers(batch, numerics, shard)
            times[batch] = sum(
                (time_ops(layer.forward, chip).seconds + time_ops(layer.backward, chip).seconds) * layer.count
                for layer in layers
            )
        return times[batch]

    def trial(batch: int) -> Plan:
        passes = request.pipeline or 1
        return Plan(**{**shared, "sub_batch": batch, "global_batch": batch * shared["data"] * passes})

    def fits(batch: int) -> bool:
        return all(d.fits for d in device_memory(model, trial(batch), numerics, chip))

    share = None if request.global_batch is None else max(1, request.global_batch // shared["data"])
    largest = LARGEST if share is None else share
    choice = choose_sub_batch(
        pass_time, fits if must_fit else lambda _: True, scenario.training.batch_tolerance, largest
    )
    if choice is None:
        raise InfeasibleError(infeasible(model, trial(1), numerics, chip))
    if share is not None and share % choice.samples:
        samples = next(b for b in range(choice.samples, 0, -1) if share % b == 0)
        choice = replace(choice, samples=samples, time_per_sample_s=pass_time(samples) / samples)
    return choice


# --- time, energy, cost -----------------------------------------------------------------------------------------


def _time_to_target(
    scenario: Scenario, model: Model, projection: Projection | None, plan: Plan, step_s: float
) -> TimeToTarget | None:
    target, training, domain = scenario.target, scenario.training, scenario.scaling
    batch = plan.global_batch
    per_sample = training.units_per_sample or (domain.units_per_sample if domain else model.units_per_sample)
    if target.steps:
        return _plain_goal(target.steps * batch, batch, step_s)
    if projection is None:
        samples = target.samples or (target.units / per_sample if target.units else None)
        return _plain_goal(samples, batch, step_s) if samples else None
    known = domain.critical_batches if domain else ()
    critical = CriticalBatch(training.critical_batch, "given in the scenario") if training.critical_batch else None
    critical = critical or (known[0] if known else None)
    needed = training.passes * projection.samples
    done = effort(needed, batch, critical)
    pass_s = projection.samples / batch * step_s
    full = per_sample / model.units_per_sample
    return TimeToTarget(
        seconds=done.steps * step_s,
        steps=done.steps,
        samples=done.samples,
        days_per_epoch=pass_s / DAY,
        days_per_epoch_full=pass_s * full / DAY if abs(full - 1) > 0.01 else None,
        critical_batch=critical,
        alternatives=tuple((c, effort(needed, batch, c).steps * step_s) for c in known if c is not critical),
    )


def _plain_goal(samples: float, batch: int, step_s: float) -> TimeToTarget:
    steps = samples / batch
    seconds = steps * step_s
    return TimeToTarget(seconds, steps, samples, seconds / DAY, None, None)


def _with_band(goal: TimeToTarget | None, spread: Spread | None) -> TimeToTarget | None:
    """The time to the target with its 5th, 50th and 95th percentile under jitter."""
    if goal is None or spread is None:
        return goal
    low, middle, high = spread.of_steps(goal.steps)
    return replace(goal, p05_s=low, p50_s=middle, p95_s=high)


def _energy(
    scenario: Scenario, model: Model, plan: Plan, step: Step, goal: TimeToTarget | None
) -> tuple[Energy | None, str]:
    if scenario.accelerator.power is None:
        return None, f"the accelerator {scenario.accelerator.name} has no power figures"
    steps = goal.steps if goal else None
    return step_energy(model, plan, scenario.workload.numerics, scenario.accelerator, step.time_s, steps), ""


def _cost(scenario: Scenario, plan: Plan, goal: TimeToTarget | None) -> tuple[Cost | None, str]:
    price = scenario.accelerator.price_usd
    if price is None:
        return None, f"the accelerator {scenario.accelerator.name} has no price"
    hours = goal.seconds / 3600.0 * plan.devices if goal else None
    return Cost(price * plan.devices, hours), ""


# --- what limits it -----------------------------------------------------------------------------------------------


def _bottleneck(scenario: Scenario, model: Model, plan: Plan, step: Step, levers: bool) -> Bottleneck:
    """The largest part of the step, and the changes of hardware or plan that shorten it most."""
    parts = {
        "compute": step.compute_s - step.memory_bound_s - step.overhead_s,
        "memory": step.memory_bound_s,
        "kernel launch": step.overhead_s,
        "communication": step.exposed_communication_s,
        "pipeline bubble": step.bubble_s,
        "input": step.input_stall_s,
    }
    limit = max(parts, key=lambda name: parts[name])
    said = {
        "compute": "arithmetic at the achievable rate of the matrix and vector units",
        "memory": "kernels that wait for device memory",
        "kernel launch": "launching kernels that are too small",
        "communication": "collectives that no computation hides",
        "pipeline bubble": "stages waiting for their neighbours",
        "input": "waiting for training data",
    }
    statement = f"{100 * parts[limit] / step.time_s:.0f} % of the step is {said[limit]}."
    if not levers or (scenario.training.compute_s is not None and limit == "compute"):
        return Bottleneck(limit, statement)
    found = []
    for change, altered, altered_plan in _changes(scenario, plan):
        try:
            faster = run_step(altered, model, altered_plan, engine="recursion").time_s
        except (InputError, InfeasibleError):
            continue
        if faster < 0.995 * step.time_s:
            found.append((faster, Lever(change, f"step {step.time_s / faster:.2f}x faster ({faster:.4g} s)")))
    found.sort(key=lambda item: item[0])
    return Bottleneck(limit, statement, tuple(lever for _, lever in found[:LEVERS_SHOWN]))


def _changes(scenario: Scenario, plan: Plan) -> Iterator[tuple[str, Scenario, Plan]]:
    """Single changes an architect or user could make, each with the scenario and plan it leads to."""
    chip, cluster = scenario.accelerator, scenario.cluster
    faster = {f: replace(c, peak_flops=2 * c.peak_flops) for f, c in chip.compute.items()}
    yield "2x the peak FLOP/s", replace(scenario, accelerator=replace(chip, compute=faster)), plan
    memory = replace(chip.memory, bandwidth=2 * chip.memory.bandwidth)
    yield "2x the memory bandwidth", replace(scenario, accelerator=replace(chip, memory=memory)), plan
    cache = replace(chip.cache, capacity_bytes=4 * chip.cache.capacity_bytes)
    yield "4x the on-chip cache", replace(scenario, accelerator=replace(chip, cache=cache)), plan
    if chip.kernel_overhead_s > 0:
        chip_fast = replace(chip, kernel_overhead_s=chip.kernel_overhead_s / 2)
        yield "half the kernel overhead", replace(scenario, accelerator=chip_fast), plan
    if plan.devices > 1:
        yield "2x the link bandwidth", replace(scenario, cluster=_wider(cluster)), plan
        if not plan.overlap_gradients:
            yield "overlap gradients with backward", scenario, replace(plan, overlap_gradients=True)
    if plan.recompute == "full":
        yield "no recomputation (needs memory)", scenario, replace(plan, recompute="none")


def _wider(cluster: Cluster) -> Cluster:
    """Every link twice as wide."""

    def twice(link: LinkType) -> LinkType:
        return replace(link, bandwidth=2 * link.bandwidth)

    return replace(
        cluster,
        levels=tuple(replace(level, link=twice(level.link)) for level in cluster.levels),
        edges=tuple(replace(edge, bandwidth=2 * edge.bandwidth) for edge in cluster.edges),
    )


# --- what it rests on ---------------------------------------------------------------------------------------------


def _extrapolated(scenario: Scenario, projection: Projection | None) -> tuple[str, ...]:
    notes = []
    if projection is not None and projection.extrapolated and scenario.scaling is not None:
        known = scenario.scaling.fitted_to_units or scenario.scaling.current_units
        notes.append(
            f"the power laws were fitted up to {known:.3g} {scenario.scaling.unit}s; "
            f"the target needs {projection.dataset_units / known:.3g} times that"
        )
    if scenario.accelerator.status != "shipped":
        notes.append(f"the accelerator {scenario.accelerator.name} is {scenario.accelerator.status}")
    return tuple(notes)


def _provenance(scenario: Scenario) -> Provenance:
    try:
        release = version("foretrain")
    except PackageNotFoundError:
        release = "unknown"
    sources = [*scenario.sources, *(s.text for s in scenario.accelerator.sources.values()), scenario.cluster.source]
    if scenario.scaling is not None:
        sources.append(scenario.scaling.source)
    published = scenario.training.compute_s
    inputs = (
        (f"compute time per step {published.value:g} s, not computed here ({published.source})",) if published else ()
    )
    return Provenance(release, tuple(dict.fromkeys(text for text in sources if text)), inputs)
