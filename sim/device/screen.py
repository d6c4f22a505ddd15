"""Many chips against many models at once: the roofline of every op as arrays.

Screening leaves out tiles, waves and the cache; what it keeps is kernel overhead, the rate of each format and the
bandwidth of streaming and pointwise ops.  On a chip without a matrix unit it equals `time_ops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.device.energy import executed_flops
from sim.device.records import Accelerator
from sim.device.timing import clock, vector_rate
from sim.ops import Attention, Collective, Convolution, Format, Gemm, Lump, Op, Pointwise

Array = NDArray[np.float64]
FORMATS: Final[tuple[Format, ...]] = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4")
VECTOR: Final = len(FORMATS)  # first of the columns for work on the vector unit


@dataclass(frozen=True, slots=True)
class ModelArrays:
    """The ops of several models end to end; `starts` are where each begins."""

    flops: Array
    bytes: Array
    count: Array
    rate_column: NDArray[np.intp]
    bandwidth_column: NDArray[np.intp]
    starts: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ChipArrays:
    """Chips as rows: FLOP/s by format (matrix, then vector), B/s of streaming and pointwise ops, overhead (s)."""

    rate: Array
    bandwidth: Array
    overhead: Array


def model_arrays(models: Sequence[Sequence[Op]]) -> ModelArrays:
    """Ops as arrays; collectives are not the device's business and are left out."""
    rows: list[tuple[float, float, float, int, int]] = []
    starts: list[int] = []
    for ops in models:
        starts.append(len(rows))
        rows.extend(_row(op) for op in ops if not isinstance(op, Collective))
        if len(rows) == starts[-1]:  # reduceat needs one row per model
            rows.append((0.0, 0.0, 0.0, VECTOR, 0))
    table = np.array(rows, dtype=np.float64)
    columns = table[:, 3:].astype(np.intp)
    return ModelArrays(
        table[:, 0], table[:, 1], table[:, 2], columns[:, 0], columns[:, 1], np.array(starts, dtype=np.intp)
    )


def _row(op: Op) -> tuple[float, float, float, int, int]:
    column = FORMATS.index(op.format)
    if not isinstance(op, Gemm | Convolution | Attention | Lump):
        column += VECTOR
    streamed = op.bytes_read + op.bytes_written
    return executed_flops(op), streamed, float(op.count), column, int(isinstance(op, Pointwise))


def chip_arrays(chips: Sequence[Accelerator]) -> ChipArrays:
    """Rates of each chip; a format it lacks has rate 0, so that a model in it takes forever there."""
    rates, bandwidths = [], []
    for chip in chips:
        entries = (chip.compute.get(name) for name in FORMATS)
        kept = chip.sustained * clock(chip) if chip.matrix_unit is not None else 1.0
        matrix = [entry.peak_flops * entry.achievable * kept if entry else 0.0 for entry in entries]
        rates.append(matrix + [vector_rate(chip, name) for name in FORMATS])
        memory = chip.memory
        bandwidths.append((memory.achievable, chip.pointwise or memory.achievable))
    bandwidth = np.array(bandwidths) * np.array([[chip.memory.bandwidth] for chip in chips])
    overhead = np.array([[chip.kernel_overhead_s] for chip in chips])
    return ChipArrays(np.array(rates), bandwidth, overhead)


def times(chips: ChipArrays, models: ModelArrays) -> Array:
    """Seconds of each model (column) on each chip (row): Σ count·(overhead + max(F/rate, B/bandwidth))."""
    with np.errstate(divide="ignore", invalid="ignore"):
        compute = models.flops / chips.rate[:, models.rate_column]
    compute = np.where(models.flops > 0.0, compute, 0.0)
    memory = models.bytes / chips.bandwidth[:, models.bandwidth_column]
    each = models.count * (chips.overhead + np.maximum(compute, memory))
    summed: Array = np.add.reduceat(each, models.starts, axis=1)
    return summed
