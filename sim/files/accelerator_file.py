"""What an accelerator file may say.

A group carries its own `source` and `confidence` (A vendor or measured, B reputable secondary, C derived or single
source, D recalled or assumed).  What a file leaves out is taken from its `generation` (hardware/generations), so a
hypothetical chip needs peaks, memory and cache only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from sim.device.records import (
    Accelerator,
    Cache,
    Compute,
    FusedAttention,
    MatrixUnit,
    Memory,
    MemoryTier,
    OtherPeak,
    Power,
    Source,
)
from sim.fields import Confidence, Record, Status, about, same_as
from sim.files.generations import DEFAULT_GENERATION, list_generations
from sim.ops import Format
from sim.records import dataclass

_SOURCE: Final = same_as(Source, "text", doc="where the figures of this group come from")
_CONFIDENCE: Final = same_as(Source, "confidence")
_GENERATION: Final = "the generation's"


class Unit(StrEnum):
    """What runs a number format."""

    MATRIX = "matrix"
    VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class Group(Record):
    """One group of an accelerator file, with its own source; ranges are those of the record it becomes."""

    source: str = field(default="", metadata=_SOURCE, kw_only=True)
    confidence: Confidence = field(default=Confidence.B, metadata=_CONFIDENCE, kw_only=True)


@dataclass(frozen=True, slots=True)
class FormatGroup(Record):
    """One number format."""

    peak: float = field(metadata=same_as(Compute, "peak_flops"))
    achievable: float | None = field(default=None, metadata=same_as(Compute, "achievable", _GENERATION))
    unit: Unit = field(default=Unit.MATRIX, metadata=about("what runs it"))
    other: OtherPeak | None = field(default=None, metadata=same_as(Compute, "other"))


@dataclass(frozen=True, slots=True)
class MatrixGroup(Record):
    """The matrix engines; what is left out comes from the generation."""

    units: int | None = field(default=None, metadata=same_as(MatrixUnit, "units", "those of the generation's flagship"))
    tile: tuple[int, int, int] | None = field(
        default=None, metadata=same_as(MatrixUnit, "tile_m", _GENERATION, "output tile m, n and reduction step k")
    )


@dataclass(frozen=True, slots=True)
class ComputeGroup(Group):
    """What the chip computes per second."""

    formats: Mapping[Format, FormatGroup] = field(metadata=same_as(Accelerator, "compute"))
    achievable: float | None = field(
        default=None, metadata=same_as(Compute, "achievable", _GENERATION, "best product / peak on matrix units")
    )
    matrix_unit: MatrixGroup | None = field(default=None, metadata=same_as(Accelerator, "matrix_unit"))
    kernel_overhead: float | None = field(default=None, metadata=same_as(Accelerator, "kernel_overhead_s", _GENERATION))
    sparsity: float = field(default=1.0, metadata=same_as(Accelerator, "sparsity"))
    zero_skipping: float = field(default=0.0, metadata=same_as(Accelerator, "zero_skipping"))
    sustained: float | None = field(default=None, metadata=same_as(Accelerator, "sustained", _GENERATION))
    host: float | None = field(default=None, metadata=same_as(Accelerator, "host_s", _GENERATION))
    attention: FusedAttention | None = field(default=None, metadata=same_as(Accelerator, "attention"))


@dataclass(frozen=True, slots=True)
class MemoryGroup(Group):
    """Off-chip memory."""

    capacity: float = field(metadata=same_as(Memory, "capacity_bytes"))
    bandwidth: float = field(metadata=same_as(Memory, "bandwidth"))
    type: str = field(default="", metadata=about("HBM3, GDDR6, SRAM …"))
    exact: bool = field(default=False, metadata=about("a capacity in GB means 10⁹, silences check"))
    achievable: float | None = field(default=None, metadata=same_as(Memory, "achievable", _GENERATION))
    pointwise: float | None = field(default=None, metadata=same_as(Accelerator, "pointwise"))
    reserve: float = field(default=0.0, metadata=same_as(Memory, "reserve_bytes"))
    access: float | None = field(default=None, metadata=same_as(Memory, "access_bytes", _GENERATION))
    random: float | None = field(default=None, metadata=same_as(Memory, "random_bytes", _GENERATION))
    tiers: tuple[MemoryTier, ...] = field(default=(), metadata=same_as(Memory, "tiers"))
    near: float = field(default=1.0, metadata=same_as(Memory, "near"))
    near_energy: float | None = field(default=None, metadata=same_as(Memory, "near_energy"))


@dataclass(frozen=True, slots=True)
class CacheGroup(Group):
    """Last-level on-chip memory."""

    capacity: float = field(metadata=same_as(Cache, "capacity_bytes"))
    bandwidth: float | None = field(default=None, metadata=same_as(Cache, "bandwidth"))


@dataclass(frozen=True, slots=True)
class LinksGroup(Group):
    """Links the chip carries, by their names in links.yaml."""

    types: tuple[str, ...] = field(default=(), metadata=same_as(Accelerator, "links"))


@dataclass(frozen=True, slots=True)
class PowerGroup(Group):
    """Board power, and the energy of movement; the energy of a FLOP is what full rate leaves of the peak, or that of
    `arithmetic`.
    """

    peak: float = field(metadata=same_as(Power, "peak_w"))
    idle: float | None = field(default=None, metadata=same_as(Power, "idle_w", "a share of the peak"))
    busy: float = field(
        default=0.0,
        metadata=about("share of the peak drawn beyond rest while kernels run, whatever they do", ge=0, lt=1),
    )
    cap: float | None = field(default=None, metadata=same_as(Power, "cap_w"))
    arithmetic: float | None = field(
        default=None,
        metadata=about(
            "of a large product beside rest and memory; empty: what idle and busy leave of the peak",
            dimension="watts",
            gt=0,
        ),
    )
    dram: float | None = field(default=None, metadata=same_as(Power, "dram_byte_j", "that of the memory's type"))
    cache: float | None = field(default=None, metadata=same_as(Power, "cache_byte_j", "that of SRAM"))
    link: float | None = field(default=None, metadata=same_as(Power, "link_byte_j", "that of an electrical link"))


@dataclass(frozen=True, slots=True)
class PriceGroup(Group):
    """What one device costs."""

    purchase: float = field(metadata=same_as(Accelerator, "price_usd"))


@dataclass(frozen=True, slots=True)
class ReliabilityGroup(Group):
    """How often a device fails."""

    mtbf: float = field(metadata=same_as(Accelerator, "mtbf_s"))


@dataclass(frozen=True, slots=True)
class AcceleratorFile(Record):
    """A chip: hardware/accelerators/*.yaml."""

    name: str = field(metadata=same_as(Accelerator, "name"))
    compute: ComputeGroup = field(metadata=about("arithmetic"))
    memory: MemoryGroup = field(metadata=same_as(Accelerator, "memory"))
    cache: CacheGroup = field(metadata=same_as(Accelerator, "cache"))
    vendor: str = field(default="", metadata=about("who makes it"))
    status: Status = field(default=Status.HYPOTHETICAL, metadata=same_as(Accelerator, "status"))
    date: str = field(default="", metadata=same_as(Accelerator, "date"))
    generation: str = field(
        default=DEFAULT_GENERATION,
        metadata=about("whose calibrated constants fill what is left out") | {"choices": list_generations},
    )
    links: LinksGroup = field(default_factory=LinksGroup, metadata=about("links out"))
    power: PowerGroup | None = field(default=None, metadata=same_as(Accelerator, "power"))
    price: PriceGroup | None = field(default=None, metadata=about("price"))
    reliability: ReliabilityGroup | None = field(default=None, metadata=about("failures"))


GROUPS: Final = ("compute", "memory", "cache", "links", "power", "price", "reliability")
