"""The model and the plan a scenario asks for, with what it leaves open filled in or searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any, Final

from sim.device import sparse_gain
from sim.errors import InfeasibleError, InputError, Problem
from sim.network import communicator_of
from sim.ops import Convolution, Gemm, Sparsity
from sim.plan import check_given, check_plan, device_memory, infeasible
from sim.plan.check import divisors
from sim.plan.pricing import Pricer
from sim.plan.records import AXES, Plan
from sim.plan.sub_batch import LARGEST, SubBatch, choose_sub_batch
from sim.scaling import Projection
from sim.scenario import Scenario
from sim.workload.build import build_model
from sim.workload.checkpoints import refuse_unknown_ops
from sim.workload.records import Model, Shard

if TYPE_CHECKING:
    from sim.search.plans import Found
    from sim.search.screen import Worth

MICRO_BATCHES_PER_STAGE: Final = 4  # default accumulation of a pipeline: bubble below a fifth


def model_of(scenario: Scenario, projection: Projection | None) -> Model:
    """The model, of the projected size where its own is left open."""
    workload = scenario.workload
    projected = projection.parameters if projection and not workload.published else None
    return build_model(workload.family, workload.sizes, workload.parameters, projected)


def choose_plan(scenario: Scenario, model: Model, must_fit: bool = True) -> tuple[Plan, SubBatch | None]:
    """The plan the scenario asks for, with what it leaves open filled in, checked against the cluster."""
    request, devices = scenario.plan, scenario.cluster.devices
    shared = given(scenario)
    pipeline = request.pipeline or 1
    inner = prod(getattr(request, axis) or 1 for axis in AXES if axis != "data")
    data = request.data or max(1, devices // inner)
    shared |= {"data": data}
    if has_tables(model):
        shared = {"expert": max(1, data * (request.context or 1))} | shared
    accumulate = MICRO_BATCHES_PER_STAGE * pipeline if pipeline > 1 else 1

    def checked(sub_batch: int) -> Plan:
        plan = Plan(**{"global_batch": sub_batch * data * accumulate, **shared, "sub_batch": sub_batch})
        check_plan(plan, devices, **bounds_of(model))
        return plan

    first = checked(request.sub_batch or 1)  # wrong degrees are told before a sub-batch is weighed with them
    check_ops(scenario, model)
    if request.sub_batch is not None:
        return first, None
    choice = _choose_sub_batch(scenario, model, shared, must_fit)
    return checked(choice.samples), choice


def given(scenario: Scenario) -> dict[str, Any]:
    """What a scenario says of the plan, its framework included."""
    request = scenario.plan
    said = {f.name: getattr(request, f.name) for f in fields(Plan) if hasattr(request, f.name)}
    return {name: value for name, value in said.items() if value is not None} | {"framework": scenario.framework}


def check_search(scenario: Scenario, model: Model) -> None:
    """What the request gives must fit the cluster and the model."""
    check_given(given(scenario), scenario.cluster.devices, **bounds_of(model))
    check_ops(scenario, model)


def search_plan(scenario: Scenario, model: Model, batch: int, worth: Worth | None = None) -> Found:
    """All plans for a global batch, the least `worth` of a step first; what the request gives is kept."""
    check_search(scenario, model)
    from sim.plan.candidates import limits_of  # noqa: PLC0415  (only when asked for)
    from sim.search.plans import search  # noqa: PLC0415  (only when asked for)

    return search(
        model,
        scenario.workload.numerics,
        scenario.accelerator,
        communicator_of(scenario.cluster),
        batch,
        limits_of(given(scenario), model),
        worth=worth,
    )


def check_ops(scenario: Scenario, model: Model) -> None:
    """Ops that recomputation is to keep are ops of the model as tensor ranks cut it (their collectives are ops too); so
    are sparse products, and the chip gains by them."""
    numerics = scenario.workload.numerics
    if not scenario.plan.saved_ops and not numerics.sparse_products:
        return
    layers = model.layers(1, numerics, Shard(scenario.plan.tensor or 1))
    refuse_unknown_ops(scenario.plan.saved_ops, (layer.flow for layer in layers))
    names = {op.name for layer in layers for op in layer.forward if isinstance(op, Gemm | Convolution)}
    for name in numerics.sparse_products:
        if not any(fnmatchcase(each, name) for each in names):
            rule = "no product of the model has this name"
            raise InputError(Problem(rule, "workload.numerics.sparse_products", name, hint="foretrain ops lists them"))
    if numerics.sparse_products:
        try:
            sparsity = Sparsity(numerics.sparse_pattern, numerics.sparse_kept)
            sparse_gain(sparsity, scenario.accelerator, numerics.compute)
        except InputError as error:
            rule, path = error.problems[0].rule, "workload.numerics.sparse_pattern"
            raise InputError(Problem(rule, path, numerics.sparse_pattern, hint="leave sparse_products out")) from None


def has_tables(model: Model) -> bool:
    """Whether the model has embedding tables to cut, which as a rule lie over all ranks (Naumov et al. 2019, section
    4: tables are cut, perceptrons copied)."""
    return hasattr(model, "tables")


def bounds_of(model: Model) -> dict[str, int | None]:
    """What of a model bounds the degrees, where it has it: blocks a pipeline cuts between, heads, experts, sequence."""
    depth = getattr(model, "depth", None)
    blocks = None if depth is None else int(depth) + int(getattr(model, "encoder_blocks", 0))
    return {"blocks": blocks, **{name: getattr(model, name, None) for name in ("heads", "experts", "sequence")}}


def _choose_sub_batch(scenario: Scenario, model: Model, shared: Mapping[str, Any], must_fit: bool) -> SubBatch:
    """The rule of `sim.plan.sub_batch`, with the device model's pass time and the plan's memory."""
    request, numerics, chip = scenario.plan, scenario.workload.numerics, scenario.accelerator
    pricer = Pricer(model, numerics, chip, communicator_of(scenario.cluster))
    times: dict[int, float] = {}

    def pass_time(batch: int) -> float:
        if batch not in times:
            times[batch] = pricer.kernel_s(trial(batch))
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
    if share is None:
        return choice
    fill = ((request.pipeline or 1) - 1) / trial(1).chunks  # passes a pipeline waits while it fills and drains
    possible = [
        b for b in divisors(share) if b <= choice.samples and _runs(scenario, model, {**shared, "sub_batch": b})
    ]
    samples = min(reversed(possible), key=lambda b: pass_time(b) * (share / b + fill)) if fill else possible[-1]
    return replace(choice, samples=samples, time_per_sample_s=pass_time(samples) / samples)


def _runs(scenario: Scenario, model: Model, plan: Mapping[str, Any]) -> bool:
    """Whether the cluster, the model and the schedule can take the plan."""
    try:
        check_plan(Plan(**plan), scenario.cluster.devices, **bounds_of(model))
    except InputError:
        return False
    return True
