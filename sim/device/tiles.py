"""What tiles, waves and alignment leave of a matrix unit's rate.

A kernel computes the output in tiles, one per unit at a time: the edge tiles are padded (tile quantisation), the
last wave of tiles leaves units idle (wave quantisation), each tile pays a prologue and an epilogue (once a kernel they
are in its overhead), and rows that do not start on a full memory transaction load more slowly.  The library picks the
tile shape, and cuts k in parts when tiles are too few.  Source: NVIDIA, "Matrix Multiplication Background User's Guide"
(DU-09799), tile and wave quantisation, tile sizes and tensor-core alignment; Anthony et al. 2024 (arXiv:2401.14489)
for transformer shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from sim.device.records import MatrixUnit, TileShape
from sim.records import dataclass

PARTIAL_SUM_BYTES = 4.0  # split-k parts are added in fp32


@dataclass(frozen=True, slots=True)
class Product:
    """`batch` products of m×k by k×n, elements of `size` bytes.

    `rows`: lengths of the operands' rows in memory, k and n where empty. Those of a convolution are its channels in
    every direction, since channels lie innermost; those of a weight gradient its features, m and n.
    """

    m: int
    n: int
    k: int
    batch: int
    size: float
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TileTime:
    """The chosen tiling: time in the matrix units (s), bytes through the cache, and the tiling itself."""

    compute_s: float
    cache_bytes: float
    shape: TileShape
    split_k: int
    tiles: int


def tile_time(product: Product, unit: MatrixUnit, rate: float, cache_bandwidth: float | None) -> TileTime:
    """The fastest tiling on offer; `rate` is the whole chip's FLOP/s on a product that fills it."""
    per_byte = 1.0 / cache_bandwidth if cache_bandwidth else 0.0
    options, each = _counts(product, unit), rate * alignment(product, unit) / unit.units
    seconds = [
        max(flops / (each * shape.efficiency), cache_bytes * per_byte) for flops, cache_bytes, shape, _, _ in options
    ]
    flops, cache_bytes, shape, split, tiles = options[seconds.index(min(seconds))]
    return TileTime(flops / (each * shape.efficiency), cache_bytes, shape, split, tiles)


def tilings(product: Product, unit: MatrixUnit, rate: float) -> Iterator[TileTime]:
    """Every tiling on offer."""
    rate *= alignment(product, unit)
    return (
        TileTime(flops / (rate / unit.units * shape.efficiency), cache_bytes, shape, split, tiles)
        for flops, cache_bytes, shape, split, tiles in _counts(product, unit)
    )


@lru_cache(maxsize=4096)
def _counts(product: Product, unit: MatrixUnit) -> tuple[tuple[float, float, TileShape, int, int], ...]:
    """What every tiling runs, whatever the rate."""
    shapes = unit.shapes or (TileShape(unit.tile_m, unit.tile_n),)
    return tuple(option for shape in shapes for option in _tiled(product, unit, shape))


def alignment(product: Product, unit: MatrixUnit) -> float:
    """Efficiency of the worse-aligned of the two row lengths k and n (bytes), 1 where the unit states no loss.

    An output narrower than a transaction (many small products, such as feature interactions) is packed: only k counts.
    """
    if not unit.alignment:
        return 1.0
    k, n = product.rows or (product.k, product.n)
    efficiency = _aligned(k * product.size, unit)
    return efficiency if _packed(n, product, unit) else min(efficiency, _aligned(n * product.size, unit))


def _packed(length: int, product: Product, unit: MatrixUnit) -> bool:
    """Whether a side of an output is shorter than a transaction."""
    return bool(unit.alignment) and length * product.size < unit.alignment[0][0]


def off_matrix_unit(product: Product, unit: MatrixUnit) -> bool:
    """Whether a library falls back to the vector units: batched products of slices that begin off 16 bytes.

    The heads of attention are slices of one buffer, so that a head of 108 or 150 elements of 2 bytes leaves most of
    them off the 16 bytes a tensor-core load needs (cuBLAS: tensor-core usage, alignment of pointers and leading
    dimensions; the odd head sizes of Anthony et al. 2024, arXiv:2401.14489, fall in the same way). One product at a
    time starts at an aligned buffer: there only its rows are off (`alignment`). Slices narrower than a transaction
    (feature interactions) are packed.
    """
    if product.batch == 1 or not unit.alignment or product.size >= 4:
        return False
    rows = [length * product.size for length in product.rows or (product.k, product.n)]
    return any(row % 16 and row >= unit.alignment[0][0] for row in rows)


def _aligned(row_bytes: float, unit: MatrixUnit) -> float:
    for step, efficiency in unit.alignment:
        if row_bytes % step == 0:
            return efficiency
    return unit.alignment[-1][1]


def _tiled(product: Product, unit: MatrixUnit, shape: TileShape) -> list[tuple[float, float, TileShape, int, int]]:
    """(FLOPs of a unit, bytes through the cache, shape, parts of k, tiles) of every split of k; its time is
    t = 2·tile_m·tile_n·(waves · k/split + (waves − 1) · ramp) / (rate per unit · shape efficiency).

    Of small products (not of vectors, a block each) a unit holds many at once: none waits for the ramp of another.
    """
    m, n, k, outputs = product.m, product.n, product.k, product.batch * product.m * product.n
    whole, side = math.ceil(m / shape.m) * math.ceil(n / shape.n) * product.batch, min(m, n)
    ramp_k = 0 if product.batch > 1 and side > 1 and _packed(side, product, unit) else unit.ramp_k
    rows = min(shape.m, m) + min(shape.n, n)
    found = []
    for split in _splits(whole, k, unit):
        tiles = whole * split
        waves = math.ceil(tiles / unit.units)
        k_part = math.ceil(k / split / unit.tile_k) * unit.tile_k
        flops = 2.0 * shape.m * shape.n * (waves * k_part + (waves - 1) * ramp_k)
        loads = tiles * rows * k_part * product.size / unit.multicast
        partial = 2.0 * split * outputs * PARTIAL_SUM_BYTES if split > 1 else 0.0
        found.append((flops, loads + outputs * product.size + partial, shape, split, tiles))
    return found


def _splits(tiles: int, k: int, unit: MatrixUnit) -> list[int]:
    """One part of k, and where tiles leave units idle 2, 4 … parts and the number that just fills them."""
    filling, most = unit.units // tiles, min(unit.max_split_k, k // unit.tile_k, 2 * unit.units // tiles)
    halves = [2**power for power in range(1, max(most, 1).bit_length())]
    return [1, *halves, *([filling] if 2 < filling <= most else [])]
