"""Accelerator, link and cluster files: what they may say, and the records they become.

A group of an accelerator file carries its own `source` and `confidence` (A vendor or measured, B reputable secondary,
C derived or single source, D recalled or assumed).  What a file leaves out is taken from its `generation`
(hardware/generations), so a hypothetical chip needs peaks, memory and cache only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from sim.device.energy import BITS_PER_BYTE, CACHE_PJ_PER_BIT, DRAM_PJ_PER_BIT, PICO, default_power
from sim.device.generation import Generation
from sim.device.records import Accelerator, Cache, Compute, FusedAttention, MatrixUnit, Memory, Power, Source
from sim.fields import Confidence, Record, Status, about, same_as
from sim.files.clusters import list_clusters, load_cluster, load_links
from sim.files.fields import read
from sim.files.generations import DEFAULT_GENERATION, list_generations, load_generation
from sim.files.library import find, names
from sim.files.loader import Node
from sim.files.merge import Resolver
from sim.ops import Format

__all__ = [
    "AcceleratorFile",
    "accelerator_files",
    "build_accelerator",
    "list_accelerators",
    "list_clusters",
    "load_accelerator",
    "load_accelerator_file",
    "load_catalogue",
    "load_cluster",
    "load_links",
    "read_accelerator",
]

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
    """Board power, and the energy of movement; the energy of a FLOP is what full rate leaves of the peak."""

    peak: float = field(metadata=same_as(Power, "peak_w"))
    idle: float | None = field(default=None, metadata=same_as(Power, "idle_w", "a share of the peak"))
    cap: float | None = field(default=None, metadata=same_as(Power, "cap_w"))
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


def load_accelerator(name_or_path: str | Path, base: Path | None = None) -> Accelerator:
    """The accelerator of that name in the library, or in that file (relative to folder `base`)."""
    return build_accelerator(load_accelerator_file(name_or_path, base))


def load_accelerator_file(name_or_path: str | Path, base: Path | None = None) -> AcceleratorFile:
    """The same, as the file says it: vendor, generation and kind of memory included."""
    return read(AcceleratorFile, Resolver({(): "accelerators"}).whole(find("accelerators", str(name_or_path), base)))


def list_accelerators() -> tuple[str, ...]:
    """Names in the library."""
    return names("accelerators")


@cache
def accelerator_files() -> Mapping[str, AcceleratorFile]:
    """Every accelerator file of the library, by name."""
    return {name: load_accelerator_file(name) for name in list_accelerators()}


def load_catalogue(fits: bool = False) -> tuple[Accelerator, ...]:
    """Every accelerator of the library; with `fits` only those that shipped (what a fit may use)."""
    chips = map(build_accelerator, accelerator_files().values())
    return tuple(chip for chip in chips if not fits or chip.status == Status.SHIPPED)


def read_accelerator(node: Node, path: str = "") -> Accelerator:
    """The accelerator a node of YAML says; `path` is where it stands, for messages."""
    return build_accelerator(read(AcceleratorFile, node, path))


def build_accelerator(file: AcceleratorFile) -> Accelerator:
    """The record behind a checked file, gaps filled from its generation."""
    constants = load_generation(file.generation)
    compute = {name: _compute(name, group, file.compute, constants) for name, group in file.compute.formats.items()}
    memory = _memory(file.memory, constants)
    return Accelerator(
        name=file.name,
        status=file.status,
        date=file.date,
        compute=compute,
        memory=memory,
        cache=Cache(file.cache.capacity, file.cache.bandwidth),
        matrix_unit=_matrix_unit(file.compute.matrix_unit, constants),
        kernel_overhead_s=_given(file.compute.kernel_overhead, constants.kernel_overhead_s),
        links=file.links.types,
        sparsity=file.compute.sparsity,
        zero_skipping=file.compute.zero_skipping,
        power=_power(file, compute, memory),
        price_usd=file.price.purchase if file.price else None,
        mtbf_s=file.reliability.mtbf if file.reliability else None,
        sources=_sources(file),
        pointwise=_pointwise(file.memory, constants),
        attention=file.compute.attention or constants.attention,
        sustained=_given(file.compute.sustained, constants.sustained),
        host_s=_given(file.compute.host, constants.host_s),
        rate_error=constants.rate_error,
        generation=file.generation,
        inherited=_inherited(file),
    )


def _inherited(file: AcceleratorFile) -> tuple[str, ...]:
    """Constants the file leaves to its generation."""
    compute, memory = file.compute, file.memory
    stated = {
        "achievable": compute.achievable is not None or all(g.achievable is not None for g in compute.formats.values()),
        "sustained": compute.sustained is not None,
        "attention": compute.attention is not None,
        "memory_achievable": memory.achievable is not None,
        "pointwise": memory.pointwise is not None or memory.achievable is not None,
        "random": memory.random is not None,
        "kernel_overhead": compute.kernel_overhead is not None,
        "host": compute.host is not None,
    }
    tiles = compute.matrix_unit is not None
    stated |= dict.fromkeys(("convolution", "alignment", "ramp_k"), not tiles)
    return tuple(name for name, known in stated.items() if not known)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _compute(name: Format, group: FormatGroup, whole: ComputeGroup, constants: Generation) -> Compute:
    matrix = group.unit == Unit.MATRIX
    ceiling = whole.achievable if matrix else None
    share = _given(group.achievable, _given(ceiling, constants.achievable[name if matrix else "fp32"]))
    return Compute(group.peak, share, matrix)


def _pointwise(group: MemoryGroup, constants: Generation) -> float | None:
    """Stated; else that of the generation, unless the file states its own bandwidth share (then that)."""
    if group.pointwise is not None or group.achievable is not None:
        return group.pointwise
    return constants.pointwise


def _memory(group: MemoryGroup, constants: Generation) -> Memory:
    return Memory(
        capacity_bytes=group.capacity,
        bandwidth=group.bandwidth,
        achievable=_given(group.achievable, constants.memory_achievable),
        reserve_bytes=group.reserve,
        access_bytes=_given(group.access, constants.access_bytes),
        random_bytes=_given(group.random, constants.random_bytes),
    )


def _matrix_unit(group: MatrixGroup | None, constants: Generation) -> MatrixUnit | None:
    """The generation's unit with this chip's count; a stated tile replaces the library's choice of shapes."""
    if group is None:
        return None
    unit = replace(constants.matrix_unit, units=group.units or constants.matrix_unit.units)
    if group.tile is None:
        return unit
    m, n, k = group.tile
    return replace(unit, tile_m=m, tile_n=n, tile_k=k, shapes=())


def _power(file: AcceleratorFile, compute: Mapping[Format, Compute], memory: Memory) -> Power | None:
    group = file.power
    if group is None:
        return None
    default = DRAM_PJ_PER_BIT.get(file.memory.type.upper(), DRAM_PJ_PER_BIT["HBM3"])
    per_bit = default if group.dram is None else group.dram / (BITS_PER_BYTE * PICO)
    sustained = _given(file.compute.sustained, load_generation(file.generation).sustained)
    power = default_power(group.peak, compute, memory, per_bit, group.idle, sustained)
    cache_j = _given(group.cache, CACHE_PJ_PER_BIT * BITS_PER_BYTE * PICO)
    return replace(power, cache_byte_j=cache_j, link_byte_j=_given(group.link, power.link_byte_j), cap_w=group.cap)


def _sources(file: AcceleratorFile) -> Mapping[str, Source]:
    groups = {name: getattr(file, name) for name in GROUPS}
    return {name: Source(g.source, g.confidence) for name, g in groups.items() if g is not None and g.source}
