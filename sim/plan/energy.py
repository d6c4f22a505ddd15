"""Energy of a step: what the ops of all devices spend, and idle power over the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.device.energy import ops_energy
from sim.device.records import Accelerator
from sim.ops import BYTES_PER_ELEMENT, Collective
from sim.plan.records import Plan
from sim.workload.records import Layer, Model, Numerics, Shard


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of all devices (J) per step and to the target, and the mean power of one device (W)."""

    step_j: float
    target_j: float | None
    mean_device_w: float
    by_kind: Mapping[str, float]  # J per step


def step_energy(
    model: Model, plan: Plan, numerics: Numerics, chip: Accelerator, step_s: float, steps: float | None
) -> Energy:
    """Arithmetic and movement of every pass of every device, traffic on the links, idle power over the whole step.

    On the links: 2·(D−1)/D of a device's gradient bytes per step (all-reduce over D data-parallel ranks), the
    collectives inside the layers, and what a stage sends to the next one, forward and back.
    """
    power = chip.power
    if power is None:
        raise ValueError(f"{chip.name} has no power figures")
    shard = Shard(plan.tensor, plan.sequence_parallel, plan.context, plan.expert)
    layers = model.layers(plan.sub_batch, numerics, shard)
    arithmetic = cache = dram = weights = within = 0.0
    for layer in layers:
        rerun = layer.recompute.get(plan.recompute, ()) if plan.recompute != "none" else ()
        spent = ops_energy((*layer.forward, *layer.backward, *rerun), chip)
        arithmetic += layer.count * spent.arithmetic_j
        cache += layer.count * spent.cache_j
        dram += layer.count * spent.dram_j
        weights += layer.count * layer.parameter_elements
        within += layer.count * _sent(layer, plan)
    copies = plan.devices / plan.pipeline  # devices that each hold a whole (sharded) model
    passes = plan.micro_batches * copies
    sent = 2.0 * (plan.data - 1) / plan.data * weights * BYTES_PER_ELEMENT[numerics.gradients] * copies
    kinds = {
        "arithmetic": arithmetic * passes,
        "cache": cache * passes,
        "memory": dram * passes,
        "link": (sent + within * passes + _between_stages(layers, plan)) * power.link_byte_j,
        "idle": power.idle_w * step_s * plan.devices,
    }
    total = sum(kinds.values())
    return Energy(total, total * steps if steps is not None else None, total / step_s / plan.devices, kinds)


def _sent(layer: Layer, plan: Plan) -> float:
    """Bytes a device sends in the collectives of one pass of a block: twice the buffer of an all-reduce, else once."""
    sent = 0.0
    for op in (*layer.forward, *layer.backward, *layer.recompute.get(plan.recompute, ())):
        if isinstance(op, Collective):
            n = {"tensor": plan.tensor, "context": plan.context, "expert": plan.expert}.get(op.axis, plan.data)
            sent += op.count * op.bytes * (2.0 if op.kind == "all_reduce" else 1.0) * (n - 1) / n
    return sent


def _between_stages(layers: Sequence[Layer], plan: Plan) -> float:
    """Bytes all stages send per step: a block's output to the next stage, its gradient back, for every pass."""
    borders = plan.pipeline * plan.virtual_stages - 1
    output = max((layer.output_bytes for layer in layers), default=0.0)
    return 2.0 * borders * output * plan.micro_batches * plan.devices / plan.pipeline
