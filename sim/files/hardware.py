"""Accelerator, link and cluster files: what they may say, and the records they become.

A group of an accelerator file carries its own `source` and `confidence` (A vendor or measured, B reputable secondary,
C derived or single source, D recalled or assumed).  What a file leaves out is taken from its `generation`
(hardware/generations), so a hypothetical chip needs peaks, memory and cache only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

from sim.device.energy import BITS_PER_BYTE, CACHE_PJ_PER_BIT, DRAM_PJ_PER_BIT, PICO, default_power
from sim.device.generation import Generation
from sim.device.records import Accelerator, Cache, Compute, FusedAttention, MatrixUnit, Memory, Power, Source
from sim.files.clusters import list_clusters, load_cluster, load_links, resize
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
    "resize",
]

Confidence = Literal["A", "B", "C", "D"]
_SHARE: Final = {"gt": 0, "le": 1}
_SOURCE: Final = {"doc": "where the figures of this group come from"}
_CONFIDENCE: Final = {"doc": "A vendor or measured, B secondary, C derived, D recalled or assumed"}


@dataclass(frozen=True, slots=True)
class FormatGroup:
    """One number format."""

    peak: float = field(metadata={"doc": "dense peak, never the sparse one", "dimension": "flops", "gt": 0})
    achievable: float | None = field(default=None, metadata={"doc": "best large product / peak", **_SHARE})
    unit: Literal["matrix", "vector"] = field(default="matrix", metadata={"doc": "what runs it"})


@dataclass(frozen=True, slots=True)
class MatrixGroup:
    """The matrix engines; what is left out comes from the generation."""

    units: int = field(metadata={"doc": "matrix engines (SMs, MXUs …)", "gt": 0})
    tile: tuple[int, int, int] | None = field(default=None, metadata={"doc": "output tile m, n and reduction step k"})


@dataclass(frozen=True, slots=True)
class ComputeGroup:
    """What the chip computes per second."""

    formats: Mapping[Format, FormatGroup] = field(metadata={"doc": "peaks by number format"})
    achievable: float | None = field(default=None, metadata={"doc": "best product / peak on matrix units", **_SHARE})
    matrix_unit: MatrixGroup | None = field(default=None, metadata={"doc": "engines and tiles; empty: no tile effects"})
    kernel_overhead: float | None = field(
        default=None, metadata={"doc": "launch and drain of a kernel", "dimension": "seconds", "ge": 0}
    )
    sparsity: float = field(default=1.0, metadata={"doc": "speed-up of structured sparsity", "ge": 1})
    sustained: float | None = field(default=None, metadata={"doc": "share of the matrix rate kept for hours", **_SHARE})
    host: float | None = field(
        default=None, metadata={"doc": "host time to issue one op", "dimension": "seconds", "ge": 0}
    )
    attention: FusedAttention | None = field(default=None, metadata={"doc": "fused attention, share of the peak"})
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """Off-chip memory."""

    capacity: float = field(
        metadata={"doc": "bytes; HBM is sold in GB and built in GiB", "dimension": "bytes", "gt": 0}
    )
    bandwidth: float = field(metadata={"doc": "reads and writes together", "dimension": "bandwidth", "gt": 0})
    type: str = field(default="", metadata={"doc": "HBM3, GDDR6, SRAM …"})
    exact: bool = field(default=False, metadata={"doc": "a capacity in GB means 10⁹, silences check"})
    achievable: float | None = field(default=None, metadata={"doc": "triad bandwidth / data sheet", **_SHARE})
    pointwise: float | None = field(default=None, metadata={"doc": "the same for pointwise kernels", **_SHARE})
    reserve: float = field(default=0.0, metadata={"doc": "runtime and buffers", "dimension": "bytes", "ge": 0})
    access: float | None = field(default=None, metadata={"doc": "random access", "dimension": "bytes", "gt": 0})
    random: float | None = field(
        default=None, metadata={"doc": "cost of starting a random access", "dimension": "bytes", "ge": 0}
    )
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class CacheGroup:
    """Last-level on-chip memory."""

    capacity: float = field(metadata={"doc": "of the last level", "dimension": "bytes", "gt": 0})
    bandwidth: float | None = field(
        default=None, metadata={"doc": "empty: no limit", "dimension": "bandwidth", "gt": 0}
    )
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class LinksGroup:
    """Links the chip carries, by their names in links.yaml."""

    types: tuple[str, ...] = field(default=(), metadata={"doc": "names of link types"})
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class PowerGroup:
    """Board power, and the energy of movement; the energy of a FLOP is what full rate leaves of the peak."""

    peak: float = field(metadata={"doc": "board power at full rate", "dimension": "watts", "gt": 0})
    idle: float | None = field(default=None, metadata={"doc": "board power at rest", "dimension": "watts", "ge": 0})
    cap: float | None = field(default=None, metadata={"doc": "limit below the peak", "dimension": "watts", "gt": 0})
    dram: float | None = field(default=None, metadata={"doc": "memory traffic", "dimension": "joules_per_byte"})
    cache: float | None = field(default=None, metadata={"doc": "cache traffic", "dimension": "joules_per_byte"})
    link: float | None = field(default=None, metadata={"doc": "traffic on links", "dimension": "joules_per_byte"})
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class PriceGroup:
    """What one device costs."""

    purchase: float = field(metadata={"doc": "list or street price", "dimension": "usd", "ge": 0})
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class ReliabilityGroup:
    """How often a device fails."""

    mtbf: float = field(metadata={"doc": "device time between failures", "dimension": "seconds", "gt": 0})
    source: str = field(default="", metadata=_SOURCE)
    confidence: Confidence = field(default="B", metadata=_CONFIDENCE)


@dataclass(frozen=True, slots=True)
class AcceleratorFile:
    """A chip: hardware/accelerators/*.yaml."""

    name: str = field(metadata={"doc": "lower case with dashes"})
    compute: ComputeGroup = field(metadata={"doc": "arithmetic"})
    memory: MemoryGroup = field(metadata={"doc": "off-chip memory"})
    cache: CacheGroup = field(metadata={"doc": "on-chip memory"})
    vendor: str = field(default="", metadata={"doc": "who makes it"})
    status: Literal["shipped", "announced", "hypothetical"] = field(
        default="hypothetical", metadata={"doc": "only shipped parts are ever used for fits"}
    )
    date: str = field(default="", metadata={"doc": "year-month-day of release"})
    generation: str = field(
        default=DEFAULT_GENERATION,
        metadata={"doc": "whose calibrated constants fill what is left out", "choices": list_generations()},
    )
    links: LinksGroup = field(default_factory=LinksGroup, metadata={"doc": "links out"})
    power: PowerGroup | None = field(default=None, metadata={"doc": "power and energy"})
    price: PriceGroup | None = field(default=None, metadata={"doc": "price"})
    reliability: ReliabilityGroup | None = field(default=None, metadata={"doc": "failures"})


GROUPS: Final = ("compute", "memory", "cache", "links", "power", "price", "reliability")


def load_accelerator(name_or_path: str | Path, base: Path | None = None) -> Accelerator:
    """The accelerator of that name in the library, or in that file (relative to folder `base`)."""
    return build_accelerator(load_accelerator_file(name_or_path, base))


def load_accelerator_file(name_or_path: str | Path, base: Path | None = None) -> AcceleratorFile:
    """The same, as the file says it: vendor, generation and kind of memory included."""
    resolver = Resolver({(): "accelerators"})
    return read(AcceleratorFile, resolver.extended(resolver.file(find("accelerators", str(name_or_path), base)), ()))


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
    return tuple(chip for chip in chips if not fits or chip.status == "shipped")


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
        power=_power(file, compute, memory),
        price_usd=file.price.purchase if file.price else None,
        mtbf_s=file.reliability.mtbf if file.reliability else None,
        sources=_sources(file),
        pointwise=_pointwise(file.memory, constants),
        attention=file.compute.attention or constants.attention,
        sustained=_given(file.compute.sustained, constants.sustained),
        host_s=_given(file.compute.host, constants.host_s),
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
    matrix = group.unit == "matrix"
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
    unit = replace(constants.matrix_unit, units=group.units)
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
