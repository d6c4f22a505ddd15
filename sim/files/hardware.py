"""Accelerator, link and cluster files become the records of the simulator; what a file leaves out comes from its
`generation`, and what states a budget is the chip it buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from sim.device.energy import BITS_PER_BYTE, CACHE_PJ_PER_BIT, DRAM_PJ_PER_BIT, PICO, default_power
from sim.device.generation import Generation
from sim.device.records import Accelerator, Cache, Compute, MatrixUnit, Memory, Power, Source
from sim.errors import InputError, Problem
from sim.fields import Status
from sim.files.accelerator_file import (
    GROUPS,
    AcceleratorFile,
    CacheGroup,
    ComputeGroup,
    FormatGroup,
    LinksGroup,
    MatrixGroup,
    MemoryGroup,
    PowerGroup,
    PriceGroup,
    ReliabilityGroup,
    Unit,
)
from sim.files.budget import read_file
from sim.files.clusters import cluster_tree, list_clusters, load_cluster, load_links
from sim.files.fields import at_deepest
from sim.files.generations import load_generation
from sim.files.kinds import refuse_other_kind
from sim.files.library import find, names
from sim.files.loader import Node
from sim.files.merge import Resolver
from sim.ops import PLAIN, Format

__all__ = [
    "GROUPS",
    "AcceleratorFile",
    "CacheGroup",
    "ComputeGroup",
    "FormatGroup",
    "LinksGroup",
    "MatrixGroup",
    "MemoryGroup",
    "PowerGroup",
    "PriceGroup",
    "ReliabilityGroup",
    "Unit",
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


def load_accelerator(name_or_path: str | Path, base: Path | None = None) -> Accelerator:
    """The accelerator of that name in the library, or in that file (relative to folder `base`)."""
    return build_accelerator(load_accelerator_file(name_or_path, base))


def load_accelerator_file(name_or_path: str | Path, base: Path | None = None) -> AcceleratorFile:
    """The same, as the file says it: vendor, generation and kind of memory included."""
    path, resolver = find("accelerators", str(name_or_path), base), Resolver({(): "accelerators"})
    refuse_other_kind(path, resolver.raw(path), "accelerator")
    return read_file(resolver.whole(path))


def load_accelerator_of(cluster: str | Path) -> Accelerator:
    """The accelerator of a cluster (of that name in the library, or of that file): named there, or stated whole."""
    node = cluster_tree(find("clusters", str(cluster))).at("accelerator")
    if node is None:
        raise InputError(Problem("is required", "accelerator", file=str(cluster)))
    return read_accelerator(node, "accelerator")


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
    file = read_file(node, path)
    try:
        return build_accelerator(file)
    except InputError as error:
        told = (replace(problem, path=_PLACES.get(problem.path, problem.path)) for problem in error.problems)
        raise InputError(*(at_deepest(node, problem, path) for problem in told)) from None


_PLACES: Final = {
    "peak_w": "power.peak",
    "idle_w": "power.idle",
    "cap_w": "power.cap",
    "near_energy": "memory.near_energy",
}


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
        power=_power(file, compute),
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
    share = _given(group.achievable, _given(ceiling, _ceiling(constants, name if matrix else "fp32")))
    return Compute(group.peak, share, matrix, group.other)


def _ceiling(constants: Generation, name: Format) -> float:
    """What the generation says of a format, or of the plain one whose unit it runs on."""
    return constants.achievable.get(name) or constants.achievable[PLAIN[name]]


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
        tiers=group.tiers,
        near=group.near,
        near_energy=group.near_energy,
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


def _power(file: AcceleratorFile, compute: Mapping[Format, Compute]) -> Power | None:
    group = file.power
    if group is None:
        return None
    default = DRAM_PJ_PER_BIT.get(file.memory.type.upper(), DRAM_PJ_PER_BIT["HBM3"])
    per_bit = default if group.dram is None else group.dram / (BITS_PER_BYTE * PICO)
    sustained = _given(file.compute.sustained, load_generation(file.generation).sustained)
    power = default_power(group.peak, compute, per_bit, group.idle, sustained, group.arithmetic, group.busy)
    cache_j = _given(group.cache, CACHE_PJ_PER_BIT * BITS_PER_BYTE * PICO)
    return replace(power, cache_byte_j=cache_j, link_byte_j=_given(group.link, power.link_byte_j), cap_w=group.cap)


def _sources(file: AcceleratorFile) -> Mapping[str, Source]:
    groups = {name: getattr(file, name) for name in GROUPS}
    return {name: Source(g.source, g.confidence) for name, g in groups.items() if g is not None and g.source}
