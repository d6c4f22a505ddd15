"""What makes a plan impossible, all of it at once, each with the nearest choices that would do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sim.errors import InputError, Problem
from sim.plan.groups import degree
from sim.plan.records import AXES, CUTS, LayerSchedule, PipelineSchedule, Plan


def check_plan(
    plan: Plan,
    devices: int,
    *,
    blocks: int | None = None,
    heads: int | None = None,
    experts: int | None = None,
    sequence: int | None = None,
) -> None:
    """Raise InputError with everything wrong; `blocks`, `heads`, `experts`, `sequence` of the model where it has them.

    Where the cluster cannot be divided by the other degrees, the batch per data rank is not judged.
    """
    degrees = _degrees(plan, devices)
    whole = devices % (plan.devices // plan.data) == 0
    problems = [
        *degrees,
        *(_batch(plan) if whole else ()),
        *_pipeline(plan, blocks),
        *_divided(plan, {"heads": heads, "sequence": sequence}),
        *(_experts(plan, experts) if whole else ()),
        *(_sharding(plan) if whole else ()),
        *_schedule(plan, heads),
    ]
    if problems:
        raise InputError(*problems)


def check_given(given: Mapping[str, Any], devices: int, **model: int | None) -> None:
    """The same of a plan that is still to be searched: only what is `given` is judged, the rest is filled in to fit."""
    said = {"sub_batch": 1, "global_batch": 1, "data": 1} | dict(given)
    inner = math.prod(said.get(axis, 1) for axis in AXES)
    if inner >= 1 and devices % inner == 0 and not all(axis in given for axis in AXES):
        said["data"] *= devices // inner  # whichever degree takes it: the product is right
    if "data" not in given or "global_batch" not in given or "sub_batch" not in given:
        said["global_batch"] = said["sub_batch"] * said["data"] * said.get("pipeline", 1)
    check_plan(Plan(**said), devices, **model)


def divisors(n: int) -> list[int]:
    """All divisors, ascending."""
    low = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return sorted({*low, *(n // d for d in low)})


def nearest(value: int, choices: Iterable[int], count: int = 2) -> str:
    """The choices closest to a value, in words."""
    best = sorted(sorted(set(choices)), key=lambda c: abs(c - value))[:count]
    return " or ".join(map(str, sorted(best)))


def _degrees(plan: Plan, devices: int) -> list[Problem]:
    if plan.devices == devices:
        return []
    rest, inner = plan.devices // plan.data, "·".join(axis for axis in AXES if axis != "data")
    if devices % rest == 0:
        product = "·".join(str(degree(plan, axis)) for axis in AXES)
        rule = f"{'·'.join(AXES)} must be the {devices} devices of the cluster"
        hint = f"with {inner} = {rest}, data must be {devices // rest}"
        return [Problem(rule, "plan.data", f"{product} = {plan.devices}", hint=hint)]
    axis = _culprit(plan, devices)
    mine = degree(plan, axis)
    others = rest // mine
    choices = divisors(devices // others) if devices % others == 0 else divisors(devices)
    rule = f"{inner} = {rest} must divide the {devices} devices of the cluster"
    return [Problem(rule, f"plan.{axis}", str(mine), hint=f"nearest {nearest(mine, choices)}")]


def _culprit(plan: Plan, devices: int) -> str:
    """The axis to change: one that does not divide the devices by itself, or else the widest."""
    inner = [axis for axis in AXES if axis != "data"]
    return max(inner, key=lambda axis: (devices % degree(plan, axis) != 0, degree(plan, axis)))


def _batch(plan: Plan) -> list[Problem]:
    block = plan.sub_batch * plan.data
    if plan.global_batch % block == 0:
        return []
    below = plan.global_batch // block * block
    choices = [c for c in (below, below + block) if c > 0]
    per_rank = plan.global_batch // plan.data if plan.global_batch % plan.data == 0 else 0
    hint = f"nearest {nearest(plan.global_batch, choices)}"
    if per_rank:
        hint += f"; or sub_batch {nearest(plan.sub_batch, divisors(per_rank))}"
    rule = f"must be a multiple of sub_batch·data = {plan.sub_batch}·{plan.data} = {block}"
    return [Problem(rule, "plan.global_batch", str(plan.global_batch), hint=hint)]


def _pipeline(plan: Plan, blocks: int | None) -> list[Problem]:
    problems = list(_split(plan)) if plan.schedule.splits else []
    places = plan.places
    interleaved = plan.virtual_stages > 1 and plan.schedule == PipelineSchedule.ONE_F_ONE_B
    if plan.virtual_stages > 1 and plan.pipeline == 1:
        rule = "interleaving needs a pipeline of at least 2 stages"
        problems.append(
            Problem(rule, "plan.virtual_stages", str(plan.virtual_stages), hint="virtual_stages: 1, or pipeline: 2")
        )
    elif interleaved and plan.micro_batches % plan.pipeline:
        step = plan.sub_batch * plan.data * plan.pipeline
        below = plan.global_batch // step * step
        hint = f"global_batch nearest {nearest(plan.global_batch, [c for c in (below, below + step) if c])}"
        rule = f"interleaving needs micro-batches in multiples of {plan.pipeline} stages"
        problems.append(Problem(rule, "plan.global_batch", f"{plan.micro_batches} micro-batches", hint=hint))
    if plan.embedding_shards > plan.pipeline:
        rule = f"the pieces lie on the stages from the table's on: at most pipeline = {plan.pipeline}"
        hint = "embedding_shards: 1; the tables of a recommendation model are spread by expert"
        problems.append(Problem(rule, "plan.embedding_shards", str(plan.embedding_shards), hint=hint))
    if blocks is not None and plan.layer_schedule == LayerSchedule.NONE and places > blocks + 2:
        fits = [p for p in range(1, blocks + 1) if p * places // plan.pipeline <= blocks]
        cut = "2" if plan.schedule == PipelineSchedule.ZB_V else "virtual_stages"
        rule = f"more stages than layers: pipeline·{cut} = {places}, the model has {blocks} blocks"
        problems.append(
            Problem(rule, "plan.pipeline", str(plan.pipeline), hint=f"nearest {nearest(plan.pipeline, fits or [1])}")
        )
    return problems


def _split(plan: Plan) -> Iterator[Problem]:
    """What a schedule that computes gradients of weights apart asks of the rest of the plan."""
    schedule, stages, m = plan.schedule, plan.pipeline, plan.micro_batches
    if stages == 1:
        rule = f"{schedule} needs a pipeline of at least 2 stages"
        yield Problem(rule, "plan.schedule", schedule, hint="pipeline: 2, or schedule: 1f1b")
    elif schedule == PipelineSchedule.DUALPIPE and stages % 2:
        rule = "dualpipe pairs every stage with the one as far from the other end: an even number of stages"
        yield Problem(rule, "plan.pipeline", str(stages), hint=f"nearest {stages - 1} or {stages + 1}")
    elif schedule == PipelineSchedule.DUALPIPE and (m % 2 or m < 2 * stages):
        hint = f"global_batch: {plan.sub_batch * plan.data * max(m + m % 2, 2 * stages)}"
        rule = f"dualpipe needs an even number of micro-batches, 2·pipeline = {2 * stages} at least"
        yield Problem(rule, "plan.global_batch", f"{m} micro-batches", hint=hint)
    elif schedule == PipelineSchedule.ZB_V and m < 2 * stages - 1:
        hint = f"global_batch: {plan.sub_batch * plan.data * (2 * stages - 1)}"
        rule = f"zb-v needs 2·pipeline − 1 = {2 * stages - 1} micro-batches at least"
        yield Problem(rule, "plan.global_batch", f"{m} micro-batches", hint=hint)
    for name, plain in (("virtual_stages", 1), ("embedding_shards", 1), ("layer_schedule", LayerSchedule.NONE)):
        if getattr(plan, name) != plain:
            rule = f"{schedule} decides itself what a stage holds and when it runs: {name} must be {plain}"
            yield Problem(rule, f"plan.{name}", str(getattr(plan, name)), hint="schedule: 1f1b")


def _divided(plan: Plan, sizes: Mapping[str, int | None]) -> Iterator[Problem]:
    """Degrees that do not divide what they cut."""
    for axis, (name, words) in CUTS.items():
        size, mine = sizes[name], degree(plan, axis)
        if size and size % mine:
            choices = divisors(size)
            both = [choice for choice in choices if plan.devices % choice == 0]
            hint = f"nearest {nearest(mine, both if len(both) > 1 else choices)}"
            yield Problem(f"must divide the {words.format(size)}", f"plan.{axis}", str(mine), hint=hint)


def _experts(plan: Plan, experts: int | None) -> list[Problem]:
    problems = []
    ranks = plan.copies
    if ranks % plan.expert:
        rule = f"must divide the {ranks} ranks that hold the same weights"
        hint = f"nearest {nearest(plan.expert, divisors(ranks))}"
        problems.append(Problem(rule, "plan.expert", str(plan.expert), hint=hint))
    if experts == 0 and plan.expert > 1:
        rule = "the model has no experts to spread"
        return [Problem(rule, "plan.expert", str(plan.expert), hint="expert: 1")]
    if experts is not None and plan.expert > 1 and (experts < plan.expert or experts % plan.expert):
        rule = f"the model has {experts} experts: the expert degree must divide them"
        fits = divisors(experts) if experts else [1]
        problems.append(Problem(rule, "plan.expert", str(plan.expert), hint=f"nearest {nearest(plan.expert, fits)}"))
    return problems


def _sharding(plan: Plan) -> list[Problem]:
    ranks = plan.copies
    if plan.shard_group and (plan.shard_group > ranks or ranks % plan.shard_group):
        rule = f"must divide the {ranks} data ranks"
        hint = f"nearest {nearest(plan.shard_group, divisors(ranks))}"
        return [Problem(rule, "plan.shard_group", str(plan.shard_group), hint=hint)]
    return []


def _schedule(plan: Plan, heads: int | None) -> list[Problem]:
    """A model with attention heads computes all positions at once: it has no time steps whose layers could overlap."""
    if heads is None or plan.layer_schedule == LayerSchedule.NONE:
        return []
    hint = "layer_schedule: none; pipeline and virtual_stages overlap micro-batches"
    return [Problem("needs a recurrent model", "plan.layer_schedule", plan.layer_schedule, hint=hint)]
