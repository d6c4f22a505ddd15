"""What one pass of a block takes: kernels priced by `sim.device`, the collectives inside it by `sim.network`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sim.device import op_time, time_ops
from sim.device.records import Accelerator
from sim.network import Cluster, Communicator, Group
from sim.ops import BYTES_PER_ELEMENT, Collective, Gemm, Op, Pointwise
from sim.plan.costs import Work
from sim.plan.groups import Groups
from sim.plan.issue import issue_s
from sim.plan.overlap import Hiding, exposed
from sim.plan.records import Plan, TensorOverlap
from sim.workload.records import Layer, Model, Numerics, Recompute, Shard


@dataclass(frozen=True, slots=True)
class Contention:
    """What a collective of gradients or parameters takes from the kernels beside it, and the level it crosses."""

    compute_share: float = 0.0
    memory_share: float = 0.0
    level: int = -1

    @property
    def steals(self) -> bool:
        return self.compute_share > 0.0 or self.memory_share > 0.0


def level_of(cluster: Cluster, group: Group) -> int:
    """Outermost level of the cluster a group crosses; −1: none, or a cluster without levels."""
    if (len(group.ranks) or group.size) == 1:
        return -1
    reach = max(group.ranks) - min(group.ranks) + 1 if group.ranks else group.stride * group.size
    inside = 1
    for number, level in enumerate(cluster.levels):
        inside *= level.size
        if reach <= inside and (group.ranks or inside % reach == 0 or reach <= inside // 2):
            return number
    return len(cluster.levels) - 1


def contention_of(cluster: Cluster, group: Group) -> Contention:
    """Shares of the most demanding link type on the way (one kernel per collective runs for the whole of it)."""
    level = level_of(cluster, group)
    links = [entry.link for entry in cluster.levels[: level + 1]]
    if not links:
        return Contention()
    return Contention(max(k.compute_share for k in links), max(k.memory_share for k in links), level)


@dataclass(slots=True)
class Pricer:
    """Prices blocks of one model on one device and cluster, and remembers layers and answers."""

    model: Model
    numerics: Numerics
    accelerator: Accelerator
    communicator: Communicator
    _layers: dict[tuple[int, Shard], tuple[Layer, ...]] = field(default_factory=dict)
    _works: dict[tuple[object, ...], Work] = field(default_factory=dict)
    _host_s: float = 0.0  # of an op where passes are waited for

    def __post_init__(self) -> None:
        if self.numerics.launch != "eager":
            self._host_s = self.accelerator.host_s if self.numerics.launch == "waited" else 0.0
            self.accelerator = replace(self.accelerator, host_s=0.0)

    def layers(self, plan: Plan) -> tuple[Layer, ...]:
        """The model's blocks as one device of the plan's sharded group sees them."""
        key = (plan.sub_batch, shard_of(plan))
        if key not in self._layers:
            self._layers[key] = self.model.layers(plan.sub_batch, self.numerics, key[1])
        return self._layers[key]

    def forward(self, layer: Layer, plan: Plan, groups: Groups, contention: Contention) -> Work:
        return self._work(layer, "forward", layer.forward, len(layer.forward), plan, groups, contention)

    def backward(self, layer: Layer, recompute: Recompute, plan: Plan, groups: Groups, contention: Contention) -> Work:
        """Gradients of data and weights, after what recomputation runs again."""
        again = layer.recompute.get(recompute, ())
        if plan.recompute_stop and recompute == "full":
            again = needed(again)
        ops = (*again, *layer.backward, *self.flattened(layer, plan))
        return self._work(layer, recompute, ops, len(again), plan, groups, contention)

    def flattened(self, layer: Layer, plan: Plan) -> tuple[Op, ...]:
        """Passes over a block's gradients before every reduction of sharded ones.

        PyTorch's FSDP: two, one writes the gradients of the parameters into the flat one, one divides by the ranks.
        """
        elements = layer.parameter_elements
        if plan.gradient_passes == 0 or plan.sharding not in ("gradients", "full") or elements == 0.0:
            return ()
        moved = elements * BYTES_PER_ELEMENT[self.numerics.gradients]
        one = Pointwise("flatten gradients", elements, moved, moved, 1.0, self.numerics.gradients)
        return (one,) * plan.gradient_passes

    def _work(
        self,
        layer: Layer,
        which: str,
        ops: Sequence[Op],
        python: int,
        plan: Plan,
        groups: Groups,
        contention: Contention,
    ) -> Work:
        """`python`: how many of the ops Python issues, the others being issued by the autograd engine."""
        inner = (groups.tensor, groups.context, groups.expert, groups.data)
        rules = (plan.overlap_tensor, plan.overlap_experts, plan.recompute_stop, plan.gradient_passes, plan.sharding)
        key = (layer.name, which, plan.sub_batch, shard_of(plan), inner, contention, rules)
        if key not in self._works:
            issue = issue_s(ops, python, self._host_s)
            self._works[key] = self.price(ops, groups, contention, plan.overlap_tensor, issue, plan.overlap_experts)
        return self._works[key]

    def price(
        self,
        ops: Sequence[Op],
        groups: Groups,
        contention: Contention,
        rule: TensorOverlap = "gradients",
        issue: float = 0.0,
        experts: bool = False,
    ) -> Work:
        """All ops one after the other, `issue` seconds at least; a collective may hide behind a kernel beside it."""
        kernels = time_ops((op for op in ops if not isinstance(op, Collective)), self.accelerator)
        added, axes = self._collectives(ops, groups, rule, experts)
        waiting = max(0.0, issue - kernels.seconds - added)
        seconds = kernels.seconds + added + waiting
        shared = any(level_of(self.communicator.cluster, groups.axis(axis)) == contention.level for axis in axes)
        slowed = (
            kernels.compute_s / (1.0 - contention.compute_share)
            + kernels.memory_bound_s / (1.0 - contention.memory_share)
            + kernels.overhead_s
            + waiting
            + added * (2.0 if shared else 1.0)
        )
        return Work(
            seconds=seconds,
            memory_bound_s=kernels.memory_bound_s,
            overhead_s=kernels.overhead_s + waiting,
            communication_s=added,
            communication=tuple(sorted(axes.items())),
            executed_flops=kernels.executed_flops,
            dram_bytes=kernels.dram_bytes,
            stretch=slowed / seconds if seconds > 0.0 else 1.0,
        )

    def _collectives(
        self, ops: Sequence[Op], groups: Groups, rule: TensorOverlap, experts: bool
    ) -> tuple[float, dict[str, float]]:
        """(seconds the collectives add to the kernels, seconds by axis)."""
        share = contention_of(self.communicator.cluster, groups.tensor).compute_share
        return exposed(
            ops,
            Hiding(rule, groups.tensor.size, share, experts),
            lambda op: self.collective(op, groups),
            lambda op: op_time(op, self.accelerator).seconds * op.count,
            lambda op: self.pieces(op, groups),
        )

    def collective(self, op: Collective, groups: Groups) -> float:
        """Seconds of an op's collective, `count` times."""
        return self.communicator.time(op.kind, op.bytes, groups.axis(op.axis)) * op.count

    def pieces(self, op: Collective, groups: Groups) -> float:
        """Seconds of t−1 copies of 1/t of the buffer between neighbours, with no launch of a collective."""
        group = groups.axis(op.axis)
        launch = self.communicator.case(op.kind, group).base_s
        return (self.communicator.cost(op.kind, group, "ring").seconds(op.bytes) - launch) * op.count


def needed(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """What of a block is run again where recomputation stops early: everything before its last product.

    Backward reads the operands of a product, never its result; what follows the last product is a sum or a mask.
    So do PyTorch's checkpoints without re-entry (early stop, from 2.1) and compilers that drop unused values (XLA).
    """
    last = max((place for place, op in enumerate(ops) if isinstance(op, Gemm)), default=len(ops))
    return ops[:last]


def shard_of(plan: Plan) -> Shard:
    """The degrees that cut inside a layer."""
    return Shard(plan.tensor, plan.sequence_parallel, plan.context, plan.expert)
