"""Plans by the thousand: every possible layout enumerated, weighed and priced in closed form.

Step time (s), per candidate, from the passes of one block and the collectives of one device:
T = pipeline (see `_pipeline`) + exposed gradients and parameters + tied embedding + update.
Equal to the engine where nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

from sim.device import time_ops
from sim.device.records import Accelerator
from sim.errors import InputError
from sim.network import Communicator
from sim.plan.check import divisors
from sim.plan.costs import Prepared
from sim.plan.gradients import Exchange, block_messages, gathers
from sim.plan.groups import AXES, groups_of
from sim.plan.layout import Assigned, Part, assign
from sim.plan.memory import elements_by_axis, layer_memory, sharded_elements, tied_copy
from sim.plan.prepare import Preparation
from sim.plan.pricing import Contention, Pricer, shard_of
from sim.plan.records import DeviceMemory, Plan, Sharding
from sim.workload.records import Model, Numerics, Recompute
from sim.workload.update import update_ops

LEAST_LARGEST: Final = 16  # samples: the largest sub-batch tried of long samples
MOST_SAMPLES: Final = 4096  # and of short ones


@dataclass(frozen=True, slots=True)
class Limits:
    """What the enumeration may use. Empty tuples: everything possible."""

    data: tuple[int, ...] = ()
    tensor: tuple[int, ...] = ()
    pipeline: tuple[int, ...] = ()
    context: tuple[int, ...] = (1,)
    expert: tuple[int, ...] = ()
    sequence_parallel: bool | None = None  # None: with every tensor degree above 1
    sub_batch: tuple[int, ...] = ()  # empty: powers of two up to `largest_pass` units, and the rank's whole share
    largest_pass: int = 65536
    virtual_stages: tuple[int, ...] = (1, 2, 4)
    sharding: tuple[Sharding, ...] = ("none", "optimizer", "full")
    recompute: tuple[Recompute, ...] = ("none", "selective", "full")
    orders: tuple[tuple[str, ...], ...] = ()  # empty: the usual one (others are a matter of the best plans)
    largest_tensor: int = 64
    base: Plan = field(default_factory=lambda: Plan(1, 1))  # everything that is not searched


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan with its fullest device and its step time in closed form (None where it does not fit)."""

    plan: Plan
    memory: DeviceMemory
    time_s: float | None


def candidates(model: Model, devices: int, global_batch: int, limits: Limits = Limits()) -> Iterator[Plan]:
    """Every consistent plan, duplicates left out."""
    blocks, heads, experts = (getattr(model, name, None) for name in ("depth", "heads", "experts"))
    sequence = getattr(model, "sequence", None) or 0
    if hasattr(model, "tables"):
        experts = devices  # embedding tables are split by rows: any degree
    for tensor, pipeline, context in product(
        _allowed(limits.tensor, devices), _allowed(limits.pipeline, devices), limits.context
    ):
        inner = tensor * pipeline * context
        if devices % inner or tensor > limits.largest_tensor or sequence % context:
            continue
        if (heads and heads % tensor) or (blocks and pipeline > blocks):
            continue
        data = devices // inner
        if global_batch % data or (limits.data and data not in limits.data):
            continue
        for expert in _experts(limits.expert, experts, data * context):
            base = replace(
                limits.base,
                sub_batch=1,
                global_batch=global_batch,
                data=data,
                tensor=tensor,
                pipeline=pipeline,
                context=context,
                expert=expert,
                sequence_parallel=tensor > 1 if limits.sequence_parallel is None else limits.sequence_parallel,
            )
            yield from _variants(base, blocks, limits, _sub_batches(model, limits, global_batch // data))


def _sub_batches(model: Model, limits: Limits, share: int) -> list[int]:
    """Sub-batches that divide a rank's share of the global batch."""
    if limits.sub_batch:
        return [samples for samples in limits.sub_batch if share % samples == 0]
    most = min(max(LEAST_LARGEST, int(limits.largest_pass / model.units_per_sample)), MOST_SAMPLES)
    powers = {2**k for k in range(most.bit_length()) if 2**k <= most and share % 2**k == 0}
    return sorted(powers | ({share} if share <= most else set()))


def _allowed(given: Sequence[int], devices: int) -> Sequence[int]:
    return given or divisors(devices)


def _experts(given: Sequence[int], experts: int | None, ranks: int) -> list[int]:
    if not experts:
        return [1]
    return [e for e in given or divisors(experts) if experts % e == 0 and ranks % e == 0]


def _variants(base: Plan, blocks: int | None, limits: Limits, sub_batches: Sequence[int]) -> Iterator[Plan]:
    """Sub-batch, interleaving, sharding, recomputation and rank order of one set of degrees."""
    share = base.global_batch // base.data
    for sub_batch, chunks in product(sub_batches, limits.virtual_stages):
        if chunks > 1 and not _interleaves(base, chunks, share // sub_batch, blocks):
            continue
        for sharding, recompute, order in product(limits.sharding, limits.recompute, limits.orders or (AXES,)):
            if not _shards(base, sharding, limits):
                continue
            yield replace(
                base,
                sub_batch=sub_batch,
                virtual_stages=chunks,
                sharding=sharding,
                recompute=recompute,
                order=order,
            )


def _shards(base: Plan, sharding: Sharding, limits: Limits) -> bool:
    """Sharding over one rank is none; full sharding gathers per micro-batch, so beside a pipeline only if asked for."""
    if sharding == "none" or limits.sharding == (sharding,):
        return True
    return base.data * base.context > 1 and (sharding != "full" or base.pipeline == 1)


def _interleaves(plan: Plan, chunks: int, micro_batches: int, blocks: int | None) -> bool:
    fits = blocks is None or plan.pipeline * chunks <= blocks
    return plan.pipeline > 1 and micro_batches % plan.pipeline == 0 and fits


@dataclass(frozen=True, slots=True)
class _Passes:
    """One stage in closed form: seconds of its passes, and of the collectives beside them (whole, and one alone)."""

    forward_s: float
    backward_s: float
    reduce_s: float
    last_reduce_s: float
    gather_s: float
    first_gather_s: float
    regather_s: float
    update_s: float


Signature = tuple[tuple[tuple[str, int], ...], ...]


class Screen:
    """Weighs and prices many plans of one model on one cluster; what they share is computed once."""

    def __init__(self, model: Model, numerics: Numerics, accelerator: Accelerator, communicator: Communicator) -> None:
        self.pricer = Pricer(model, numerics, accelerator, communicator)
        self.numerics = numerics
        self.accelerator = self.pricer.accelerator
        self._parts: dict[tuple[object, ...], dict[Signature, tuple[int, int]]] = {}
        self._assigned: dict[tuple[object, ...], Assigned] = {}
        self._passes: dict[tuple[object, ...], _Passes] = {}
        self.refused: InputError | None = None  # why the last plan that fits was left out

    def memory(self, plan: Plan) -> DeviceMemory:
        """The fullest device of a plan: of equal stages the first holds most micro-batches."""
        parts, kinds = self._stages(plan)
        first = [stage for stage, _ in kinds.values()]
        weighed = layer_memory(self.pricer.layers(plan), plan, self.numerics, self.accelerator, parts, first)
        return max(weighed, key=lambda device: device.total_bytes)

    def prepared(self, plan: Plan) -> Prepared:
        """The plan's prepared step, for the engine."""
        return Preparation(self.pricer, plan).prepared()

    def run(self, plans: Iterable[Plan]) -> Iterator[Candidate]:
        """Memory first: a plan that does not fit is not priced. Plans the model cannot take are left out."""
        for plan in plans:
            try:
                memory = self.memory(plan)
            except InputError:
                continue
            try:
                yield Candidate(plan, memory, self.time(plan) if memory.fits else None)
            except InputError as error:
                self.refused = error

    def time(self, plan: Plan) -> float:
        """Seconds of a step in closed form."""
        parts, kinds = self._stages(plan)
        preparation = Preparation(self.pricer, plan)
        groups = groups_of(plan)
        exchange = Exchange(plan, self.numerics, groups, self.pricer.communicator)
        around = preparation.contention(groups)
        costs = {k: self._cost(plan, exchange, around, k, parts[stage]) for k, (stage, _) in kinds.items()}
        passes = {k: cost.forward_s + cost.backward_s for k, cost in costs.items()}
        deep = plan.pipeline > 1
        whole = sum(passes[k] * count for k, (_, count) in kinds.items())
        send = preparation.send_s(groups, self._sent(parts)) if deep else 0.0
        pipeline = _pipeline(plan, max(passes.values()), whole, send)
        exposed = max(_exposed(cost, plan) for cost in costs.values())
        tied = preparation.tied(self.pricer.layers(plan), exchange) if deep else None
        update = max(cost.update_s for cost in costs.values())
        return pipeline + exposed + (tied.seconds if tied else 0.0) + update

    def _stages(self, plan: Plan) -> tuple[Assigned, dict[Signature, tuple[int, int]]]:
        """What every stage holds, and its kinds of stages: (first of the kind, how many)."""
        key = (plan.sub_batch, shard_of(plan), plan.pipeline, plan.virtual_stages, plan.stage_layers)
        if key not in self._parts:
            assigned = self._assigned[key] = assign(self.pricer.layers(plan), plan)
            kinds: dict[Signature, tuple[int, int]] = {}
            for stage, chunks in enumerate(assigned):
                name = tuple(tuple((part.layer.name, part.count) for part in chunk) for chunk in chunks)
                first, count = kinds.get(name, (stage, 0))
                kinds[name] = (first, count + 1)
            self._parts[key] = kinds
        return self._assigned[key], self._parts[key]

    def _sent(self, parts: Assigned) -> float:
        return max(part.layer.output_bytes for chunks in parts[:1] for chunk in chunks for part in chunk)

    def _cost(
        self, plan: Plan, exchange: Exchange, around: Contention, kind: Signature, chunks: Sequence[Sequence[Part]]
    ) -> _Passes:
        groups = exchange.groups
        inner = (groups.tensor, groups.context, groups.expert, groups.data, groups.shard)
        shape = (plan.pipeline, plan.sub_batch, shard_of(plan), plan.recompute, plan.sharding, plan.bucket_bytes)
        key = (kind, shape, inner, around)
        if key not in self._passes:
            self._passes[key] = self._priced(plan, exchange, around, chunks)
        return self._passes[key]

    def _priced(
        self,
        plan: Plan,
        exchange: Exchange,
        around: Contention,
        chunks: Sequence[Sequence[Part]],
    ) -> _Passes:
        price, groups = self.pricer, exchange.groups
        parts = [part for chunk in chunks for part in chunk]
        forward = sum(price.forward(p.layer, plan, groups, around).seconds * p.count for p in parts)
        backward = sum(price.backward(p.layer, plan.recompute, plan, groups, around).seconds * p.count for p in parts)
        copies = tied_copy(chunks, plan)
        held = elements_by_axis(chunks, copies)
        updated = sharded_elements(chunks, plan, groups, copies)
        update = time_ops(update_ops(updated, self.numerics), self.accelerator).seconds
        if plan.sharding == "full":
            messages = [(block_messages(exchange, p), p) for p in parts]
            reduce = [(r.seconds, p.count) for (_, r), p in messages if r]
            gather = [(g.seconds, p.count, p.layer.kind == "block") for (g, _), p in messages if g]
            return _Passes(
                forward,
                backward,
                sum(s * n for s, n in reduce),
                reduce[0][0] if reduce else 0.0,
                sum(s * n for s, n, _ in gather),
                gather[0][0] if gather else 0.0,
                sum(s * n for s, n, again in gather if again),
                update,
            )
        reduce_s, last = _bucketed(held, exchange.gradient_bytes, plan.bucket_bytes, exchange.reduce_s)
        gather_s, first = 0.0, 0.0
        if plan.sharding != "none":
            gather_s, first = _bucketed(held, exchange.weight_bytes, plan.bucket_bytes, exchange.gather_s)
        if plan.sharding != "none" and plan.gather == "broadcast":
            whole = sum(m.seconds for chunk in chunks for m in gathers(exchange, chunk, copies))
            gather_s = first = whole
        return _Passes(forward, backward, reduce_s, last, gather_s, first, 0.0, update)


def _pipeline(plan: Plan, slowest: float, whole: float, send: float) -> float:
    """Seconds from the first forward to the last backward pass.

    period = max( slowest stage,
                  round trip of a micro-batch through all stages / micro-batches under way,
                  messages of one micro-batch over a link )
    T = (m − 1)·period + the first round trip; interleaved chunks shorten filling to 1/v.
    1F1B has P micro-batches under way, the interleaved schedule (2(P−1) + (v−1)P + 1)/v.
    """
    m, v, stages = plan.micro_batches, plan.virtual_stages, plan.pipeline
    hops = 2.0 * send * (v * stages - 1)
    under_way = stages if v == 1 else (2 * (stages - 1) + (v - 1) * stages + 1) / v
    period = max(slowest, (whole + hops) / under_way if plan.schedule == "1f1b" else 0.0, v * send)
    fill = (whole - slowest) / v + 2.0 * send * (stages - 1)
    return (m - 1) * period + slowest + fill


def _bucketed(
    held: Mapping[str, float], size: float, bucket: float, seconds: Callable[[float, str], float]
) -> tuple[float, float]:
    """(all buckets, one bucket) of the elements on every axis."""
    whole = one = 0.0
    for axis, elements in held.items():
        nbytes = elements * size
        if nbytes > 0.0:
            count = max(1.0, nbytes // bucket)
            each = seconds(nbytes / count, axis)
            whole += count * each
            one = max(one, each)
    return whole, one


def _exposed(cost: _Passes, plan: Plan) -> float:
    """Collectives of gradients and parameters: what exceeds the passes they run beside, at least one bucket."""
    times = plan.micro_batches if plan.sharding in ("gradients", "full") else 1
    gathers = plan.micro_batches if plan.sharding == "full" else 1
    reduce_s = times * cost.reduce_s + gathers * cost.regather_s
    gather_s = gathers * cost.gather_s
    if plan.overlap_gradients and reduce_s > 0.0:
        reduce_s = max(cost.last_reduce_s, reduce_s - times * cost.backward_s)
    if plan.overlap_gathers and gather_s > 0.0:
        gather_s = max(cost.first_gather_s, gather_s - gathers * cost.forward_s)
    return reduce_s + gather_s
