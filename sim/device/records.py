"""An accelerator, as data: what a chip's YAML file says, in SI units, with a source on each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final, Literal

from sim.errors import Problem
from sim.fields import DATE, FILLED, Confidence, Record, Status, about, problem
from sim.ops import Format, Op
from sim.records import dataclass

NEAR_ENERGY: Final = 0.46
"""Share of a DRAM byte's energy that is spent inside a stack: activation 1.21 and a quarter of the 2.54 pJ/bit of the
transfer (the way on the die before the stack's own wires: an assumption) of 3.97 (HBM2, O'Connor et al. 2017)."""


@dataclass(frozen=True, slots=True)
class Source(Record):
    """Where a group of figures comes from; confidence A (vendor) … D (recalled), as in the reference data."""

    text: str = field(metadata=about("where the figures come from"))
    confidence: Confidence = field(default=Confidence.B, metadata=about("A vendor or measured … D recalled or assumed"))


@dataclass(frozen=True, slots=True)
class OtherPeak(Record):
    """What another source says of a peak: kept beside the value that counts, and shown with it."""

    peak: float = field(metadata=about("dense peak by that source", dimension="flops", gt=0))
    source: str = field(metadata=about("who says so", pattern=FILLED))


@dataclass(frozen=True, slots=True)
class Compute(Record):
    """One number format: dense peak FLOP/s, and the fraction a large well-shaped product reaches."""

    peak_flops: float = field(metadata=about("dense peak, never the sparse one", dimension="flops", gt=0))
    achievable: float = field(metadata=about("best large product / peak", gt=0, le=1))
    matrix: bool = field(
        default=True, metadata=about("runs on the matrix unit, where tiles count; no: on the vector unit")
    )
    other: OtherPeak | None = field(default=None, metadata=about("another source's peak, shown beside it"))


@dataclass(frozen=True, slots=True)
class TileShape(Record):
    """One output tile a kernel library offers; `efficiency` is relative to the best shape (small tiles reuse less)."""

    m: int = field(metadata=about("rows", gt=0))
    n: int = field(metadata=about("columns", gt=0))
    efficiency: float = field(default=1.0, metadata=about("rate, relative to the best shape", gt=0, le=1))


@dataclass(frozen=True, slots=True)
class MatrixUnit(Record):
    """`units` matrix engines (SMs, MXUs …), each working on an output tile m×n and a reduction step k."""

    units: int = field(metadata=about("matrix engines (SMs, MXUs …)", gt=0))
    tile_m: int = field(metadata=about("rows of an output tile", gt=0))
    tile_n: int = field(metadata=about("columns of an output tile", gt=0))
    tile_k: int = field(metadata=about("reduction step", gt=0))
    shapes: tuple[TileShape, ...] = field(
        default=(), metadata=about("what the library chooses from; empty: tile_m × tile_n only")
    )
    max_split_k: int = field(default=1, metadata=about("parts a product with few tiles is cut into along k", ge=1))
    ramp_k: float = field(default=0.0, metadata=about("prologue and epilogue of one tile, as steps of k", ge=0))
    alignment: tuple[tuple[int, float], ...] = field(
        default=(), metadata=about("(row bytes divide by, efficiency), best first; empty: no loss", gt=0)
    )
    multicast: float = field(
        default=1.0, metadata=about("neighbouring tiles that share one load (clusters of Hopper and later)", ge=1)
    )
    convolution: float = field(
        default=1.0, metadata=about("what an implicit-GEMM convolution keeps of a plain product's rate", gt=0, le=1)
    )
    vector_convolution: float = field(
        default=1.0, metadata=about("the same of a convolution in a format of the vector units", gt=0, le=1)
    )


@dataclass(frozen=True, slots=True)
class FusedAttention(Record):
    """Fraction of the format's peak a flash-attention kernel tends to for long sequences and wide heads.

    A head of d elements reaches d/(d + `softmax_dim`) of it: the exponentials cost the same for any d.
    The default of 28 is an assumption; A100, H100 and B200 state their own.
    """

    forward: float = field(metadata=about("forward pass, share of the format's peak", gt=0, le=1))
    backward: float = field(metadata=about("backward pass, share of the format's peak", gt=0, le=1))
    softmax_dim: float = field(
        default=28.0, metadata=about("head elements whose products take as long as the softmax", ge=0)
    )
    first: float = field(default=0.5, metadata=about("what FlashAttention of 2022 keeps of these", gt=0, le=1))
    second: float = field(default=1.0, metadata=about("what FlashAttention-2 of 2023 keeps of these", gt=0, le=1))
    block: int = field(
        default=128, metadata=about("rows of queries per tile; a causal tile on the diagonal runs in full", gt=0)
    )


@dataclass(frozen=True, slots=True)
class MemoryTier(Record):
    """Memory beside the device's own that it can offload to: the host's, or memory behind a switch."""

    name: str = field(metadata=about("host, cxl …", pattern=FILLED))
    bandwidth: float = field(metadata=about("to and from one device, all devices busy", dimension="bandwidth", gt=0))
    capacity_bytes: float | None = field(
        default=None, metadata=about("for one device; empty: as much as is asked for", dimension="bytes", gt=0)
    )


@dataclass(frozen=True, slots=True)
class Memory(Record):
    """Off-chip memory."""

    capacity_bytes: float = field(metadata=about("bytes; HBM is sold in GB and built in GiB", dimension="bytes", gt=0))
    bandwidth: float = field(metadata=about("reads and writes together", dimension="bandwidth", gt=0))
    achievable: float = field(metadata=about("triad bandwidth / data sheet", gt=0, le=1))
    reserve_bytes: float = field(
        default=0.0, metadata=about("runtime context, framework, collective buffers", dimension="bytes", ge=0)
    )
    access_bytes: float = field(default=64.0, metadata=about("granularity of a random access", dimension="bytes", gt=0))
    random_bytes: float = field(
        default=64.0,
        metadata=about("cost of starting a random access, as bytes streamed in that time", dimension="bytes", ge=0),
    )
    tiers: tuple[MemoryTier, ...] = field(
        default=(), metadata=about("where plan.offload puts things, nearest first; empty: a host at 25 GB/s")
    )
    near: float = field(
        default=1.0,
        metadata=about(
            "times the bandwidth at which its stacks update weights and sum gradients; 1: they do not", ge=1
        ),
    )
    near_energy: float | None = field(
        default=None,
        metadata=about(f"share of a byte's energy while it stays in its stack; empty: {NEAR_ENERGY:g}", gt=0, le=1),
    )

    def contradictions(self) -> Iterator[Problem]:
        if self.near == 1.0 and self.near_energy is not None:
            yield problem("near_energy", "needs stacks that compute: `near` above 1", self.near_energy)


@dataclass(frozen=True, slots=True)
class Cache(Record):
    """Last-level on-chip memory."""

    capacity_bytes: float = field(metadata=about("of the last level; 0: none", dimension="bytes", ge=0))
    bandwidth: float | None = field(
        default=None, metadata=about("between cache and cores; empty: no limit", dimension="bandwidth", gt=0)
    )


@dataclass(frozen=True, slots=True)
class Power(Record):
    """Board power and the energy of moving and computing (J)."""

    peak_w: float = field(metadata=about("board power at full rate", dimension="watts", gt=0))
    idle_w: float = field(metadata=about("board power at rest", dimension="watts", ge=0))
    busy_w: float = field(
        default=0.0,
        metadata=about("beyond rest while kernels run, whatever they do, at full clock", dimension="watts", ge=0),
    )
    flop_j: Mapping[Format, float] = field(
        default_factory=dict, metadata=about("energy of a FLOP by format", dimension="joules_per_flop", ge=0)
    )
    dram_byte_j: float = field(default=0.0, metadata=about("memory traffic", dimension="joules_per_byte", ge=0))
    cache_byte_j: float = field(default=0.0, metadata=about("cache traffic", dimension="joules_per_byte", ge=0))
    link_byte_j: float = field(default=0.0, metadata=about("traffic on links", dimension="joules_per_byte", ge=0))
    cap_w: float | None = field(
        default=None, metadata=about("limit set below the peak: the clock drops", dimension="watts", gt=0)
    )

    def running_w(self, clock: float = 1.0) -> float:
        """At rest and busy, before anything is computed or moved; the voltage follows the clock: f·V² = clock³."""
        return self.idle_w + self.busy_w * clock**3

    def contradictions(self) -> Iterator[Problem]:
        if self.idle_w > self.peak_w:
            yield problem("idle_w", f"must be at most the peak of {self.peak_w:g} W", self.idle_w)
        elif self.cap_w is not None and self.cap_w < self.idle_w:
            yield problem("cap_w", f"must be at least the idle power of {self.idle_w:g} W", self.cap_w)


@dataclass(frozen=True, slots=True)
class Accelerator(Record):
    """One device (what a rank runs on)."""

    name: str = field(metadata=about("lower case with dashes", pattern=FILLED))
    status: Status = field(metadata=about("only shipped parts are ever used for fits"))
    date: str = field(metadata=about("of release: year-month-day, or year-month", pattern=DATE))
    compute: Mapping[Format, Compute] = field(metadata=about("peaks by number format"))
    memory: Memory = field(metadata=about("off-chip memory"))
    cache: Cache = field(metadata=about("on-chip memory"))
    matrix_unit: MatrixUnit | None = field(metadata=about("engines and tiles; empty: no tile effects"))
    kernel_overhead_s: float = field(metadata=about("launch and drain of a kernel", dimension="seconds", ge=0))
    links: tuple[str, ...] = field(default=(), metadata=about("names of link types it carries"))
    sparsity: float = field(default=1.0, metadata=about("speed-up of 2:4 structured sparsity", ge=1))
    zero_skipping: float = field(
        default=0.0, metadata=about("share of the multiplications by zeros anywhere that it skips", ge=0, lt=1)
    )
    power: Power | None = field(default=None, metadata=about("power and energy"))
    price_usd: float | None = field(default=None, metadata=about("list or street price", dimension="usd", ge=0))
    mtbf_s: float | None = field(
        default=None, metadata=about("device time between failures", dimension="seconds", gt=0)
    )
    sources: Mapping[str, Source] = field(default_factory=dict, metadata=about("source of each group, by its name"))
    pointwise: float | None = field(
        default=None,
        metadata=about("share of the bandwidth pointwise kernels reach; empty: memory.achievable", gt=0, le=1),
    )
    attention: FusedAttention | None = field(
        default=None, metadata=about("fused attention, share of the peak; empty: as a plain product")
    )
    host_s: float = field(default=0.0, metadata=about("host time to issue one op", dimension="seconds", ge=0))
    sustained: float = field(default=1.0, metadata=about("share of the matrix rate kept for hours", gt=0, le=1))
    rate_error: float = field(
        default=0.0,
        metadata=about("standard error of ln step time its constants leave on published rows", ge=0, lt=1),
    )
    generation: str = field(default="", metadata=about("whose constants filled what its file left out"))
    inherited: tuple[str, ...] = field(default=(), metadata=about("names of those constants"))
    clock: float = field(
        default=1.0, metadata=about("that a power limit leaves a step, relative to the full clock", gt=0, le=1)
    )

    def contradictions(self) -> Iterator[Problem]:
        """A format of half the width is at least as fast on the same unit."""
        if not self.compute:
            yield problem("compute", "must name at least one number format")
        wide = self.compute.get("fp32")
        for narrow in ("bf16", "fp16"):
            entry = self.compute.get(narrow)
            if wide and entry and entry.matrix and entry.peak_flops < wide.peak_flops:
                rule = f"must be at least the {wide.peak_flops:g} FLOP/s of fp32, which is twice as wide"
                yield problem(f"compute.{narrow}.peak_flops", rule, entry.peak_flops)

    def __hash__(self) -> int:
        """Hash of what times depend on (mappings have none); equality stays that of every field."""
        rates = tuple(entry.peak_flops * entry.achievable for entry in self.compute.values())
        return hash((self.name, rates, self.memory, self.cache, self.kernel_overhead_s, self.sparsity, self.clock))


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
