"""An accelerator, as data: what a chip's YAML file says, in SI units, with a source on each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sim.ops import Format, Op


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
class TileShape:
    """One output tile a kernel library offers; `efficiency` is relative to the best shape (small tiles reuse less)."""

    m: int
    n: int
    efficiency: float = 1.0


@dataclass(frozen=True, slots=True)
class MatrixUnit:
    """`units` matrix engines (SMs, MXUs …), each working on an output tile m×n and a reduction step k."""

    units: int
    tile_m: int
    tile_n: int
    tile_k: int
    shapes: tuple[TileShape, ...] = ()  # what the library chooses from; empty: tile_m × tile_n only
    max_split_k: int = 1  # a product with few tiles may be cut along k into at most so many parts
    ramp_k: float = 0.0  # prologue and epilogue of one tile, as steps of k
    alignment: tuple[tuple[int, float], ...] = ()  # (row bytes divide by, efficiency), best first; empty: no loss
    multicast: float = 1.0  # neighbouring tiles that share one load from the cache (clusters of Hopper and later)
    convolution: float = 1.0  # what an implicit-GEMM convolution keeps of a plain product's rate


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """Fraction of the format's peak a flash-attention kernel tends to for long sequences and wide heads.

    A head of d elements reaches d/(d + `softmax_dim`) of it: the exponentials cost the same for any d.
    The default of 28 is an assumption; A100, H100 and B200 state their own.
    """

    forward: float = field(metadata={"doc": "forward pass, share of the format's peak", "gt": 0, "le": 1})
    backward: float = field(metadata={"doc": "backward pass, share of the format's peak", "gt": 0, "le": 1})
    softmax_dim: float = field(
        default=28.0, metadata={"doc": "head elements whose products take as long as the softmax", "ge": 0}
    )
    first: float = field(default=0.5, metadata={"doc": "what FlashAttention of 2022 keeps of these", "gt": 0, "le": 1})
    block: int = field(
        default=128, metadata={"doc": "rows of queries per tile; a causal tile on the diagonal runs in full", "gt": 0}
    )


@dataclass(frozen=True, slots=True)
class Memory:
    capacity_bytes: float
    bandwidth: float  # B/s, read+write together
    achievable: float
    reserve_bytes: float = 0.0  # runtime context, framework, collective buffers
    access_bytes: float = 64.0  # granularity of a random access
    random_bytes: float = 64.0  # what starting a random access costs, as bytes streamed in that time


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
    cap_w: float | None = None  # a limit set below peak_w: the clock drops


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
    pointwise: float | None = None  # fraction of peak bandwidth streaming kernels reach; None: memory.achievable
    attention: FusedAttention | None = None  # None: as a plain product on the matrix unit
    host_s: float = 0.0  # what the host and its framework take to issue one op; 0: compiled, or never in the way
    sustained: float = 1.0  # share of the matrix rate kept in long runs, where power limits the clock
    generation: str = ""  # whose constants filled what its file left out
    inherited: tuple[str, ...] = ()  # names of those constants

    def __hash__(self) -> int:
        """Hash of the plain fields (mappings have none); equality stays that of every field."""
        return hash((self.name, self.date, self.memory, self.cache, self.matrix_unit, self.kernel_overhead_s))


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
    cache_bytes: float = 0.0  # through the last-level cache


@dataclass(frozen=True, slots=True)
class OpsTime:
    """Time of a list of ops run one after the other, counts included (s); the three parts add up to `seconds`."""

    seconds: float
    compute_s: float  # of ops limited by arithmetic, and replayed durations
    memory_bound_s: float  # of ops limited by DRAM or the cache
    overhead_s: float  # kernel starts, and waiting for the host to issue them
    dram_bytes: float
    executed_flops: float  # what runs: causal halves, recomputed scores
    flops: float  # what the model counts


@dataclass(frozen=True, slots=True)
class OpEnergy:
    """Energy of one execution (J): arithmetic, data movement by level, and idle power over the time."""

    arithmetic_j: float
    cache_j: float
    dram_j: float
    idle_j: float

    @property
    def movement_j(self) -> float:
        return self.cache_j + self.dram_j

    @property
    def total_j(self) -> float:
        return self.arithmetic_j + self.movement_j + self.idle_j


@dataclass(frozen=True, slots=True)
class Executed:
    """An op of one part of the step ("block.forward"), run `times` times on top of the op's own count."""

    part: str
    op: Op
    times: float = 1.0
