"""Energy of a step, from its record: what all its ops spend, what its links carry, idle power over the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sim.device.energy import ops_energy
from sim.device.records import Accelerator, Power
from sim.ops import Op
from sim.plan.step_record import Stage, StepRecord
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of all devices (J) per step and to the target, and the mean power of one device (W)."""

    step_j: float
    target_j: float | None
    mean_device_w: float
    by_kind: Mapping[str, float]  # J per step
    clock: float = 1.0  # that the power limit leaves, relative to the full one
    flop_j: float | None = None  # of one FLOP of the products, at that clock
    byte_j: Mapping[str, float] = field(default_factory=dict)  # of one byte moved, by level


def step_energy(
    record: StepRecord, chip: Accelerator, step_s: float, steps: float | None, waiting_s: float = 0.0
) -> Energy:
    """Arithmetic and movement of every op of every device, bytes on the links, idle power over the whole step, busy
    power but for `waiting_s` without a kernel (those of a collective wait busily)."""
    power, devices = _power(chip), record.plan.devices
    kinds = moved_energy(record, chip) | {"idle": power.idle_w * step_s * devices}
    if power.busy_w:
        kinds["busy"] = (power.running_w(chip.clock) - power.idle_w) * (step_s - waiting_s) * devices
    total = sum(kinds.values())
    mean = total / step_s / devices
    moved = {"cache": power.cache_byte_j, "memory": power.dram_byte_j, "link": power.link_byte_j}
    return Energy(total, total * steps if steps is not None else None, mean, kinds, chip.clock, byte_j=moved)


def moved_energy(record: StepRecord, chip: Accelerator) -> dict[str, float]:
    """J of a step that do not depend on how long it takes: arithmetic, cache, memory, links."""
    kinds = {"arithmetic": 0.0, "cache": 0.0, "memory": 0.0}
    known: dict[int, tuple[float, float, float]] = {}

    def spent(ops: tuple[Op, ...]) -> tuple[float, float, float]:
        if id(ops) not in known:  # the record keeps the ops alive
            energy = ops_energy(ops, chip)
            known[id(ops)] = (energy.arithmetic_j, energy.cache_j, energy.dram_j)
        return known[id(ops)]

    for stage in record.stages:
        runs = [(work.ops, record.passes * block.count * work.share) for block, work in stage.passes()]
        for ops, count in (*runs, (stage.update.ops, 1)):
            for kind, joules in zip(kinds, spent(ops), strict=True):
                kinds[kind] += joules * count * stage.devices
    return kinds | {"link": link_bytes(record) * _power(chip).link_byte_j}


def _power(chip: Accelerator) -> Power:
    if chip.power is None:
        raise ValueError(f"{chip.name} has no power figures")
    return chip.power


def link_bytes(record: StepRecord) -> float:
    """Bytes all devices put on their links in a step."""
    sent = sum(stage.devices * _stage_bytes(record, stage) for stage in record.stages)
    plan, replicas = record.plan, record.plan.devices / record.plan.pipeline
    if record.send is not None:  # over every border of (virtual) stages, forward and back
        sent += 2.0 * plan.borders * record.send.sent_bytes * record.micro_batches * replicas
    if record.tied is not None:
        sent += 2.0 * record.tied.sent_bytes * replicas
    return sent + (record.norm.sent_bytes * plan.devices if record.norm else 0.0)


def _stage_bytes(record: StepRecord, stage: Stage) -> float:
    """Bytes one device of a stage sends: inside its passes, and for its gradients and parameters."""
    m = record.passes
    sent = sum(work.sent_bytes * block.count * m for block, work in stage.passes())
    sent += sum(transfer.sent_bytes for transfer in (stage.across, stage.mirror) if transfer)
    for chunk in stage.chunks:
        sent += sum(t.sent_bytes for t in chunk.gathers)
        sent += sum(t.sent_bytes for t in chunk.reductions) * (m if record.reduce_every_pass else 1)
        for block in chunk.blocks:
            gathers = (2 if block.regather else 1) * block.gather.sent_bytes if block.gather else 0.0
            sent += m * block.count * (gathers + (block.reduce.sent_bytes if block.reduce else 0.0))
    return sent
