"""Every layout a model and a cluster allow, enumerated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import product
from typing import Any, Final, NamedTuple

from sim.plan.check import divisors
from sim.plan.records import AXES, DEGREES, Plan, Sharding
from sim.records import dataclass
from sim.workload.records import Model, Recompute

LEAST_LARGEST: Final = 16  # samples: the largest sub-batch tried of long samples
MOST_SAMPLES: Final = 65536  # and of short ones: DLRM on one V100 or A100 (NVIDIA DeepLearningExamples, PyTorch, DLRM)
LEAST_SEQUENCE: Final = 4096  # positions a context rank keeps: assumed: attention of fewer is shorter than its exchange


@dataclass(frozen=True, slots=True)
class Limits:
    """What the enumeration may use. Empty tuples: everything possible."""

    data: tuple[int, ...] = ()
    tensor: tuple[int, ...] = ()
    pipeline: tuple[int, ...] = ()
    context: tuple[int, ...] = (1,)
    expert: tuple[int, ...] = ()
    sequence_parallel: bool | None = None  # None: with and without, where there is a tensor degree
    sub_batch: tuple[int, ...] = ()  # empty: powers of two up to `largest_pass` units, and the rank's whole share
    largest_pass: int = 65536
    virtual_stages: tuple[int, ...] = (1, 2, 4)
    sharding: tuple[Sharding, ...] = (Sharding.NONE, Sharding.OPTIMIZER, Sharding.FULL)
    recompute: tuple[Recompute, ...] = tuple(Recompute)
    orders: tuple[tuple[str, ...], ...] = ()  # empty: the usual one (others are a matter of the best plans)
    largest_tensor: int = 64
    base: Plan = field(default_factory=lambda: Plan(1, 1))  # everything that is not searched


class Variant(NamedTuple):
    """What plans of one set of degrees differ in."""

    sub_batch: int
    virtual_stages: int
    sharding: Sharding
    recompute: Recompute
    order: tuple[str, ...]

    def of(self, layout: Plan) -> Plan:
        """The plan of these degrees."""
        return replace(layout, **self._asdict())


def limits_of(given: Mapping[str, Any], model: Model) -> Limits:
    """What a search may vary: all that is not `given`. Context degrees only where every rank keeps a long sequence."""
    degrees = (*DEGREES, "sub_batch", "virtual_stages", "sharding", "recompute")
    varied: dict[str, Any] = {"context": _contexts(model)}
    varied |= {name: (given[name],) for name in degrees if name in given}
    varied["orders"] = (given["order"],) if "order" in given else ()
    varied["sequence_parallel"] = given.get("sequence_parallel")
    rest = {name: value for name, value in given.items() if name not in varied or name == "recompute"}
    return Limits(**varied, base=Plan(**{"sub_batch": 1, "global_batch": 1, **rest}))


def _contexts(model: Model) -> tuple[int, ...]:
    """1, 2, 4 … as long as a rank keeps `LEAST_SEQUENCE` positions of the sequence."""
    most = max(1, int(model.units_per_sample) // LEAST_SEQUENCE)
    return tuple(2**k for k in range(most.bit_length()))


def candidates(model: Model, devices: int, global_batch: int, limits: Limits = Limits()) -> Iterator[Plan]:
    """Every consistent plan, duplicates left out."""
    for layout, variants in layouts(model, devices, global_batch, limits):
        for variant in variants:
            yield variant.of(layout)


def layouts(
    model: Model, devices: int, global_batch: int, limits: Limits = Limits()
) -> Iterator[tuple[Plan, list[Variant]]]:
    """Every consistent set of degrees (of a plan whose other fields count for nothing), and the plans that have it."""
    known: dict[tuple[int, int, bool], list[Variant]] = {}  # by what they depend on
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
        split = (False, True) if limits.sequence_parallel is None else (limits.sequence_parallel,)
        for expert, split_activations in product(
            _experts(limits.expert, experts, data * context), split if tensor > 1 else split[:1]
        ):
            base = replace(
                limits.base,
                sub_batch=1,
                global_batch=global_batch,
                data=data,
                tensor=tensor,
                pipeline=pipeline,
                context=context,
                expert=expert,
                sequence_parallel=split_activations,
            )
            key = (data, pipeline, base.copies > 1)
            if key not in known:
                sub_batches = _sub_batches(model, limits, global_batch // data)
                known[key] = list(_variants(base, blocks, limits, sub_batches))
            yield base, known[key]


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


def _variants(base: Plan, blocks: int | None, limits: Limits, sub_batches: Sequence[int]) -> Iterator[Variant]:
    """Sub-batch, interleaving, sharding, recomputation and rank order of one set of degrees."""
    share = base.global_batch // base.data
    for sub_batch, chunks in product(sub_batches, limits.virtual_stages):
        if chunks > 1 and not _interleaves(base, chunks, share // sub_batch, blocks):
            continue
        for sharding, recompute, order in product(limits.sharding, limits.recompute, limits.orders or (AXES,)):
            if _shards(base, sharding, limits):
                yield Variant(sub_batch, chunks, sharding, recompute, order)


def _shards(base: Plan, sharding: Sharding, limits: Limits) -> bool:
    """Sharding over one rank is none; full sharding gathers per micro-batch, so beside a pipeline only if asked for."""
    if sharding == Sharding.NONE or limits.sharding == (sharding,):
        return True
    return base.copies > 1 and (sharding != Sharding.FULL or base.pipeline == 1)


def _interleaves(plan: Plan, chunks: int, micro_batches: int, blocks: int | None) -> bool:
    fits = blocks is None or plan.pipeline * chunks <= blocks
    return plan.pipeline > 1 and micro_batches % plan.pipeline == 0 and fits
