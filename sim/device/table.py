"""The ops of a step as a table: time, limit, intensity and energy of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from sim.device.energy import op_energy
from sim.device.records import Accelerator, Executed
from sim.device.timing import op_time
from sim.ops import Collective, executed_flops
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class OpRow:
    """One line of the table; every figure is of all executions together (s, FLOPs, bytes, J)."""

    part: str
    name: str
    kind: str
    format: str
    count: float
    seconds: float
    limit: str
    compute_s: float
    dram_s: float
    cache_s: float
    overhead_s: float
    flops: float
    dram_bytes: float
    arithmetic_j: float
    movement_j: float

    @property
    def intensity(self) -> float:
        """FLOPs per DRAM byte; infinite for work that never leaves the cache, 0 for none at all."""
        if self.dram_bytes:
            return self.flops / self.dram_bytes
        return float("inf") if self.flops else 0.0

    @property
    def rate(self) -> float:
        """Executed FLOP/s over the whole time, overhead included."""
        return self.flops / self.seconds if self.seconds else 0.0


def op_table(executed: Iterable[Executed], accelerator: Accelerator) -> tuple[OpRow, ...]:
    """Rows by time, the longest first; ops of one part and name share a row; collectives take no device time."""
    rows: dict[tuple[str, str, str, str], OpRow] = {}
    for item in executed:
        if isinstance(item.op, Collective):
            continue
        row = _row(item, accelerator)
        key = (row.part, row.name, row.kind, row.format)
        known = rows.get(key)
        rows[key] = row if known is None else _joined(known, row)
    return tuple(sorted(rows.values(), key=lambda row: -row.seconds))


def _joined(one: OpRow, other: OpRow) -> OpRow:
    """The two together, with the limit of the longer."""
    longer = one if one.seconds >= other.seconds else other
    summed = {f.name: getattr(one, f.name) + getattr(other, f.name) for f in fields(OpRow) if f.type == "float"}
    return replace(longer, **summed)


def _row(item: Executed, accelerator: Accelerator) -> OpRow:
    op, count = item.op, item.times * item.op.count
    time, energy = op_time(op, accelerator), op_energy(op, accelerator)
    return OpRow(
        part=item.part,
        name=op.name,
        kind=type(op).__name__.lower(),
        format=op.format,
        count=count,
        seconds=count * time.seconds,
        limit=time.limit,
        compute_s=count * time.compute_s,
        dram_s=count * time.dram_s,
        cache_s=count * time.cache_s,
        overhead_s=count * time.overhead_s,
        flops=count * executed_flops(op),
        dram_bytes=count * time.dram_bytes,
        arithmetic_j=count * energy.arithmetic_j,
        movement_j=count * energy.movement_j,
    )


__all__ = ["Executed", "OpRow", "op_table"]
