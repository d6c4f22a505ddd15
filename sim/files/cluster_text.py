"""Cluster files written: accelerator, links, host and storage in one file that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent

from sim.files.clusters import ClusterFile, LevelGroup
from sim.files.hardware import AcceleratorFile
from sim.files.hardware_text import dump_accelerator, plain
from sim.network.surroundings import Host, Storage
from sim.units import Dimension, format_quantity


def dump_cluster(
    file: ClusterFile,
    chip: AcceleratorFile,
    host: Host | None,
    storage: Storage | None,
    comments: tuple[str, ...] = (),
) -> str:
    """`file` as YAML with its parts written out, to six significant digits."""
    lines = [f"# {line}" for line in comments]
    lines += [f"name: {file.name}", f"status: {file.status}", "levels:", *map(_level, file.levels)]
    lines += ["accelerator:", indent(dump_accelerator(chip), "  ").rstrip()]
    lines += [] if host is None else ["host:", *_host(host)]
    lines += [] if storage is None else ["storage:", *_storage(storage)]
    lines += [f"source: {plain(file.source)}", f"confidence: {file.confidence}"]
    return "\n".join(lines) + "\n"


def dump_levels(file: ClusterFile, base: str, comments: tuple[str, ...] = ()) -> str:
    """A cluster that differs from `base` in its levels."""
    lines = [f"# {line}" for line in comments]
    lines += [f"name: {file.name}", f"extends: {base}", "levels:", *map(_level, file.levels)]
    return "\n".join([*lines, f"source: {plain(file.source)}", f"confidence: {file.confidence}"]) + "\n"


def _level(level: LevelGroup) -> str:
    parts = [f"name: {level.name}", f"topology: {level.topology}"]
    parts += [f"sizes: {list(level.sizes)}"] if level.sizes else [f"size: {level.size}"]
    parts.append(f"link: {_link(level.link)}")
    parts += [f"nics: {level.nics:g}"] if level.nics is not None else []
    parts += [f"oversubscription: {level.oversubscription:g}"] if level.oversubscription != 1.0 else []
    parts += [f"options: {_flow(level.options)}"] if level.options else []
    return f"  - {{{', '.join(parts)}}}"


def _link(link: object) -> str:
    """A type's name, or `like` and what differs."""
    if not isinstance(link, Mapping):
        return str(link)
    rate = link.get("bandwidth")
    return _flow({**link, "bandwidth": _said(rate, "bandwidth")} if isinstance(rate, float) else link)


def _flow(mapping: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in mapping.items()) + "}"


def _said(value: float, dimension: Dimension) -> str:
    return format_quantity(value, dimension, digits=6)


def _host(host: Host) -> Iterator[str]:
    yield f"  name: {host.name}"
    yield f"  accelerators: {host.accelerators}"
    yield f"  cores: {host.cores}"
    yield f"  memory: {_said(host.memory_bytes, 'bytes')}"
    yield f"  link_bandwidth: {_said(host.link_bandwidth, 'bandwidth')}"
    yield f"  core_speed: {host.core_speed:g}"
    yield f"  source: {plain(host.source)}"
    yield f"  confidence: {host.confidence}"


def _storage(storage: Storage) -> Iterator[str]:
    yield f"  name: {storage.name}"
    if storage.local:
        yield "  local: true"
    for way in ("read", "write", "node_read", "node_write"):
        if (rate := getattr(storage, way)) is not None:
            yield f"  {way}: {_said(rate, 'bandwidth')}"
    if storage.node_requests is not None:
        yield f"  node_requests: {storage.node_requests:g}"
    yield f"  source: {plain(storage.source)}"
    yield f"  confidence: {storage.confidence}"
