"""Energy of a step: what the ops of all devices spend, and idle power over the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.device.energy import ops_energy
from sim.device.records import Accelerator
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.records import Plan
from sim.workload.records import Model, Numerics, Shard


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
    """Arithmetic and movement of every pass of every device, gradients on the links, idle power over the whole step.

    A device sends 2·(D−1)/D of its gradient bytes per step (ring all-reduce over D data-parallel ranks).
    """
    power = chip.power
    if power is None:
        raise ValueError(f"{chip.name} has no power figures")
    shard = Shard(plan.tensor, plan.sequence_parallel, plan.context, plan.expert)
    layers = model.layers(plan.sub_batch, numerics, shard)
    arithmetic = cache = dram = weights = 0.0
    for layer in layers:
        rerun = layer.recompute.get(plan.recompute, ()) if plan.recompute != "none" else ()
        spent = ops_energy((*layer.forward, *layer.backward, *rerun), chip)
        arithmetic += layer.count * spent.arithmetic_j
        cache += layer.count * spent.cache_j
        dram += layer.count * spent.dram_j
        weights += layer.count * layer.parameter_elements
    copies = plan.devices / plan.pipeline  # devices that each hold a whole (sharded) model
    passes = plan.micro_batches * copies
    sent = 2.0 * (plan.data - 1) / plan.data * weights * BYTES_PER_ELEMENT[numerics.gradients] * copies
    kinds = {
        "arithmetic": arithmetic * passes,
        "cache": cache * passes,
        "memory": dram * passes,
        "link": sent * power.link_byte_j,
        "idle": power.idle_w * step_s * plan.devices,
    }
    total = sum(kinds.values())
    return Energy(total, total * steps if steps is not None else None, total / step_s / plan.devices, kinds)
