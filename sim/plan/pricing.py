"""What one pass of a block takes: kernels priced by `sim.device`, the collectives inside it by `sim.network`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Final, TypeAlias

from sim.device import timer, with_kernels
from sim.device.records import Accelerator, OpsTime
from sim.network import Cluster, Communicator, Group, level_of
from sim.ops import BYTES_PER_ELEMENT, Collective, CollectiveKind, Convolution, Gather, Gemm, Op, Pointwise
from sim.plan.framework import TensorOverlap
from sim.plan.groups import Groups
from sim.plan.issue import issue_s
from sim.plan.overlap import OverlapRule, exposed
from sim.plan.records import PipelineSchedule, Plan, Sharding
from sim.plan.step_record import Way, Work
from sim.records import dataclass
from sim.workload.records import Launch, Layer, Model, Numerics, Policy, Recompute, Shard

HALVES: Final[tuple[Way, ...]] = (Way.INPUTS, Way.WEIGHTS)
_CUTS: Final = attrgetter(*(cut.name for cut in fields(Shard)))


@dataclass(frozen=True, slots=True)
class Contention:
    """What a collective of gradients or parameters takes from the kernels beside it, and the level it crosses."""

    compute_share: float = 0.0
    memory_share: float = 0.0
    level: int = -1

    @property
    def steals(self) -> bool:
        return self.compute_share > 0.0 or self.memory_share > 0.0


def contention_of(cluster: Cluster, group: Group) -> Contention:
    """Shares of the most demanding link type on the way (one kernel per collective runs for the whole of it)."""
    level = level_of(cluster, group)
    links = [entry.link for entry in cluster.levels[: level + 1]]
    compute = max((link.compute_share for link in links), default=0.0)
    return Contention(compute, max((link.memory_share for link in links), default=0.0), level)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a layer: its ops, the first `recomputed` of them again, what the kernels take, what the host does to
    issue them where it is waited for, the collectives among the ops and the axes they run along."""

    layer: Layer  # held, so that its identity is its own
    ops: tuple[Op, ...]
    recomputed: int
    kernels: OpsTime
    issue_s: float
    collectives: tuple[Collective, ...]
    axes: tuple[str, ...]


Inside: TypeAlias = tuple[float, tuple[tuple[str, float], ...], float]
"""Of the collectives of a pass: seconds they add to the kernels, seconds by axis, bytes one device sends in them."""


class Pricer:
    """Prices blocks of one model on one device and cluster, and remembers layers and answers."""

    def __init__(self, model: Model, numerics: Numerics, accelerator: Accelerator, communicator: Communicator) -> None:
        self.model = model
        self.numerics = numerics
        waited = numerics.launch in (Launch.WAITED, Launch.BLOCKED)
        self.host_s = accelerator.host_s if waited else 0.0  # of an op where passes are waited for
        chip = accelerator if numerics.launch == Launch.EAGER else replace(accelerator, host_s=0.0)
        self.accelerator = with_kernels(chip, numerics.kernel_rate)
        self.communicator = communicator
        self._timer = timer(self.accelerator)
        self._layers: dict[tuple[int, Shard], tuple[Layer, ...]] = {}
        self._passes: dict[tuple[object, ...], Pass] = {}
        self._added: dict[tuple[object, ...], Inside] = {}
        self._works: dict[tuple[object, ...], Work] = {}
        self._seconds: dict[tuple[CollectiveKind, float, Group], float] = {}
        self._contentions: dict[Group, Contention] = {}

    def layers(self, plan: Plan) -> tuple[Layer, ...]:
        """The model's blocks as one device of the plan's sharded group sees them."""
        return self.layers_of(plan.sub_batch, shard_of(plan))

    def layers_of(self, sub_batch: int, shard: Shard) -> tuple[Layer, ...]:
        """The same for a sub-batch and the degrees that cut inside a layer."""
        key = (sub_batch, shard)
        if key not in self._layers:
            self._layers[key] = self.model.layers(sub_batch, self.numerics, shard)
        return self._layers[key]

    def time(self, kind: CollectiveKind, nbytes: float, group: Group) -> float:
        """Seconds of a collective by the algorithm a library would choose."""
        key = (kind, nbytes, group)
        if key not in self._seconds:
            self._seconds[key] = self.communicator.time(kind, nbytes, group)
        return self._seconds[key]

    def kernels(self, ops: Sequence[Op]) -> OpsTime:
        """What ops take on the device, one after the other."""
        return self._timer.total(ops)

    def kernel(self, op: Op) -> float:
        """Seconds of one op, each time it runs."""
        return self._timer.time(op).seconds * op.count

    # the arithmetic of prices, which `sim.search.hardware` does on columns

    @staticmethod
    def lesser(a: float, b: float) -> float:
        """The smaller price."""
        return b if b < a else a

    @staticmethod
    def stretch(slowed: float, seconds: float) -> float:
        """How much longer a slowed pass is."""
        return slowed / seconds if seconds > 0.0 else 1.0

    @staticmethod
    def lasts(seconds: float) -> bool:
        """Whether it takes any time."""
        return seconds > 0.0

    def contention(self, group: Group) -> Contention:
        """What a collective of the group takes from the kernels beside it."""
        if group not in self._contentions:
            self._contentions[group] = contention_of(self.communicator.cluster, group)
        return self._contentions[group]

    def works(
        self, layer: Layer, policy: Policy, plan: Plan, groups: Groups, contention: Contention
    ) -> tuple[Work, Work]:
        """The forward pass of a layer, and the backward pass with what `policy` runs again."""
        forward = self._work(layer, Way.FORWARD, policy, plan, groups, contention)
        return forward, self._work(layer, Way.BACKWARD, policy, plan, groups, contention)

    def others(
        self, layer: Layer, policy: Policy, plan: Plan, groups: Groups, contention: Contention
    ) -> tuple[tuple[Way, Work], ...]:
        """The other ways in which the plan's schedule runs the same passes."""
        ways = HALVES if plan.schedule.splits else ()
        if plan.schedule == PipelineSchedule.DUALPIPE and plan.framework.overlap_experts:
            ways += (Way.FORWARD_BESIDE, Way.BACKWARD_BESIDE)
        return tuple((way, self._work(layer, way, policy, plan, groups, contention)) for way in ways)

    def kernel_s(self, plan: Plan) -> float:
        """Kernels of one forward and backward pass of the whole model (s), without collectives."""
        return sum(
            layer.count * self.one_pass(layer, way, plan.policy, plan)[1].kernels.seconds
            for layer in self.layers(plan)
            for way in (Way.FORWARD, Way.BACKWARD)
        )

    def one_pass(self, layer: Layer, way: Way, policy: Policy, plan: Plan) -> tuple[tuple[object, ...], Pass]:
        """A layer's pass (backward with what a recomputation policy runs again), and the key it is remembered by."""
        flat = plan.framework.gradient_passes if plan.sharding in (Sharding.GRADIENTS, Sharding.FULL) else 0
        reruns = isinstance(policy, tuple) or bool(layer.again(policy))
        rules = () if way.forward else (reruns and policy, plan.framework.recompute_stop, flat, way in HALVES and way)
        key = (id(layer), rules)
        if key not in self._passes:
            again = () if way.forward or way == Way.WEIGHTS else _again(layer, policy, plan.framework.recompute_stop)
            back = () if way.forward else _half(layer.backward, way)
            back += self._flattened(layer, flat) if way not in (Way.FORWARD, Way.FORWARD_BESIDE, Way.INPUTS) else ()
            ops = layer.forward if way.forward else (*again, *back)
            python = len(ops) if way.forward else len(again)
            collectives = tuple([op for op in ops if isinstance(op, Collective)])
            kernels = self.kernels([op for op in ops if not isinstance(op, Collective)] if collectives else ops)
            issued = issue_s(ops, python, self.host_s, plan.tensor)
            axes = tuple(sorted({op.axis for op in collectives}))
            self._passes[key] = Pass(layer, ops, len(again), kernels, issued, collectives, axes)
        return key, self._passes[key]

    def _flattened(self, layer: Layer, passes: int) -> tuple[Op, ...]:
        """Passes over a block's gradients before every reduction of sharded ones.

        PyTorch's FSDP: two, one writes the gradients of the parameters into the flat one, one divides by the ranks.
        """
        elements = layer.parameter_elements
        if passes == 0 or elements == 0.0:
            return ()
        moved = elements * BYTES_PER_ELEMENT[self.numerics.gradients]
        return (Pointwise("flatten gradients", elements, moved, moved, 1.0, self.numerics.gradients),) * passes

    def seconds(self, layer: Layer, way: Way, policy: Policy, plan: Plan, groups: Groups) -> float:
        """Of a pass, nothing beside it."""
        which, run = self.one_pass(layer, way, policy, plan)
        return self._lasts(run, self._inside(which, run, way, plan, groups)[1][0])[0]

    def _work(self, layer: Layer, way: Way, policy: Policy, plan: Plan, groups: Groups, contention: Contention) -> Work:
        which, run = self.one_pass(layer, way, policy, plan)
        rules, inside = self._inside(which, run, way, plan, groups)
        key = (rules, contention)
        if key not in self._works:
            self._works[key] = self._priced(run, inside, groups, contention)
        return self._works[key]

    def _inside(
        self, which: tuple[object, ...], run: Pass, way: Way, plan: Plan, groups: Groups
    ) -> tuple[tuple[object, ...], Inside]:
        """The collectives of a pass, and the key they are remembered by."""
        inner = tuple(groups.axis(axis) for axis in run.axes)
        alone = plan.schedule == PipelineSchedule.DUALPIPE and way not in (Way.FORWARD_BESIDE, Way.BACKWARD_BESIDE)
        experts = plan.framework.overlap_experts and not alone
        rules = (which, inner, plan.framework.overlap_tensor, experts)
        if rules not in self._added:
            self._added[rules] = self._collectives(run, groups, plan.framework.overlap_tensor, experts)
        return rules, self._added[rules]

    def _lasts(self, run: Pass, added: float) -> tuple[float, float]:
        """Seconds of a pass whose collectives add so many: `issue_s` at least; and those it waits for that.

        Where the host waits for every kernel it issues none beside another: `issue_s` comes on top.
        """
        beside = 0.0 if self.numerics.launch == Launch.BLOCKED else run.kernels.seconds + added
        waiting = max(0.0, run.issue_s - beside) if run.issue_s > 0.0 else 0.0
        return run.kernels.seconds + added + waiting, waiting

    def _priced(self, run: Pass, inside: Inside, groups: Groups, contention: Contention) -> Work:
        """All ops one after the other; a collective may hide behind a kernel beside it."""
        kernels, (added, axes, sent) = run.kernels, inside
        seconds, waiting = self._lasts(run, added)
        shared = any(level_of(self.communicator.cluster, groups.axis(axis)) == contention.level for axis, _ in axes)
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
            communication=axes,
            executed_flops=kernels.executed_flops,
            dram_bytes=kernels.dram_bytes,
            sent_bytes=sent,
            stretch=self.stretch(slowed, seconds),
            ops=run.ops,
            recomputed=run.recomputed,
        )

    def _collectives(self, run: Pass, groups: Groups, overlap: TensorOverlap, experts: bool) -> Inside:
        if not run.collectives:
            return 0.0, (), 0.0
        share = self.contention(groups.tensor).compute_share
        added, axes = exposed(
            run.ops,
            OverlapRule(overlap, groups.tensor.size, share, experts, groups.context.size),
            lambda op: self.time(op.kind, op.bytes, groups.axis(op.axis)) * op.count,
            self.kernel,
            lambda op: self._pieces(op, groups),
            self.lesser,
        )
        sent = sum(op.count * sent_bytes(op.kind, op.bytes, groups.axis(op.axis).size) for op in run.collectives)
        return added, tuple(sorted(axes.items())), sent

    def _pieces(self, op: Collective, groups: Groups) -> float:
        """Seconds of t−1 copies of 1/t of the buffer between neighbours, with no launch of a collective."""
        group = groups.axis(op.axis)
        whole = self.communicator.cost(op.kind, group, "ring").seconds(op.bytes)
        return (whole - self.communicator.launch_s(op.kind, group)) * op.count


def sent_bytes(kind: CollectiveKind, nbytes: float, ranks: int) -> float:
    """What one of so many ranks puts on its links for a buffer of `nbytes` (see `ops.Collective`): an all-reduce twice
    (N−1)/N of it (scatter, then gather), every other collective once (N−1)/N; a message goes whole."""
    if kind == "send":
        return nbytes
    return (2.0 if kind == "all_reduce" else 1.0) * nbytes * (ranks - 1) / ranks


def _again(layer: Layer, policy: Policy, stops: bool) -> tuple[Op, ...]:
    """What backward runs for the second time."""
    again = layer.again(policy)
    return needed(again) if stops and policy == Recompute.FULL else again


def _half(ops: Sequence[Op], way: Way) -> tuple[Op, ...]:
    """Gradients of weights, or all the rest of a backward pass, whose collectives then run beside none of them."""
    if way not in HALVES:
        return tuple(ops)
    if way == Way.WEIGHTS:
        return tuple(op for op in ops if of_weights(op))
    following = (*ops[1:], None)
    left = ((op, after) for op, after in zip(ops, following, strict=True) if not of_weights(op))
    return tuple(
        replace(op, overlap=False) if isinstance(op, Collective) and after is not None and of_weights(after) else op
        for op, after in left
    )


def of_weights(op: Op) -> bool:
    """Whether nothing but the update waits for an op of a backward pass (sums over rows for biases are left out)."""
    if isinstance(op, Convolution):
        return op.direction == "weight"
    return (isinstance(op, Gemm) and op.transposed) or (isinstance(op, Gather) and op.scatter)


def needed(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """What of a block is run again where recomputation stops early: everything before its last product.

    Backward reads the operands of a product, never its result; what follows the last product is a sum or a mask.
    So do PyTorch's checkpoints without re-entry (early stop, from 2.1) and compilers that drop unused values (XLA).
    """
    last = max((place for place, op in enumerate(ops) if isinstance(op, Gemm)), default=len(ops))
    return ops[:last]


def shard_of(plan: Plan) -> Shard:
    """The degrees that cut inside a layer."""
    return Shard(*_CUTS(plan))
