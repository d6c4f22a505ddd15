"""Which ranks form which group: the plan's rank order turned into (size, stride) per axis.

Rank = Σ index(axis)·stride(axis), the innermost axis of `order` having stride 1. Gradients are summed over data and
context ranks together (all of them hold the same weights); experts cut that set once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.errors import InputError, Problem
from sim.network import Group
from sim.plan.records import AXES, Plan
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups a step communicates in. `shard` cuts `data` into sharded copies, `replicas` joins equal shards."""

    tensor: Group
    context: Group
    pipeline: Group
    data: Group  # ranks whose gradients are summed
    shard: Group
    replicas: Group
    expert: Group
    expert_data: Group  # ranks that hold the same experts
    world: Group

    def axis(self, name: str) -> Group:
        """The group of an op's collective axis."""
        group: Group = getattr(self, name)
        return group


def strides(plan: Plan) -> dict[str, int]:
    """Distance in ranks between neighbours of each axis."""
    if sorted(plan.order) != sorted(AXES):
        have = ", ".join(plan.order)
        raise InputError(Problem(f"must name each of {', '.join(AXES)} once", "plan.order", have))
    stride, result = 1, {}
    for axis in plan.order:
        result[axis] = stride
        stride *= degree(plan, axis)
    return result


def degree(plan: Plan, axis: str) -> int:
    """Ranks along one axis."""
    ranks: int = getattr(plan, axis)
    return ranks


def groups_of(plan: Plan) -> Groups:
    """All groups of a plan."""
    stride = strides(plan)
    size, first = _gradient_ranks(plan, stride)
    shard = min(plan.shard_group or size, size)
    return Groups(
        tensor=Group(plan.tensor, stride["tensor"]),
        context=Group(plan.context, stride["context"]),
        pipeline=Group(plan.pipeline, stride["pipeline"]),
        data=Group(size, first),
        shard=Group(shard, first),
        replicas=Group(size // shard, first * shard),
        expert=Group(plan.expert, first),
        expert_data=Group(size // plan.expert, first * plan.expert),
        world=Group(plan.devices, 1),
    )


def _gradient_ranks(plan: Plan, stride: dict[str, int]) -> tuple[int, int]:
    """Data and context ranks as one evenly spaced group (size, stride).

    Where another axis lies between the two, the group keeps its size and the wider of the two spacings that
    still lets it fit: its ranks cross the same level of the cluster.
    """
    size = plan.copies
    if plan.context == 1:
        return size, stride["data"]
    if plan.data == 1:
        return size, stride["context"]
    inner, outer = sorted(("data", "context"), key=lambda axis: stride[axis])
    if stride[inner] * degree(plan, inner) == stride[outer]:
        return size, stride[inner]
    return size, max(1, stride[outer] // degree(plan, inner))


def slow_stages(plan: Plan, devices: Sequence[tuple[int, float]]) -> list[dict[int, float]]:
    """Of (rank, factor) pairs: the factor per stage in every replica that has a slow device, equal ones once.

    The ranks of a stage exchange inside its ops, so that a stage runs as its slowest rank does. `[{}]`: none is slow.
    """
    stride = strides(plan)
    replicas: dict[int, dict[int, float]] = {}
    for number, (rank, factor) in enumerate(devices):
        if not 0 <= rank < plan.devices:
            hint = f"ranks are 0 to {plan.devices - 1}"
            raise InputError(Problem("no such device", f"training.slow_devices.{number}.rank", str(rank), hint=hint))
        stage = rank // stride["pipeline"] % plan.pipeline
        stages = replicas.setdefault(rank // stride["data"] % plan.data, {})
        stages[stage] = max(factor, stages.get(stage, 1.0))
    distinct = {tuple(sorted(stages.items())) for stages in replicas.values()}
    return [dict(stages) for stages in sorted(distinct)] or [{}]
