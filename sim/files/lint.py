"""What `foretrain check hardware/` looks for beyond the schema: the slips that real data sheets invite.

Both-direction bandwidths, sparse peaks, GB for GiB, bits for bytes, capacity out of line with bandwidth, missing
sources, names that lead nowhere.  A rule that needs judgement says what it suspects and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Final

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.fields import Confidence, Status, did_you_mean
from sim.files.budget import read_file
from sim.files.clusters import cluster_tree, load_links, read_cluster, read_links
from sim.files.fields import read
from sim.files.generations import read_generation
from sim.files.hardware import (
    GROUPS,
    AcceleratorFile,
    accelerator_files,
    build_accelerator,
    read_accelerator,
)
from sim.files.kinds import kind_of
from sim.files.library import folder, shown
from sim.files.loader import Node, load
from sim.files.merge import Resolver
from sim.files.process import read_process_file
from sim.network.surroundings import Host, Storage
from sim.ops import Format

STACKED: Final = ("HBM", "GDDR")
READ_ALL_S: Final = (0.010, 0.090)
"""Capacity / bandwidth of every shipped HBM or GDDR part 2014-2025 lies in 19-86 ms (an L4); announced ones start at
13."""

GIGA: Final = 1e9
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LEADS_NOWHERE: Final = ("accelerator", "links.types")
_DECIMAL: Final = re.compile(r"([\d.]+)\s*([GT])B")
SIXTEEN: Final[tuple[Format, ...]] = ("bf16", "fp16")
_SPARSE_PAIRS: Final[tuple[tuple[Format, Format], ...]] = (
    ("tf32", "bf16"),
    ("tf32", "fp16"),
    ("bf16", "fp8"),
    ("fp16", "fp8"),
    ("bf16", "int8"),
    ("fp16", "int8"),
    ("fp8", "fp4"),
)


_AROUND: Final[dict[str, tuple[type[Host] | type[Storage], frozenset[str]]]] = {
    "hosts": (Host, frozenset({"link_bandwidth", "core_speed"})),
    "storage": (Storage, frozenset({"node_read", "node_write", "read", "write"})),
}


def lint_hardware(paths: Iterable[Path]) -> list[Problem]:
    """Everything suspicious in these files and folders, in file order."""
    return [problem for path in paths for file in _files(path) for problem in lint_file(file)]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.yaml")) if path.is_dir() else [path]


def is_hardware(node: Node) -> bool:
    """Whether a tree looks like an accelerator, a generation, a cluster or a list of link types."""
    return _kind(node) is not None


def _kind(node: Node) -> str | None:
    keys = node.value if isinstance(node.value, dict) else {}
    if ("compute" in keys and "memory" in keys) or "budget" in keys:
        return "accelerators"
    if "matrix_unit" in keys or "sustained" in keys:
        return "generations"
    if ("levels" in keys or "graph" in keys) and "accelerator" in keys:
        return "clusters"
    around = next((kind for kind, (_, telling) in _AROUND.items() if telling & set(keys)), None)
    if around is not None and "name" in keys:
        return around
    children = list(keys.values())
    if children and all(child.at("bandwidth") is not None for child in children):
        return "links"
    return None


def lint_file(path: Path) -> list[Problem]:
    """Errors of one file, or what the rules below suspect in it."""
    try:
        return suspicions(path)
    except InputError as error:
        return list(error.problems)


def suspicions(path: Path) -> list[Problem]:
    """What the rules below find in a file that `run` takes; InputError with what it does not take."""
    if path.resolve().is_relative_to(folder("process")):
        read_process_file(path)
        return []
    raw = load(path, shown(path))
    kind = "generations" if path.resolve().is_relative_to(folder("generations")) else _kind(raw)
    if kind == "links":
        return list(_links(raw))
    if kind == "generations":
        read_generation(path)
        return list(_named(raw, path))
    if kind in _AROUND:
        return [*_named(raw, path), *_around(raw, _AROUND[kind][0])]
    if kind == "clusters" or kind_of(path, raw) == "cluster":
        node = cluster_tree(path)
        return [*_named(node, path), *_cluster(node)]
    node = Resolver({(): "accelerators"}).whole(path)
    return [*_named(node, path), *_accelerator(node)]


def _around(node: Node, cls: type[Host] | type[Storage]) -> Iterator[Problem]:
    """A host or a storage must say where its figures come from."""
    if not read(cls, node).source:
        yield node.problem("has no source", "source", hint="data sheet and date, or `assumed`")


def _named(node: Node, path: Path) -> Iterator[Problem]:
    """A file is found by its name, so both must agree."""
    name = node.at("name")
    if name is None:
        return
    text = str(name.value)
    if not _NAME.fullmatch(text):
        yield name.problem("must be lower case with dashes", "name", text)
    elif path.stem != text:
        yield name.problem("differs from the file's name", "name", text, f"call the file {text}.yaml")


def _accelerator(node: Node) -> Iterator[Problem]:
    file = read_file(node)
    chip = build_accelerator(file)
    for rule in (_sources, _capacity, _joint, _sparse_formats, _sparse_peers, _chip_links, _date):
        yield from rule(node, file, chip)


def _sources(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    for name in GROUPS:
        group = node.at(name)
        if group is not None and name not in chip.sources:
            yield group.problem("has no source", f"{name}.source", hint="data sheet and date, or `assumed`")


def _stacked(file: AcceleratorFile) -> bool:
    return file.memory.type.upper().startswith(STACKED)


def _capacity(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    """HBM and GDDR chips hold powers of two: "80 GB" on the box is 80 GiB."""
    there = node.at("memory", "capacity") or node
    match = _DECIMAL.fullmatch(str(there.plain).strip())
    if match and _stacked(file) and not file.memory.exact and float(match[1]) % 8 == 0:
        hint = f"{match[1]} {match[2]}iB? `exact: true` if the source counts 10^9"
        yield there.problem("is sold in GB and built in GiB", "memory.capacity", f'"{there.plain}"', hint)
    rate = node.at("memory", "bandwidth")
    if rate is not None and "iB" in str(rate.plain):
        yield rate.problem("bandwidths are sold in GB/s", "memory.bandwidth", f'"{rate.plain}"', "GiB/s is 7 % more")


def _joint(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    """Capacity and bandwidth grow together: reading all memory takes 19-86 ms on every part shipped."""
    seconds = chip.memory.capacity_bytes / chip.memory.bandwidth
    if _stacked(file) and not READ_ALL_S[0] <= seconds <= READ_ALL_S[1]:
        there = node.at("memory", "capacity") or node
        rule = f"takes {seconds * 1e3:.3g} ms to read at full bandwidth, HBM and GDDR parts take 10-90 ms"
        yield there.problem(rule, "memory.capacity", hint="board against die, bits against bytes, or a slip of units?")


def _sparse_formats(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    """Halving the width doubles the dense rate; four times is the doubling of 2:4 sparsity on top."""
    for wide, narrow in _SPARSE_PAIRS:
        if wide not in chip.compute or narrow not in chip.compute:
            continue
        ratio = chip.compute[narrow].peak_flops / chip.compute[wide].peak_flops
        if abs(ratio / 4.0 - 1.0) < 0.02:
            there = node.at("compute", "formats", narrow, "peak") or node
            path = f"compute.formats.{narrow}.peak"
            yield there.problem(
                f"is four times {wide}: the sparse rate?", path, f'"{there.plain}"', "write the dense one"
            )
            return


def _sparse_peers(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    """Chips of one generation have the same rate per matrix engine, give or take the clock; twice that is sparse."""
    peers = [rate for name, rate in _per_unit().get(file.generation, {}).items() if name != file.name]
    mine = _sixteen(file)
    if file.status == Status.HYPOTHETICAL or not peers or not mine or max(peers) > 1.5 * min(peers):
        return
    ratio = mine / median(peers)
    if 1.7 < ratio < 2.3:
        there = node.at("compute", "formats") or node
        rule = f"16-bit peak per matrix engine is {ratio:.2g} times that of {file.generation} chips: the sparse rate?"
        yield there.problem(rule, "compute.formats", hint="write the dense one")


@cache
def _per_unit() -> dict[str, dict[str, float]]:
    """16-bit peak per matrix engine of every shipped chip of the library, by generation and name."""
    found: dict[str, dict[str, float]] = {}
    for file in accelerator_files().values():
        if file.status == Status.SHIPPED and _sixteen(file):
            found.setdefault(file.generation, {})[file.name] = _sixteen(file)
    return found


def _sixteen(file: AcceleratorFile) -> float:
    """16-bit FLOP/s of one matrix engine; 0 where either is not stated."""
    unit, formats = file.compute.matrix_unit, file.compute.formats
    best = max((formats[name].peak for name in SIXTEEN if name in formats), default=0.0)
    return best / unit.units if unit and unit.units else 0.0


def _chip_links(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    for number, name in enumerate(file.links.types):
        if name not in load_links():
            there = node.at("links", "types", number) or node
            yield there.problem("unknown link type", f"links.types.{number}", name, did_you_mean(name, load_links()))


def _date(node: Node, file: AcceleratorFile, chip: Accelerator) -> Iterator[Problem]:
    if not file.date and file.status != Status.HYPOTHETICAL:
        yield (node.at("date") or node).problem("is required of a chip that is not hypothetical", "date")


def _cluster(node: Node) -> Iterator[Problem]:
    cluster = read_cluster(node)
    read_accelerator(node.at("accelerator") or node, "accelerator")
    _surroundings(node)
    if not cluster.source:
        yield node.problem("has no source", "source", hint="who built it and where it is described, or `assumed`")
    for number, level in enumerate(cluster.levels):
        link, like = node.at("levels", number, "link"), node.at("levels", number, "link", "like")
        stated = link.at("bandwidth") if link is not None else None
        name = str(like.plain) if like is not None else level.link.name
        if stated is not None and cluster.confidence != Confidence.D:  # no data sheet can have been misread
            yield from _rate(stated, f"levels.{number}.link.bandwidth", name, level.link.bandwidth)


def _surroundings(node: Node) -> None:
    """Host and storage, named or written out in the cluster, are of their own kinds."""
    problems: list[Problem] = []
    for key, kind in (("host", Host), ("storage", Storage)):
        there = node.at(key)
        if there is not None and there.value is not None:
            try:
                read(kind, there, key)
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(*problems)


def _links(node: Node) -> Iterator[Problem]:
    for name, link in read_links(node).items():
        there = node.at(name) or node
        yield from _rate(there.at("bandwidth") or there, f"{name}.bandwidth", name, link.bandwidth)
        if not link.source:
            yield there.problem("has no source", f"{name}.source")


def _rate(node: Node, path: str, name: str, bandwidth: float) -> Iterator[Problem]:
    """A rate twice the known one counts both directions; eight times it reads bits as bytes."""
    known = known_rate(name)
    if known is None:
        return
    ratio, value = bandwidth / known, f'"{node.plain}"'
    if abs(ratio / 2.0 - 1.0) < 0.05:
        yield node.problem("counts both directions", path, value, f"per direction {name} has {known / GIGA:g} GB/s")
    elif abs(ratio / 8.0 - 1.0) < 0.05:
        yield node.problem("reads bits as bytes", path, value, f"{name} has {known / GIGA:g} GB/s")


def known_rate(name: str) -> float | None:
    """Bandwidth per direction (B/s) of the library's link type of that name, or of the one the name begins with."""
    links = load_links()
    begun = [known for known in links if name == known or name.startswith(f"{known}-")]
    return links[max(begun, key=len)].bandwidth if begun else None
