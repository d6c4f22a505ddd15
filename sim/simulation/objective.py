"""The plan chosen for the target: batch, layout and devices that reach it soonest, with least energy or least money.

Candidates are the same whatever the hardware: batches and device counts 2^k and 3·2^k (a cluster's own size too).
A better part may run any plan of the lesser one, so none can make the target later; only memory takes candidates away.
Steps alone are weighed: what a campaign adds to them (failures, pauses) is not.
The paper's rule (PPoPP 2019, section 5.2.1: `objective: rate`) looks at the device's rate alone, where a faster chip
asks for a larger batch, and that for more samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sim.errors import InfeasibleError, InputError, Lever, Problem, UnreachableError
from sim.network.optical import shape_of
from sim.plan import device_memory
from sim.plan.energy import step_energy
from sim.plan.expense import expenses, site_of
from sim.plan.records import Plan
from sim.plan.step_record import StepRecord
from sim.records import dataclass
from sim.result import Bottleneck, TimeToTarget
from sim.scaling import Projection
from sim.scenario import Objective, Scenario
from sim.simulation.goal import critical_batches, time_to_target, units_per_sample
from sim.simulation.planning import choose_plan, search_plan
from sim.simulation.stepping import record_of, run_step
from sim.workload.records import Model

if TYPE_CHECKING:
    from sim.search.plans import Found

WIDEST: Final = 64.0
"""Multiples of the critical batch that are tried: there 65 times the samples save under 2 % of the steps."""
SMALLEST: Final = 1.0 / 256.0
"""The same at the other end: there samples exceed those of the smallest batch by 0.4 %."""
EARLIER: Final = 0.995  # of the time to the target, for a lever to be told
MOST: Final = 2**20  # samples per device and pass, as in the paper's figure 11
STRIDES: Final = (4, 2, 1)  # steps over the grid of device counts and batches, where every point is a whole search
SAME: Final = 1.0 - 1e-12  # values closer than this are equal


@dataclass(frozen=True, slots=True)
class Chosen:
    """The plan that reaches the target best, on which part of the cluster, among how many."""

    scenario: Scenario
    plan: Plan
    value: float  # s, J or USD to the target; of one step where there is none
    considered: int
    found: Found | None = None  # where layouts were searched
    weighed: tuple[tuple[int, int, float], ...] = ()  # devices, global batch, value of every candidate


def choose_for_target(
    scenario: Scenario, model: Model, projection: Projection | None, must_fit: bool = True
) -> Chosen | None:
    """The candidate of least time, energy or money to the target; None where nothing is left open.

    A batch is open where the samples it takes are known (a critical batch), a layout where it is searched, the number
    of devices with `cluster.devices: auto`, their shape with `cluster.shape: auto`.  Of equals the one with fewer
    devices and the smaller batch is kept.
    """
    check_objective(scenario, model, projection)
    widest = _widest(scenario, model, projection)
    if scenario.plan.search:
        return _searched(scenario, model, projection, widest)
    request = scenario.plan
    if scenario.objective == Objective.RATE:
        widest = None
    open_batch = widest is not None and (request.global_batch is None or request.sub_batch is None)
    if not (open_batch or scenario.cluster_choices):
        return None
    best: Chosen | None = None
    failure: InfeasibleError | UnreachableError | None = None
    weighed: list[tuple[int, int, float]] = []
    for case in _clusters(scenario):
        for plan in _plans(case, model, widest, must_fit):
            try:
                value = _value(case, model, projection, plan, must_fit)
            except (InfeasibleError, UnreachableError) as error:
                failure = failure or error
                continue
            if value is None:
                continue
            weighed.append((plan.devices, plan.global_batch, value))
            if best is None or value < best.value * SAME:
                best = Chosen(case, plan, value, 0)
    if best is None:
        if isinstance(failure, UnreachableError):
            raise failure
        return None
    return replace(best, considered=len(weighed), weighed=tuple(weighed))


def check_objective(scenario: Scenario, model: Model, projection: Projection | None) -> None:
    """InputError where the objective has no price to weigh with, or batch or devices have nothing to be chosen for."""
    chip, prices, target = scenario.accelerator, scenario.campaign.prices, scenario.target
    problems = []
    if scenario.objective == Objective.ENERGY and chip.power is None:
        problems.append(Problem(f"needs power figures, the accelerator {chip.name} has none", "objective", "energy"))
    if scenario.objective == Objective.COST and chip.price_usd is None and prices.device_hour is None:
        rule = f"needs a price, the accelerator {chip.name} has none"
        problems.append(Problem(rule, "objective", "cost", hint="campaign.prices.device_hour, or accelerator.price"))
    aimed = scenario.scaling is not None or target.samples or target.units or target.steps
    if scenario.sizes_open and not scenario.plan.search and not aimed:
        problems.append(Problem("needs a target to choose them for", "cluster.devices", "auto"))
    if scenario.sizes_open and scenario.objective == Objective.RATE:
        rule = "cannot be chosen for the device's rate"
        problems.append(Problem(rule, "cluster.devices", "auto", hint="objective: time, energy or cost"))
    if scenario.plan.search and scenario.plan.global_batch is None and _widest(scenario, model, projection) is None:
        rule = "is required when the plan is searched and no critical batch is known"
        problems.append(Problem(rule, "plan.global_batch", hint="samples per step"))
    if problems:
        raise InputError(*problems)


def _widest(scenario: Scenario, model: Model, projection: Projection | None) -> float | None:
    """Largest batch worth trying (samples); None where the batch makes no known difference to the samples."""
    critical = None if projection is None else critical_batches(scenario, projection)[0]
    if critical is None or projection is None:
        return None
    return WIDEST * critical.in_samples(units_per_sample(scenario, model), projection.target_error)


def _clusters(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario on every part of its cluster that `devices: auto` offers, small ones first, in every shape."""
    for cluster in scenario.cluster_choices or (scenario.cluster,):
        yield replace(scenario, cluster=cluster, cluster_choices=())


# -- sub-batches of a given layout -------------------------------------------------------------------------------------


def _plans(scenario: Scenario, model: Model, widest: float | None, must_fit: bool) -> Iterator[Plan]:
    """Plans of every candidate sub-batch, up to `widest` samples a step (one sample a pass in any case).

    Where the batch makes no known difference, the sub-batch is that of the rule.
    """
    request = scenario.plan
    if widest is None:
        with suppress(InputError, InfeasibleError):
            yield choose_plan(scenario, model, must_fit)[0]
        return
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


def _value(scenario: Scenario, model: Model, projection: Projection | None, plan: Plan, must_fit: bool) -> float | None:
    """Time (s), energy (J) or money (USD) to the target of one plan."""
    memory = device_memory(model, plan, scenario.workload.numerics, scenario.accelerator)
    if must_fit and not all(device.fits for device in memory):
        return None
    step = run_step(scenario, model, plan, engine="recursion")
    goal = time_to_target(scenario, model, projection, plan, step.time_s)
    if goal is not None and scenario.objective == Objective.TIME:
        return goal.seconds
    return _worth(scenario, goal.steps if goal else 1.0, record_of(scenario, model, plan), step.time_s)


def _worth(scenario: Scenario, steps: float, record: StepRecord, step_s: float) -> float:
    """What so many steps take of the objective."""
    chip, seconds, devices = scenario.accelerator, steps * step_s, record.plan.devices
    if scenario.objective in (Objective.TIME, Objective.RATE):
        return seconds
    joules = None if chip.power is None else step_energy(record, chip, step_s, steps).target_j
    if scenario.objective == Objective.ENERGY:
        return joules or 0.0
    prices = scenario.campaign.prices
    site = None if chip.power is None or joules is None else site_of(prices, joules, chip.power.idle_w, devices, 0.0)
    return sum(expenses(prices, chip.price_usd, devices, seconds, site.site_j if site else None).values())


# -- layouts searched --------------------------------------------------------------------------------------------------


def _searched(scenario: Scenario, model: Model, projection: Projection | None, widest: float | None) -> Chosen:
    """The best of all layouts; where batch or devices are open too, of a grid of them, walked from coarse to fine."""
    batches = _batches(scenario, widest)
    cases = tuple(_clusters(scenario))
    flops = record_of(cases[0], model, Plan(sub_batch=1, global_batch=1)).executed_flops
    tried: dict[tuple[int, int], Chosen] = {}
    failure: list[InfeasibleError | UnreachableError | InputError] = []

    def value(point: tuple[int, int], best: float) -> float:
        case, batch = cases[point[0]], batches[point[1]]
        try:
            if point not in tried and _floor(case, model, projection, batch, flops) < best:
                tried[point] = _search_once(case, model, projection, batch)
        except (InfeasibleError, UnreachableError, InputError) as error:  # the floor too: too large a batch has none
            failure.append(error)
        return tried[point].value if point in tried else math.inf

    best = _least(value, (len(cases), len(batches)), ordered=scenario.sizes_open and not shape_of(cases[0].cluster))
    if best not in tried:
        raise failure[-1]
    considered = sum(each.considered for each in tried.values())
    weighed = tuple((each.plan.devices, each.plan.global_batch, each.value) for each in tried.values())
    return replace(tried[best], considered=considered if len(tried) > 1 else 0, weighed=weighed)


def _batches(scenario: Scenario, widest: float | None) -> tuple[int, ...]:
    """Global batches to search layouts for: that given, else from 1/256 to 64 times the critical batch."""
    given = scenario.plan.global_batch
    if given is not None or widest is None:
        return (given or 1,)
    return tuple(size for size in _sizes(max(1, int(widest))) if size >= min(widest, widest / WIDEST * SMALLEST))


def _least(
    value: Callable[[tuple[int, int], float], float], shape: tuple[int, int], ordered: bool = True
) -> tuple[int, int]:
    """The point of a grid (device counts, batches) with the least value, among every fourth and the last, then among
    the neighbours of the best, twice. `value` is told the least so far; many devices come first: they are soonest.
    Not `ordered`: the first side has shapes too, and each of them is looked at.
    """
    sides = [sorted({*range(0, count, STRIDES[0]), count - 1}) for count in shape]
    sides[0] = sides[0] if ordered else list(range(shape[0]))
    points = [(i, j) for i in reversed(sides[0]) for j in sides[1]]
    at, least = points[0], math.inf
    for stride in (*STRIDES[1:], 0):
        for point in points:
            found = value(point, least)
            if found < least * SAME or (found <= least and point < at):
                at, least = point, found
        points = [(at[0] + i, at[1] + j) for i in (-stride, 0, stride) for j in (-stride, 0, stride)]
        points = [(i, j) for i, j in points if 0 <= i < shape[0] and 0 <= j < shape[1]]
    return at


def _floor(scenario: Scenario, model: Model, projection: Projection | None, batch: int, flops: float) -> float:
    """What no layout for a batch stays below: `flops` a sample at the peak of every device, idle power, no overhead."""
    chip, devices, prices = scenario.accelerator, scenario.cluster.devices, scenario.campaign.prices
    step_s = flops * batch / chip.compute[scenario.workload.numerics.compute].peak_flops / devices
    seconds = _steps(scenario, model, projection, batch) * step_s
    if scenario.objective == Objective.ENERGY and chip.power is not None:
        return chip.power.idle_w * devices * seconds
    if scenario.objective == Objective.COST:
        return sum(expenses(prices, chip.price_usd, devices, seconds, None).values())
    return seconds


def _steps(scenario: Scenario, model: Model, projection: Projection | None, batch: int) -> float:
    """Steps to the target; 1 where there is none."""
    goal = time_to_target(scenario, model, projection, Plan(sub_batch=1, global_batch=batch), 1.0)
    return goal.steps if goal else 1.0


def _search_once(scenario: Scenario, model: Model, projection: Projection | None, batch: int) -> Chosen:
    """The best layout on one cluster for one global batch."""
    steps = _steps(scenario, model, projection, batch)
    weighed = scenario.objective in (Objective.ENERGY, Objective.COST)
    worth = partial(_worth, scenario, steps)
    found = search_plan(scenario, model, batch, worth if weighed else None)
    value = worth(record_of(scenario, model, found.best), found.ranked[0].step.time_s)
    return Chosen(scenario, found.best, value, found.considered, found)


# -- the rule of the rate ----------------------------------------------------------------------------------------------


def with_earlier_batch(
    bottleneck: Bottleneck,
    scenario: Scenario,
    model: Model,
    projection: Projection | None,
    goal: TimeToTarget | None,
    step_s: float,
) -> Bottleneck:
    """Where the device's rate chose the batch: the batch that is earlier, as the first lever."""
    if goal is None or scenario.objective != Objective.RATE or scenario.plan.search:
        return bottleneck
    other = choose_for_target(replace(scenario, objective=Objective.TIME), model, projection)
    if other is None or other.value > EARLIER * goal.steps * step_s:
        return bottleneck
    plan = other.plan
    change = f"objective: time, sub-batch {plan.sub_batch} ({plan.global_batch:,} a step)"
    note = f"{goal.steps * step_s / other.value:.2f}x earlier"
    return replace(bottleneck, levers=(Lever(change, other.value, "time_to_target_s", note), *bottleneck.levers))
