"""Time of an op on an accelerator.

t = overhead + max( FLOPs / (peak · achievable · tile fill · wave fill),
                    DRAM bytes / (bandwidth · achievable),
                    cache bytes / cache bandwidth )

An accelerator without a matrix unit is an ideal roofline: no tiles, every operand moved once, so that with no kernel
overhead t = max(F/(peak·f), B/(bandwidth·f)) exactly (paper, §5 and Table 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from sim.device.records import Accelerator, Compute, MatrixUnit, OpsTime, OpTime, TileShape
from sim.device.tiles import Product, off_matrix_unit, tile_time, tilings
from sim.device.traffic import (
    convolution_bytes,
    convolution_product,
    gather_bytes,
    gemm_bytes,
    near_bytes,
    pointwise_bytes,
)
from sim.errors import InputError, Problem
from sim.ops import (
    ELEMENT_BYTES,
    Attention,
    Collective,
    Convolution,
    Format,
    Gather,
    Gemm,
    Lump,
    Op,
    Pointwise,
    SparsePattern,
    Sparsity,
    executed_flops,
    sparsity_of,
)

#: Tiles of products on vector units (SGEMM); the shapes and relative efficiencies are assumptions.
VECTOR_SHAPES = (TileShape(128, 128), TileShape(128, 64, 0.98), TileShape(64, 64, 0.95), TileShape(32, 32, 0.8))
MOST_KNOWN = 100_000  # answers a timer keeps
Limit = Literal["compute", "memory", "cache", "overhead", "replay", "communication"]


def op_time(op: Op, accelerator: Accelerator) -> OpTime:
    """One execution of `op` (its `count` is left to the caller); a collective takes no time on the device itself."""
    return timer(accelerator).time(op)


def time_ops(ops: Iterable[Op], accelerator: Accelerator) -> OpsTime:
    """All ops one after the other, each `count` times (see `Timer.total`)."""
    return timer(accelerator).total(ops)


def compute_of(accelerator: Accelerator, number_format: Format) -> Compute:
    """The accelerator's entry for a format, or an `InputError` that lists the formats it has."""
    try:
        return accelerator.compute[number_format]
    except KeyError:
        have = ", ".join(accelerator.compute)
        problem = Problem(
            rule=f"{accelerator.name} does not compute in this format",
            path="format",
            value=number_format,
            hint=f"it has {have}",
        )
        raise InputError(problem) from None


def vector_rate(accelerator: Accelerator, number_format: Format) -> float:
    """FLOP/s of elementwise work: the vector unit (fp32 where it is stated), else 1/16 of the matrix unit's rate.

    16 FLOPs per vector FLOP is the A100's ratio of bf16 tensor to fp32 vector peak (312 / 19.5).
    """
    for name in (number_format, "fp32"):
        entry = accelerator.compute.get(name)
        if entry is not None and not entry.matrix:
            return entry.peak_flops * entry.achievable
    best = max(entry.peak_flops * entry.achievable for entry in accelerator.compute.values())
    return best if accelerator.matrix_unit is None else best / 16.0


def sparse_gain(sparsity: Sparsity | None, accelerator: Accelerator, form: Format) -> float:
    """Times the rate of a dense product, zeros counted: what the chip states of 2:4; of zeros anywhere, what skipping
    its share of the multiplications by them leaves.  InputError where it has no such unit, or of 2:4 in a format
    of vector units: the zeros are skipped in front of matrix units (Mishra et al. 2021, arXiv 2104.08378)."""
    if sparsity is None:
        return 1.0
    if sparsity.pattern == SparsePattern.TWO_OF_FOUR:
        matrix = compute_of(accelerator, form).matrix
        gain, what = (accelerator.sparsity if matrix else 1.0), f"structured sparsity{'' if matrix else f' in {form}'}"
    else:
        gain = 1.0 / (1.0 - accelerator.zero_skipping * (1.0 - sparsity.kept))
        what = "unit that skips zeros anywhere"
    if gain <= 1.0:
        raise InputError(Problem(f"{accelerator.name} has no {what}: zeros take as long as other values", "sparsity"))
    return gain


@lru_cache(maxsize=256)
def timer(accelerator: Accelerator) -> Timer:
    """For many ops on one accelerator."""
    return Timer(accelerator)


class Timer:
    """Times ops on one accelerator and remembers each answer."""

    __slots__ = ("_held", "_known", "_shares", "accelerator")

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._known: dict[Op, OpTime] = {}
        self._held: dict[int, tuple[Op, OpTime]] = {}  # by identity: an op is held here, its id taken
        self._shares: dict[int, tuple[float, ...]] = {}  # of ops held

    def time(self, op: Op) -> OpTime:
        """As `op_time`."""
        held = self._held.get(id(op))
        if held is None:
            if len(self._held) >= MOST_KNOWN:
                for known in (self._known, self._held, self._shares):
                    known.clear()
            if op not in self._known:
                self._known[op] = _time(op, self.accelerator)
            held = self._held[id(op)] = op, self._known[op]
        return held[1]

    def share(self, op: Op) -> tuple[float, ...]:
        """What an op adds to a list of them: seconds by arithmetic, by memory and of starts, bytes, FLOPs that run,
        FLOPs, and whether the host issues it."""
        share = self._shares.get(id(op))
        if share is None:
            time, count = self.time(op), op.count
            busy = count * (time.seconds - time.overhead_s)
            bound = time.limit in ("memory", "cache")
            share = self._shares[id(op)] = (
                0.0 if bound else busy, busy if bound else 0.0, count * time.overhead_s, count * time.dram_bytes,
                count * executed_flops(op), count * op.flops, float(time.limit != "replay"),
            )  # fmt: skip
        return share

    def total(self, ops: Iterable[Op]) -> OpsTime:
        """All ops one after the other, each `count` times.

        The host issues them ahead of the device: t = max(Σ device time, ops · host time). An op with a `count` is one
        call (a recurrent kernel over its time steps), so it counts once for the host.
        """
        issued = compute = memory = overhead = dram = executed = flops = 0.0
        for op in ops:
            if not isinstance(op, Collective):
                of = self.share(op)
                compute += of[0]
                memory += of[1]
                overhead += of[2]
                dram += of[3]
                executed += of[4]
                flops += of[5]
                issued += of[6]
        overhead += max(0.0, issued * self.accelerator.host_s - (compute + memory + overhead))
        return OpsTime(compute + memory + overhead, compute, memory, overhead, dram, executed, flops)


def _time(op: Op, accelerator: Accelerator) -> OpTime:
    if isinstance(op, Collective):
        return OpTime(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "communication")
    if isinstance(op, Lump):
        return _lump(op, accelerator)
    if isinstance(op, Pointwise):
        return _pointwise(op, accelerator)
    unit = accelerator.matrix_unit
    if unit is None:
        return _ideal(op, accelerator)
    if isinstance(op, Gemm):
        return _gemm(op, accelerator, unit)
    if isinstance(op, Convolution):
        return _convolution(op, accelerator, unit)
    if isinstance(op, Attention):
        return _attention(op, accelerator, unit)
    return _gather(op, accelerator)


def _ideal(op: Gemm | Convolution | Attention | Gather, accelerator: Accelerator) -> OpTime:
    flops = op.executed_flops if isinstance(op, Attention) else op.flops
    compute = 0.0
    if flops:
        entry = compute_of(accelerator, op.format)
        compute = flops / (entry.peak_flops * entry.achievable * sparse_gain(sparsity_of(op), accelerator, op.format))
    return _result(accelerator, compute, _blocked_bytes(op, accelerator))


def _blocked_bytes(op: Gemm | Convolution | Attention | Gather, accelerator: Accelerator) -> float:
    """DRAM bytes on a chip of which no tiles are known: what the cache decides, as everywhere; the rest moves once."""
    if isinstance(op, Gemm):
        return gemm_bytes(op, accelerator)
    return convolution_bytes(op, accelerator) if isinstance(op, Convolution) else op.bytes_read + op.bytes_written


def _gemm(op: Gemm, accelerator: Accelerator, unit: MatrixUnit) -> OpTime:
    return _tiled(_gemm_units(op, accelerator, unit), gemm_bytes(op, accelerator), accelerator)


def _convolution(op: Convolution, accelerator: Accelerator, unit: MatrixUnit) -> OpTime:
    return _tiled(_convolution_units(op, accelerator, unit), convolution_bytes(op, accelerator), accelerator)


def _tiled(units: tuple[Product, MatrixUnit, float], dram_bytes: float, accelerator: Accelerator) -> OpTime:
    tiled = tile_time(*units, accelerator.cache.bandwidth)
    return _result(accelerator, tiled.compute_s, dram_bytes, tiled.cache_bytes)


def choices(op: Op, accelerator: Accelerator) -> list[OpTime]:
    """The times of every tiling of a product, of which it takes the shortest; of another op its time."""
    unit = accelerator.matrix_unit
    if unit is not None and isinstance(op, Gemm):
        units, dram_bytes = _gemm_units(op, accelerator, unit), gemm_bytes(op, accelerator)
    elif unit is not None and isinstance(op, Convolution):
        units, dram_bytes = _convolution_units(op, accelerator, unit), convolution_bytes(op, accelerator)
    else:
        return [_time(op, accelerator)]
    return [_result(accelerator, tiled.compute_s, dram_bytes, tiled.cache_bytes) for tiled in tilings(*units)]


def _gemm_units(op: Gemm, accelerator: Accelerator, unit: MatrixUnit) -> tuple[Product, MatrixUnit, float]:
    """The product, the units that compute it, and their FLOP/s."""
    rows = (op.m, op.n) if op.transposed else None
    product = Product(op.m, op.n, op.k, op.batch, ELEMENT_BYTES[op.format], rows)
    if off_matrix_unit(product, unit):
        return product, vector_unit(unit), vector_rate(accelerator, op.format) * accelerator.clock
    return _units(product, op.format, accelerator, unit, sparse_gain(op.sparsity, accelerator, op.format))


def _convolution_units(
    op: Convolution, accelerator: Accelerator, unit: MatrixUnit
) -> tuple[Product, MatrixUnit, float]:
    kept = unit.convolution if compute_of(accelerator, op.format).matrix else unit.vector_convolution
    return _units(
        convolution_product(op), op.format, accelerator, unit, kept * sparse_gain(op.sparsity, accelerator, op.format)
    )


def _units(
    product: Product, number_format: Format, accelerator: Accelerator, unit: MatrixUnit, kept: float = 1.0
) -> tuple[Product, MatrixUnit, float]:
    entry = compute_of(accelerator, number_format)
    rate = entry.peak_flops * entry.achievable * accelerator.clock * kept
    return (product, unit, rate * accelerator.sustained) if entry.matrix else (product, vector_unit(unit), rate)


def with_kernels(accelerator: Accelerator, rate: float) -> Accelerator:
    """The chip with kernels that reach `rate` of what its constants say, in arithmetic as in memory traffic."""
    if rate == 1.0:
        return accelerator
    compute = {name: replace(c, achievable=c.achievable * rate) for name, c in accelerator.compute.items()}
    memory = replace(accelerator.memory, achievable=accelerator.memory.achievable * rate)
    pointwise = None if accelerator.pointwise is None else accelerator.pointwise * rate
    attention = accelerator.attention
    if attention is not None:
        attention = replace(attention, forward=attention.forward * rate, backward=attention.backward * rate)
    return replace(accelerator, compute=compute, memory=memory, pointwise=pointwise, attention=attention)


@lru_cache(maxsize=256)
def vector_unit(unit: MatrixUnit) -> MatrixUnit:
    """Tiles of products on the vector units: eight times slower arithmetic hides the loads, so that smaller tiles,
    short k and odd rows cost little; 3×3 convolutions save by Winograd what others lose (Lavin & Gray 2016).
    """
    return replace(unit, tile_k=8, ramp_k=16.0, alignment=(), shapes=VECTOR_SHAPES)


def _attention(op: Attention, accelerator: Accelerator, unit: MatrixUnit) -> OpTime:
    """Executed FLOPs at the kernel's own fraction; query blocks fill the units in waves.

    A causal block on the diagonal is computed in full: half a block of keys more for every query.
    """
    entry = compute_of(accelerator, op.format)
    kernel = accelerator.attention
    fraction = entry.achievable
    flops, block = op.executed_flops, 128
    if kernel is not None:
        block = kernel.block
        width = (op.head_dim + (op.v_head_dim or op.head_dim)) / 2
        fraction = kernel.backward if op.backward else kernel.forward
        fraction *= width / (width + kernel.softmax_dim) * {1: kernel.first, 2: kernel.second}.get(op.generation, 1.0)
    fraction *= accelerator.sustained * accelerator.clock
    if op.causal:
        flops *= min(1.0 / op.unmasked, 1.0 + block / (2.0 * op.unmasked * op.kv_len))
    rows = op.kv_len if op.backward else op.q_len
    tiles = op.batch * op.heads * -(-rows // block)
    fill = tiles / (-(-tiles // unit.units) * unit.units)
    compute = flops / (entry.peak_flops * fraction * fill)
    return _result(accelerator, compute, op.bytes_read + op.bytes_written)


def _gather(op: Gather, accelerator: Accelerator) -> OpTime:
    dram_bytes = gather_bytes(op, accelerator.memory)
    if op.table_bytes <= accelerator.cache.capacity_bytes / 2:
        dram_bytes = op.rows * op.row_bytes  # the table stays in the cache, the dense side streams
    return _result(accelerator, op.flops / vector_rate(accelerator, op.format), dram_bytes)


def _pointwise(op: Pointwise, accelerator: Accelerator) -> OpTime:
    if near := near_bytes(op, accelerator.memory):
        return _near(near, accelerator)
    compute = op.flops / vector_rate(accelerator, op.format)
    streamed = op.reads + op.writes
    dram_bytes = streamed if accelerator.matrix_unit is None else pointwise_bytes(op, accelerator)
    return _result(accelerator, compute, dram_bytes, streamed, accelerator.pointwise)


def _near(streamed: float, accelerator: Accelerator) -> OpTime:
    """What the memory's stacks do among themselves: t = bytes / (near · bandwidth · achievable), nothing on the bus.

    Their arithmetic is taken to keep up with their rows, as that of HBM-PIM does (Kwon et al., ISSCC 2021; recalled).
    """
    memory, start = accelerator.memory, accelerator.kernel_overhead_s
    busy = streamed / (memory.near * memory.bandwidth * (accelerator.pointwise or memory.achievable))
    limit = _limit(0.0, busy, 0.0, start)
    return OpTime(start + busy, 0.0, busy, 0.0, start, 0.0, limit)


def _lump(op: Lump, accelerator: Accelerator) -> OpTime:
    if op.duration_s is not None:
        return OpTime(op.duration_s, op.duration_s, 0.0, 0.0, 0.0, op.bytes_read + op.bytes_written, "replay")
    compute = 0.0
    if op.flops:
        entry = compute_of(accelerator, op.format)
        compute = op.flops / (entry.peak_flops * entry.achievable)
    return _result(accelerator, compute, op.bytes_read + op.bytes_written)


def _result(
    accelerator: Accelerator,
    compute: float,
    dram_bytes: float,
    cache_bytes: float = 0.0,
    bandwidth_fraction: float | None = None,
) -> OpTime:
    memory = accelerator.memory
    dram = dram_bytes / (memory.bandwidth * (bandwidth_fraction or memory.achievable))
    cache_bandwidth = accelerator.cache.bandwidth
    cache = cache_bytes / cache_bandwidth if cache_bandwidth and accelerator.matrix_unit is not None else 0.0
    busy = max(compute, dram, cache)
    overhead = accelerator.kernel_overhead_s
    limit = _limit(compute, dram, cache, overhead)
    return OpTime(overhead + busy, compute, dram, cache, overhead, dram_bytes, limit, cache_bytes or dram_bytes)


def _limit(compute: float, dram: float, cache: float, overhead: float) -> Limit:
    busy = max(compute, dram, cache)
    if overhead > busy:
        return "overhead"
    if busy == compute:
        return "compute"
    return "memory" if busy == dram else "cache"
