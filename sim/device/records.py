"""An accelerator, as data: what a chip's YAML file says, in SI units, with a source on each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sim.ops import Format


@dataclass(frozen=True, slots=True)
class Source:
    """Where a group of figures comes from; confidence A (vendor) … D (recalled), as in the reference data."""

    text: str
    confidence: Literal["A", "B", "C", "D"] = "B"


@dataclass(frozen=True, slots=True)
class Compute:
    """One number format: dense peak FLOP/s, and the fraction a large well-shaped product reaches."""

    peak_flops: float
    achievable: float
    matrix: bool = True  # runs on the matrix unit (tile fill applies); False: vector unit


@dataclass(frozen=True, slots=True)
class MatrixUnit:
    """`units` matrix engines (SMs, MXUs …), each working on an output tile m×n and a reduction step k."""

    units: int
    tile_m: int
    tile_n: int
    tile_k: int


@dataclass(frozen=True, slots=True)
class Memory:
    capacity_bytes: float
    bandwidth: float  # B/s, read+write together
    achievable: float
    reserve_bytes: float = 0.0  # runtime context, framework, collective buffers
    access_bytes: float = 64.0  # granularity of a random access


@dataclass(frozen=True, slots=True)
class Cache:
    """Last-level on-chip memory."""

    capacity_bytes: float
    bandwidth: float | None = None  # B/s; None: not a limit


@dataclass(frozen=True, slots=True)
class Power:
    """Board power and the energy of moving and computing (J)."""

    peak_w: float
    idle_w: float
    flop_j: Mapping[Format, float] = field(default_factory=dict)
    dram_byte_j: float = 0.0
    cache_byte_j: float = 0.0
    link_byte_j: float = 0.0
    cap_w: float | None = None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device (what a rank runs on)."""

    name: str
    status: Literal["shipped", "announced", "hypothetical"]
    date: str  # ISO month or day
    compute: Mapping[Format, Compute]
    memory: Memory
    cache: Cache
    matrix_unit: MatrixUnit | None
    kernel_overhead_s: float
    links: tuple[str, ...] = ()  # names of link types it carries (hardware/links.yaml)
    sparsity: float = 1.0  # structured-sparsity speed-up the matrix unit offers; used only when a workload asks
    power: Power | None = None
    price_usd: float | None = None
    mtbf_s: float | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)  # group name → source


@dataclass(frozen=True, slots=True)
class OpTime:
    """Time of one execution of an op (s) and what it is made of; `limit` names the largest term."""

    seconds: float
    compute_s: float
    dram_s: float
    cache_s: float
    overhead_s: float
    dram_bytes: float
    limit: Literal["compute", "memory", "cache", "overhead", "replay", "communication"]
