"""Bytes on every class of devices, by kind.

weights, gradients, optimizer, master: elements on the device × bytes of the format / ranks they are sharded over
(Rajbhandari et al. 2020, §5). activations: what a block keeps (by recompute policy) × micro-batches in flight.
workspace: the fullest transient of a block; with recomputation also what the block being recomputed keeps.
communication: parameters gathered for the running block and the next, buckets on their way, messages between stages.
fragmentation: free blocks an allocator holds between them, and frees when memory is short: a plan fits without.
cached: of a copy made for the update what fits in the place of activations, given up by then: an allocator holds both,
in blocks of other sizes, and gives one back when memory is short (PyTorch's caching allocator): a plan fits without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.ops import BYTES_PER_ELEMENT, Convolution, Gemm
from sim.plan.groups import Groups, groups_of
from sim.plan.layout import Assigned, Part, assign
from sim.plan.pricing import shard_of
from sim.plan.records import DeviceMemory, Offload, PipelineSchedule, Plan, Sharding
from sim.plan.tiers import away_capacity
from sim.workload.records import BY_ROWS, Launch, Layer, Model, Numerics, OptimizerName, Parameter, Policy, Recompute
from sim.workload.update import MOMENTS

ZERO: Final = {sharding: level for level, sharding in enumerate(Sharding)}


def device_memory(model: Model, plan: Plan, numerics: Numerics, accelerator: Accelerator) -> tuple[DeviceMemory, ...]:
    """One entry per pipeline stage."""
    return layer_memory(model.layers(plan.sub_batch, numerics, shard_of(plan)), plan, numerics, accelerator)


def _released(plan: Plan, numerics: Numerics) -> bool:
    """Whether every gradient is applied as soon as it is complete: asked for, or plain SGD on a single pass."""
    return plan.framework.release_gradients or (numerics.optimizer == OptimizerName.SGD and plan.micro_batches <= 1)


def layer_memory(
    layers: tuple[Layer, ...],
    plan: Plan,
    numerics: Numerics,
    accelerator: Accelerator,
    parts: Assigned | None = None,
    stages: Sequence[int] = (),
) -> tuple[DeviceMemory, ...]:
    """As `device_memory`, from the model's blocks; only `stages` where given, `parts` where already assigned."""
    groups = groups_of(plan)
    parts = parts or assign(layers, plan)
    spread = _embedding_shares(parts, plan, numerics, groups)
    result = []
    for stage in stages or range(len(parts)):
        chunks = parts[stage]
        kinds = state(chunks, plan, numerics, groups, spread[stage])
        kinds |= _dynamic(stage, chunks, plan, numerics)
        moving = kinds["activations"] + kinds["workspace"] + kinds["communication"]
        kinds |= overhead(moving, plan, accelerator)
        copied = copied_for_update(chunks, plan, groups, spread[stage])
        if copied > 0.0:
            kinds["cached"] = min(copied, kinds["activations"] + kinds["workspace"])
            kinds["gradients"] += copied - kinds["cached"]
        name = f"stage {stage}" if plan.pipeline > 1 else "all devices"
        devices = plan.devices // plan.pipeline
        away = held_away(stage, chunks, plan, numerics, groups)
        capacity = accelerator.memory.capacity_bytes
        result.append(DeviceMemory(name, devices, kinds, capacity, away, away_capacity(accelerator)))
    return tuple(result)


def overhead(moving: float, plan: Plan, accelerator: Accelerator) -> dict[str, float]:
    """What an allocator holds between blocks of `moving` bytes in all, and what is kept for others."""
    reserved = accelerator.memory.reserve_bytes
    return {
        "fragmentation": plan.framework.fragmentation * moving if reserved > 0.0 else 0.0,
        "reserve": reserved + plan.framework.reserve_bytes,
    }


def _parameters(chunks: Sequence[Sequence[Part]]) -> list[tuple[Parameter, int]]:
    return [(p, part.count) for chunk in chunks for part in chunk for p in part.layer.parameters]


def tied_copy(chunks: Sequence[Sequence[Part]], plan: Plan) -> float:
    """Elements of weights tied to another stage that this stage holds a copy of."""
    if plan.pipeline == 1 or plan.schedule.two_way:  # one device holds both ends
        return 0.0
    return sum(p.copy_elements * part.count for chunk in chunks for part in chunk for p in part.layer.parameters)


def elements_by_axis(chunks: Sequence[Sequence[Part]], copies: float = 0.0) -> dict[str, float]:
    """Parameters on one device: those all data ranks share, and those of experts."""
    held = {"data": copies, "expert": 0.0}
    for chunk in chunks:
        for part in chunk:
            for parameter in part.layer.parameters:
                held[parameter.reduce_axis] += parameter.elements * part.count
    return held


def sharded_elements(chunks: Sequence[Sequence[Part]], plan: Plan, groups: Groups, copies: float) -> float:
    """Parameters one device updates."""
    held = elements_by_axis(chunks, copies)
    if plan.sharding == Sharding.NONE:
        return sum(held.values())
    return held["data"] / groups.shard.size + held["expert"] / groups.expert_data.size


def _embedding_shares(parts: Assigned, plan: Plan, numerics: Numerics, groups: Groups) -> list[float]:
    """Elements of embedding tables each stage gains (+) or gives away (−) when they are cut into shards.

    The shards lie on the stage of the table and those after it, sized so that these devices come out level.
    """
    shares = [0.0] * plan.pipeline
    if plan.embedding_shards <= 1 or plan.pipeline == 1:
        return shares
    weight = BYTES_PER_ELEMENT[numerics.weights]
    for stage, chunks in enumerate(parts):
        table = sum(p.elements * n for p, n in _parameters(chunks) if p.sparse_rows > 0)
        if table == 0.0:
            continue
        holders = range(stage, min(stage + plan.embedding_shards, plan.pipeline))
        loads = []
        for other in holders:
            kinds = state(parts[other], plan, numerics, groups, 0.0) | _dynamic(other, parts[other], plan, numerics)
            loads.append(sum(kinds.values()) / weight - (table if other == stage else 0.0))
        for other, share in zip(holders, level(loads, table), strict=True):
            shares[other] += share - (table if other == stage else 0.0)
    if not any(shares):
        rule = "the model has no embedding table whose gradient is rows: there is nothing to cut into pieces"
        if any(p.sparse_rows > 0 for chunks in parts for p, _ in _parameters(chunks)):
            rule = "the stages after the table's hold more than it does: no piece would leave it"
        raise InputError(Problem(rule, "plan.embedding_shards", str(plan.embedding_shards), hint="embedding_shards: 1"))
    return shares


def level(loads: Sequence[float], amount: float) -> list[float]:
    """What to add to every load, `amount` in all, so that those which gain come out equal (water filling)."""
    order = sorted(range(len(loads)), key=loads.__getitem__)
    added = [0.0] * len(loads)
    for count in range(len(loads), 0, -1):
        lowest = order[:count]
        surface = (sum(loads[i] for i in lowest) + amount) / count
        if surface >= loads[lowest[-1]]:
            for i in lowest:
                added[i] = surface - loads[i]
            return added
    return added


def state(
    chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics, groups: Groups, moved: float
) -> dict[str, float]:
    """Weights, gradients and optimiser state."""
    copies = tied_copy(chunks, plan)
    held = elements_by_axis(chunks, copies)
    held["data"] += moved
    whole = sum(held.values())
    shard = {"data": groups.shard.size, "expert": groups.expert_data.size}
    cut = sum(n / shard[axis] for axis, n in held.items())
    zero = ZERO[plan.sharding]
    state = whole if zero < 1 else cut
    on_host = plan.offload == Offload.OPTIMIZER
    moment = BYTES_PER_ELEMENT[numerics.optimizer_format]
    return {
        "weights": (whole if zero < 3 else cut) * BYTES_PER_ELEMENT[numerics.weights]
        + (packed_bytes(chunks) if numerics.sparse_products else 0.0),
        "gradients": _gradients(chunks, whole if zero < 2 else cut, whole, plan, numerics)
        + _dummies(chunks, plan, numerics),
        "optimizer": 0.0 if on_host else state * MOMENTS[numerics.optimizer] * moment,
        "master": 0.0 if on_host or numerics.master is None else state * BYTES_PER_ELEMENT[numerics.master],
    }


def packed_bytes(chunks: Sequence[Sequence[Part]]) -> float:
    """Copies of sparse weights with their indices, beside the dense ones that are trained: one for each product that
    reads them, as they are forward and transposed backward."""
    return sum(
        part.count * op.count * op.weight_bytes
        for chunk in chunks
        for part in chunk
        for op in (*part.layer.forward, *part.layer.backward)
        if isinstance(op, Gemm | Convolution) and op.sparsity is not None
    )


def copied_for_update(chunks: Sequence[Sequence[Part]], plan: Plan, groups: Groups, moved: float) -> float:
    """The copy of its gradients a device makes for the update (DeepSpeed)."""
    if plan.framework.update_buffer is None:
        return 0.0
    elements = sharded_elements(chunks, plan, groups, tied_copy(chunks, plan) + moved)
    return elements * BYTES_PER_ELEMENT[plan.framework.update_buffer]


def _gradients(
    chunks: Sequence[Sequence[Part]], elements: float, whole: float, plan: Plan, numerics: Numerics
) -> float:
    """All gradients, or only the fullest moment where each is applied as soon as it is complete.

    Then the largest block has its sum alive (the contribution just computed is workspace), with data parallelism also
    the gradient of the block before, still on its way.  Where gradients are sharded a device holds its share of these:
    the whole block on its way is among the buffers.
    """
    size = BYTES_PER_ELEMENT[numerics.gradients]
    if not _released(plan, numerics):
        size += BYTES_PER_ELEMENT[plan.framework.gradient_buffer] if plan.framework.gradient_buffer else 0.0
        alone = plan.sparse_embeddings or (numerics.optimizer in BY_ROWS and plan.micro_batches <= 1)
        counted = _parameters(chunks) if alone else ()
        rows = sum(max(0.0, p.elements - p.sparse_rows * p.row_elements) * n for p, n in counted if p.sparse_rows)
        return (elements - rows) * size
    dense = [sum(p.elements for p in part.layer.parameters if not p.sparse_rows) for chunk in chunks for part in chunk]
    share = elements / max(whole, 1.0)
    return sum(sorted(dense, reverse=True)[: 2 if plan.data > 1 else 1]) * share * size


def _dummies(chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics) -> float:
    """Empty gradients for autograd where products sum them elsewhere: one for every shape, so that equal blocks share
    theirs; experts are alike and share one, too small to count."""
    if not plan.framework.dummy_gradients:
        return 0.0
    blocks = [part.layer for chunk in chunks for part in chunk if part.layer.kind == "block"]
    dense = [sum(p.elements for p in layer.parameters if p.reduce_axis == "data") for layer in blocks]
    return max(dense, default=0.0) * BYTES_PER_ELEMENT[numerics.weights]


def _dynamic(stage: int, chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics) -> dict[str, float]:
    """Activations, workspace and buffers at the fullest moment of backward."""
    kept, workspace = activations(stage, chunks, plan, plan.policy)
    return {"activations": kept, "workspace": workspace, "communication": buffers(chunks, plan, numerics)}


def activations(stage: int, chunks: Sequence[Sequence[Part]], plan: Plan, policy: Policy) -> tuple[float, float]:
    """Kept activations and workspace at the fullest moment of backward, under a policy of recomputation.

    What the parts after the running one had saved is free again: the logits' share never meets a block's workspace.
    """
    flights = in_flight(stage, plan)
    left = plan.recompute_layers if plan.recompute_layers is not None else 10**9
    kept = away = most = 0.0  # activations on the device, on the host, and of one part there
    moments: list[tuple[float, float]] = []  # (saved by later parts of the chunk, transient) while a part runs backward
    for chunk, flying in zip(chunks, flights, strict=True):
        parts: list[tuple[float, float]] = []
        for part in chunk:
            recomputed = min(left, part.count) if part.layer.kind == "block" else part.count
            left -= recomputed if part.layer.kind == "block" else 0
            layer = part.layer
            saved = 0.0
            for count, rule in ((recomputed, policy), (part.count - recomputed, Recompute.NONE)):
                host = on_host(layer, rule, plan) if count else 0.0
                saved += count * (layer.saved(rule) - host)
                away, most = away + flying * count * host, max(most, host)
            kept += flying * saved
            again = layer.saved(Recompute.NONE) - layer.saved(policy) if recomputed else 0.0
            parts.append((saved if flying else 0.0, part.layer.workspace_bytes + again))
        later = 0.0
        for saved, transient in reversed(parts):
            moments.append((later, transient))
            later += saved
    kept, workspace = max(((kept - freed, transient) for freed, transient in moments), key=sum, default=(0.0, 0.0))
    return kept + min(away, 2.0 * most), workspace  # of what goes to the host two blocks are under way


def held_away(stage: int, chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics, groups: Groups) -> float:
    """Bytes a device of a stage has offloaded at the fullest moment."""
    if plan.offload == Offload.NONE:
        return 0.0
    if plan.offload == Offload.OPTIMIZER:
        moments = MOMENTS[numerics.optimizer] * BYTES_PER_ELEMENT[numerics.optimizer_format]
        master = BYTES_PER_ELEMENT[numerics.master] if numerics.master else 0.0
        return sharded_elements(chunks, plan, groups, tied_copy(chunks, plan)) * (moments + master)
    left = plan.recompute_layers if plan.recompute_layers is not None else 10**9
    away = 0.0
    for chunk, flying in zip(chunks, in_flight(stage, plan), strict=True):
        for part in chunk:
            again = min(left, part.count) if part.layer.kind == "block" else part.count
            left -= again if part.layer.kind == "block" else 0
            for count, rule in ((again, plan.policy), (part.count - again, Recompute.NONE)):
                away += flying * count * on_host(part.layer, rule, plan) if count else 0.0
    return away


def on_host(layer: Layer, policy: Policy, plan: Plan) -> float:
    """Bytes of a block's activations that wait for backward in the host's memory; the head's are used at once."""
    if plan.offload == Offload.ACTIVATIONS:
        return layer.saved(policy) if layer.kind == "block" else 0.0
    if plan.offload == Offload.SAVED_OPS and isinstance(policy, tuple):
        return max(0.0, layer.saved(policy) - layer.saved(Recompute.FULL))
    return 0.0


def buffers(chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics) -> float:
    """Working sets of communication: messages between stages, parameters and gradients on their way."""
    output = max((part.layer.output_bytes for c in chunks for part in c), default=0.0)
    between: float = messages(output, plan)
    return between + exchanged(chunks, plan, numerics)


def messages(output: Any, plan: Plan) -> Any:
    """One message in, one out; of `output` bytes, a number or a column of them."""
    return output * (2.0 if plan.pipeline > 1 else 0.0)


def exchanged(chunks: Sequence[Sequence[Part]], plan: Plan, numerics: Numerics) -> float:
    """Two gathered blocks, gradients of one; a compiler gathers single tensors. With a limit to what is whole at once,
    that, and the gradients of the largest part of a block: one on its way beside the one just made."""
    if plan.copies == 1:
        return 0.0
    counted = [(part.layer.parameter_elements, part.count) for c in chunks for part in c]
    wire = BYTES_PER_ELEMENT[plan.framework.communication_format or numerics.gradients]
    if plan.sharding != Sharding.FULL:
        whole = sum(elements * count for elements, count in counted)
        return min(plan.framework.bucket_bytes, whole * wire) if plan.framework.overlap_gradients else 0.0
    blocks = [elements for elements, count in counted for _ in range(count)]
    if numerics.launch == Launch.GRAPH:
        blocks = [p.elements for p, _ in _parameters(chunks)]
    blocks.sort(reverse=True)
    gathered, leaving = sum(blocks[:2] if plan.framework.reshard_after_forward else blocks), sum(blocks[:1])
    if plan.framework.live_parameters is not None:
        leaving = max((p.elements for p, _ in _parameters(chunks)), default=0.0)
        gathered = min(gathered, max(leaving, plan.framework.live_parameters))
    return gathered * BYTES_PER_ELEMENT[numerics.weights] + leaving * wire


def in_flight(stage: int, plan: Plan, passes: int | None = None) -> tuple[int, ...]:
    """Micro-batches whose activations each chunk of a stage holds at the fullest moment.

    1F1B: min(P − p, m) with spare buffers. GPipe: m. Interleaved: the first 2(P−p−1) + (v−1)P + 1 forward passes, in
    schedule order. What waits for its gradients of weights is held: ZB-H1 min(P, m), ZB-V 2P chunks. DualPipe: P + 1,
    of which P − p went in at the nearer end, p stages away.
    """
    stages, chunks = plan.pipeline, plan.chunks
    passes = max(1, plan.micro_batches if passes is None else passes)
    if plan.schedule == PipelineSchedule.GPIPE:
        return (passes,) * chunks
    if plan.schedule == PipelineSchedule.ZB_H1:
        return (min(stages + plan.framework.spare_buffers, passes),)
    if plan.schedule == PipelineSchedule.ZB_V:
        return 2 * stages - stage - 1, stage + 1
    if plan.schedule == PipelineSchedule.DUALPIPE:
        far = min(stage, stages - 1 - stage) + 1
        return (stages + 1 - far, far) if 2 * stage < stages else (far, stages + 1 - far)
    if chunks == 1:
        return (min(stages - stage + (plan.framework.spare_buffers if stages > 1 else 0), passes),)
    total = min((stages - stage - 1) * 2 + (chunks - 1) * stages + 1, passes * chunks)
    rounds, rest = divmod(total, stages * chunks)
    return tuple(rounds * stages + min(stages, max(0, rest - chunk * stages)) for chunk in range(chunks))
