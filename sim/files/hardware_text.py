"""Accelerator files written: a chip as YAML a person would write, and the commented file of a new one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sim.errors import InputError, Problem
from sim.files.hardware import AcceleratorFile, ComputeGroup, MemoryGroup, PowerGroup, Unit
from sim.units import Dimension, format_quantity

_SPECIAL: Final = re.compile(r"[:#\[\]{}&*!|>'\"%@`]|^[-?\s]|\s$")


def dump_accelerator(file: AcceleratorFile, comments: tuple[str, ...] = ()) -> str:
    """`file` as YAML that reads back to it, with six significant digits."""
    lines = [f"# {line}" for line in comments]
    lines += [f"name: {file.name}"]
    lines += [f"{key}: {plain(value)}" for key in ("vendor", "status", "date") if (value := getattr(file, key))]
    lines += [f"generation: {file.generation}", "compute:", *_compute(file.compute), "memory:", *_memory(file.memory)]
    lines += ["cache:", f"  capacity: {_bytes(file.cache.capacity)}"]
    if file.cache.bandwidth is not None:
        lines.append(f"  bandwidth: {_quantity(file.cache.bandwidth, 'bandwidth')}")
    lines += _source(file.cache)
    if file.links.types:
        lines += ["links:", f"  types: [{', '.join(file.links.types)}]", *_source(file.links)]
    if file.power:
        lines += ["power:", *_power(file.power)]
    if file.price:
        lines += ["price:", f"  purchase: {file.price.purchase:.0f} USD", *_source(file.price)]
    if file.reliability:
        mtbf = file.reliability.mtbf / 3600.0
        lines += ["reliability:", f"  mtbf: {mtbf:.0f} h", *_source(file.reliability)]
    return "\n".join(lines) + "\n"


def plain(value: str) -> str:
    """A plain scalar, quoted where YAML would read it otherwise."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if _SPECIAL.search(value) else value


def _quantity(value: float, dimension: Dimension) -> str:
    return format_quantity(value, dimension, digits=6)


def _bytes(value: float) -> str:
    """GiB or GB, whichever says it in fewer digits."""
    return min((format_quantity(value, "bytes", binary, 6) for binary in (False, True)), key=len)


def _source(group: object) -> Iterator[str]:
    source = getattr(group, "source", "")
    if source:
        yield f"  source: {plain(source)}"
        yield f"  confidence: {getattr(group, 'confidence', 'B')}"


def _compute(group: ComputeGroup) -> Iterator[str]:
    if group.achievable is not None:
        yield f"  achievable: {group.achievable:.4g}"
    yield "  formats:"
    for name, entry in group.formats.items():
        parts = [f"peak: {_quantity(entry.peak, 'flops')}"]
        parts += [f"achievable: {entry.achievable:.4g}"] if entry.achievable is not None else []
        parts += ["unit: vector"] if entry.unit == Unit.VECTOR else []
        if entry.other is not None:
            told = f"peak: {_quantity(entry.other.peak, 'flops')}, source: {plain(entry.other.source)}"
            parts.append(f"other: {{{told}}}")
        yield f"    {name}: {{{', '.join(parts)}}}"
    if group.matrix_unit:
        unit = {"units": group.matrix_unit.units, "tile": list(group.matrix_unit.tile or ())}
        yield f"  matrix_unit: {{{', '.join(f'{key}: {value}' for key, value in unit.items() if value)}}}"
    if group.kernel_overhead is not None:
        yield f"  kernel_overhead: {_quantity(group.kernel_overhead, 'seconds')}"
    if group.host is not None:
        yield f"  host: {_quantity(group.host, 'seconds')}"
    if group.sparsity != 1.0:
        yield f"  sparsity: {group.sparsity:g}"
    if group.zero_skipping:
        yield f"  zero_skipping: {group.zero_skipping:g}"
    if group.sustained is not None:
        yield f"  sustained: {group.sustained:.4g}"
    if group.attention is not None:
        a = group.attention
        yield (
            f"  attention: {{forward: {a.forward:g}, backward: {a.backward:g}, "
            f"softmax_dim: {a.softmax_dim:g}, first: {a.first:g}, block: {a.block}}}"
        )
    yield from _source(group)


def _memory(group: MemoryGroup) -> Iterator[str]:
    if group.type:
        yield f"  type: {plain(group.type)}"
    yield f"  capacity: {_bytes(group.capacity)}"
    yield f"  bandwidth: {_quantity(group.bandwidth, 'bandwidth')}"
    for key in ("achievable", "pointwise"):
        if getattr(group, key) is not None:
            yield f"  {key}: {getattr(group, key):.4g}"
    if group.exact:
        yield "  exact: true"
    if group.reserve:
        yield f"  reserve: {_bytes(group.reserve)}"
    if group.near != 1.0:
        yield f"  near: {group.near:g}"
    if group.near_energy is not None:
        yield f"  near_energy: {group.near_energy:g}"
    if group.tiers:
        yield "  tiers:"
    for tier in group.tiers:
        held = f", capacity: {_bytes(tier.capacity_bytes)}" if tier.capacity_bytes else ""
        yield f"    - {{name: {tier.name}, bandwidth: {_quantity(tier.bandwidth, 'bandwidth')}{held}}}"
    for key in ("access", "random"):
        if getattr(group, key) is not None:
            yield f"  {key}: {getattr(group, key):g} B"
    yield from _source(group)


def _power(group: PowerGroup) -> Iterator[str]:
    for key in ("peak", "idle", "cap", "arithmetic"):
        if getattr(group, key) is not None:
            yield f"  {key}: {_quantity(getattr(group, key), 'watts')}"
    if group.busy:
        yield f"  busy: {group.busy:g}"
    for key in ("dram", "cache", "link"):
        if getattr(group, key):
            yield f"  {key}: {getattr(group, key) * 1e12:.4g} pJ/B"
    yield from _source(group)


def new_accelerator(name: str) -> str:
    """A commented file of a hypothetical chip called `name`, with numbers to replace; it passes check as it is."""
    return _named(_ACCELERATOR, name)


def new_cluster(name: str) -> str:
    """A commented file of a cluster called `name`, with numbers to replace; it passes check as it is."""
    return _named(_CLUSTER, name)


def _named(template: str, name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", name):
        raise InputError(Problem("must be lower case with dashes", "name", name, hint="for example my-chip"))
    return template.replace("NAME", name)


_CLUSTER: Final = """\
# NAME: your own cluster. Every number below is a placeholder: replace it.
# Check it with `foretrain check NAME.yaml`, look at it with `foretrain hardware show NAME.yaml --draw NAME.html`, time
# it with `foretrain collective NAME.yaml`, use it with `cluster: NAME.yaml`, or a part of it with
# `cluster: {extends: NAME.yaml, devices: 256}`.
name: NAME
accelerator: h100-sxm5-80gb  # a name from `foretrain hardware list accelerators`, or a file
status: hypothetical  # shipped, announced or hypothetical
# host: dgx-h100  # the node around the devices: cores, memory, links (hardware/hosts)
# storage: FILE  # of data and checkpoints (hardware/storage)

# Levels from the inside out: each joins `size` members of the level below. Link types: `foretrain hardware links`; one
# that differs is a mapping, {like: nvlink5, bandwidth: 900 GB/s}. Topologies: switch, fully_connected, ring, torus,
# twisted_torus and mesh (with `sizes: [x, y, z]`), hybrid_cube_mesh, fat_tree, rail, dragonfly, hyperx.
levels:
  - {name: node, topology: switch, size: 8, link: nvlink4}
  - name: fabric
    topology: rail  # port r of every node meets in one leaf switch
    size: 32  # nodes
    nics: 8  # cards of a node
    link: infiniband-ndr
    oversubscription: 1  # down over up capacity of a leaf
    options: {leaf: 16}  # nodes per leaf switch

# Blocks of a torus behind optical circuit switches, joined to a shape of the job's own:
# optical: {block: [4, 4, 4], reconfigure: 10 ms}
# shape: auto  # or [8, 8, 16], with `twisted: true` twisted

# A graph instead of levels, devices by number and switches by name:
# graph:
#   edges:
#     - {ends: [0, east], bandwidth: 100 GB/s, latency: 1 us}
#     - {ends: [1, east], link: nvlink4}
# dead_links: [[0, node/switch0]]  # names as the picture shows them

source: assumed
confidence: D  # A vendor or measured, B secondary, C derived, D assumed
"""

_ACCELERATOR: Final = """\
# NAME: your own accelerator. Every number below is a placeholder: replace it.
# Check it with `foretrain check NAME.yaml`, use it with `accelerator: NAME.yaml` or `--accelerator NAME.yaml`.
name: NAME
vendor: ""
status: hypothetical  # shipped, announced or hypothetical; only shipped chips are ever used for fits
date: 2030-01  # year and month it could ship

# Constants left out here (achievable shares, launch overhead, tiles) are taken from a generation of real chips:
# kepler, pascal, volta, turing, ampere, ada, hopper, blackwell, blackwell-ultra, cdna1 to cdna4, gaudi2, gaudi3,
# tpu, trainium, or hypothetical (the newest one measured on published steps: hopper).
generation: hypothetical

compute:
  # achievable: 0.8  # best large product / peak on the matrix unit
  formats:  # dense peaks, never the sparse ones; fp64 fp32 tf32 bf16 fp16 fp8 int8 fp4 int4 mxfp8 mxfp6 mxfp4 nvfp4
    fp32: {peak: 150 TFLOP/s, unit: vector}
    bf16: {peak: 5000 TFLOP/s}
    fp8: {peak: 10 PFLOP/s}
  matrix_unit: {units: 192}  # engines that each hold one output tile; `tile: [m, n, k]` for other than library tiles
  # kernel_overhead: 4 us  # launch and drain of a kernel on a busy device
  # host: 5 us  # time the host takes to issue one kernel
  # sparsity: 2  # speed-up of structured sparsity, used only where a workload asks for it
  source: assumed
  confidence: D  # A vendor or measured, B secondary, C derived, D assumed

memory:
  type: HBM4  # HBM… and GDDR… are checked against what such stacks can do
  capacity: 512 GiB  # stacks are built in GiB, even when the box says GB
  bandwidth: 16 TB/s  # reads and writes together; capacity / bandwidth of real parts is 13 to 60 ms
  reserve: 2 GiB  # what the runtime and collective buffers keep
  source: assumed
  confidence: D

cache:  # last level on the chip
  capacity: 256 MiB
  # bandwidth: 30 TB/s  # leave out where it is no limit
  source: assumed
  confidence: D

links:  # names from hardware/links.yaml; a cluster file says how many and may override their bandwidth
  types: [nvlink6, infiniband-gdr]
  source: assumed
  confidence: D

power:  # of the board; the energy of a FLOP is what a full-rate product leaves of the peak
  peak: 1500 W
  # idle: 180 W
  dram: 36 pJ/B  # HBM3: 4.5 pJ per bit
  source: assumed
  confidence: D

price:
  purchase: 40000 USD
  source: assumed
  confidence: D

reliability:  # device time between failures of any cause that stop a job
  mtbf: 50000 h
  source: assumed
  confidence: D
"""
