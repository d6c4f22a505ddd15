"""A plan that does not fit: by how much, on which device, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sim.device.records import Accelerator
from sim.errors import Infeasible, Lever
from sim.plan.memory import device_memory
from sim.plan.records import DeviceMemory, Offload, Plan, Sharding
from sim.workload.records import Model, Numerics, Recompute

GIB = 2.0**30
FITS = "fits"
SEARCHED: Final = Lever("plan: auto", note="searches every layout of these devices for one that fits")


def _gib(nbytes: float) -> str:
    """GiB with one decimal; as a power of ten where that would be a row of digits."""
    return f"{nbytes / GIB:.1f} GiB" if nbytes < 1e7 * GIB else f"{nbytes / GIB:.3g} GiB"


def fullest(memory: tuple[DeviceMemory, ...]) -> DeviceMemory:
    """The class of devices that holds most relative to its capacity."""
    return max(memory, key=lambda device: (not device.fits, device.needed_bytes / device.capacity_bytes))


def infeasible(model: Model, plan: Plan, numerics: Numerics, accelerator: Accelerator) -> Infeasible:
    """Why the plan does not fit, with every lever's computed effect (those that make it fit first)."""
    worst = fullest(device_memory(model, plan, numerics, accelerator))
    kind, most = max(worst.bytes_by_kind.items(), key=lambda item: item[1])
    if worst.needed_bytes <= worst.capacity_bytes:
        need, have = worst.offloaded_bytes, worst.tiers_bytes
        statement = f"{worst.name}: {_gib(need)} to offload, the tiers of memory beside it hold {_gib(have)}"
        wider = Lever(f"memory.tiers of {_gib(need)} for a device", need, "memory_bytes", FITS)
        return Infeasible(statement, worst.name, need, have, (wider, SEARCHED))
    statement = (
        f"{worst.name}: needs {_gib(worst.needed_bytes)}, has {_gib(worst.capacity_bytes)}; "
        f"the largest part is {kind} with {_gib(most)}"
    )
    levers = _levers(model, plan, numerics, accelerator, worst)
    return Infeasible(statement, worst.name, worst.needed_bytes, worst.capacity_bytes, levers)


def _levers(
    model: Model, plan: Plan, numerics: Numerics, accelerator: Accelerator, worst: DeviceMemory
) -> tuple[Lever, ...]:
    tried = []
    for change, other in _changes(plan):
        need = fullest(device_memory(model, other, numerics, accelerator))
        if need.needed_bytes < worst.needed_bytes:
            lever = Lever(change, need.needed_bytes, "memory_bytes", FITS if need.fits else "still too much")
            tried.append((not need.fits, need.needed_bytes, lever))
    tried.sort(key=lambda item: item[:2])
    more = Lever(
        f"devices with at least {_gib(worst.needed_bytes)} of memory",
        worst.needed_bytes,
        "memory_bytes",
        f"{FITS}, as planned",
    )
    return (*(lever for _, _, lever in tried), more, SEARCHED)


def _changes(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Single changes that keep the device count and the global batch."""
    for recompute in (Recompute.SELECTIVE, Recompute.FULL):
        if plan.recompute == Recompute.NONE or (plan.recompute == Recompute.SELECTIVE and recompute == Recompute.FULL):
            yield f"recompute: {recompute}", replace(plan, recompute=recompute, saved_ops=())
    levels = tuple(Sharding)
    if plan.data > 1:
        for sharding in levels[levels.index(plan.sharding) + 1 :]:
            yield f"sharding: {sharding}", replace(plan, sharding=sharding)
    if plan.sub_batch > 1:
        half = plan.sub_batch // 2
        while half > 1 and plan.global_batch % (half * plan.data):
            half //= 2
        yield f"sub_batch: {half}", replace(plan, sub_batch=half)
        if half > 1:
            yield "sub_batch: 1", replace(plan, sub_batch=1)
    if plan.tensor > 1 and not plan.sequence_parallel:
        yield "sequence_parallel: true", replace(plan, sequence_parallel=True)
    if plan.offload == Offload.NONE:
        yield "offload: optimizer", replace(plan, offload=Offload.OPTIMIZER)
