"""A whole system some years ahead: chip, links, host and storage of a cluster, each along its own trend.

Links between devices grow as the widest links of chips do, network ports and slots as their own series; one port stays
one port and a domain keeps its size.  A drive is four lanes of its host's slot and grows as that does; storage behind a
network grows as a port.  A node's cores and memory grow as those of nodes of eight devices.  Latencies, launch costs of
collectives, achieved shares, topology, oversubscription and requests per second have no dated figures and are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sim.errors import InputError
from sim.fields import Confidence, Status
from sim.files.budget import read_file
from sim.files.cluster_text import dump_cluster
from sim.files.clusters import ClusterFile, LevelGroup, resolve_link
from sim.files.fields import read
from sim.files.library import find
from sim.files.loader import Mark, Node
from sim.files.merge import Resolver
from sim.horizon import chip_projection
from sim.horizon.chip_projection import ChipProjection, project_chip
from sim.horizon.projected import Ahead, Band, Projected
from sim.horizon.trends import LEVEL
from sim.network.surroundings import Host, Storage
from sim.ops import Format
from sim.records import dataclass

NETWORKS: Final = ("infiniband", "roce", "efa", "slingshot", "omnipath", "aries", "gpudirect", "tcp", "tpu-dcn")
"""Families of hardware/links.yaml that lead out of a node."""
KEPT: Final = "of links latency, base, efficiency, topology, sizes, nics, oversubscription; requests of storage"
"""What of a system no dated figure tells of."""


@dataclass(frozen=True, slots=True)
class SystemProjection:
    """A cluster `year`, its chip, and what is said of links, host and storage."""

    base: ClusterFile
    year: float
    chip: ChipProjection
    rows: tuple[Projected, ...]
    host: Host | None
    storage: Storage | None

    @property
    def absent(self) -> tuple[str, ...]:
        """Parts the base does not have."""
        return tuple(name for name in ("host", "storage") if getattr(self, name) is None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the chip, and what is missing."""
        none = (f"{self.base.name} names no {name}: none is projected (--{name} NAME)" for name in self.absent)
        return (*self.chip.warnings, *none)

    def named(self, band: Band) -> str:
        """What one of the three machines is called."""
        return f"{self.base.name}-{self.year:g}-{band}".replace(".", "-")

    def text(self, band: Band, name: str = "") -> str:
        """One of the three machines as a cluster file that stands alone."""
        at = {row.metric: row.at(band) for row in self.rows}
        source = f"{self.base.name} projected to {self.year:g}, {band} (foretrain hardware project)"
        levels = tuple(
            replace(level, link=_moved(level, row.at(band)))
            for level, row in zip(self.base.levels, self.rows, strict=False)  # rows of links come first
        )
        file = replace(
            self.base,
            name=name or self.named(band),
            status=Status.HYPOTHETICAL,
            levels=levels,
            source=source,
            confidence=Confidence.D,
        )
        host = self.host and _host_then(self.host, at, source)
        storage = self.storage and _storage_then(self.storage, at, source)
        place = "in the middle" if band == Band.CENTRAL else f"at the {band} edge"
        comment = f"{self.base.name} of {self.year:g}: every property {place} of its {100 * LEVEL:g} % band."
        told = (comment, *self.chip.warnings, f"Kept: {chip_projection.KEPT};", f"  {KEPT}.")
        return dump_cluster(file, self.chip.files[band], host, storage, told)


def project_system(
    name: str,
    year: float,
    new_format: Format | None = None,
    power_w: float | None = None,
    price_usd: float | None = None,
    host: str | None = None,
    storage: str | None = None,
    before: float = math.inf,
) -> SystemProjection:
    """The cluster of that name or file in `year`, by what had shipped `before`; `host` and `storage` name those of a
    cluster without its own."""
    node = _resolved(name, host=host, storage=storage)
    base = read(ClusterFile, node)
    if not base.levels:
        raise InputError(node.problem("a graph of single links has no types whose trend is known: needs levels", name))
    file = read_file(_part(node, "accelerator"), "accelerator")
    chip = project_chip(file, year, new_format, power_w, price_usd, before)
    ahead = Ahead(chip.years, before)
    hosting = read(Host, found, "host") if (found := node.at("host")) else None
    storing = read(Storage, found, "storage") if (found := node.at("storage")) else None
    rows = _link_rows(base, node, ahead) + _host_rows(hosting, ahead) + _storage_rows(storing, ahead)
    return SystemProjection(base, year, chip, tuple(rows), hosting, storing)


def _resolved(name: str, **parts: str | None) -> Node:
    """The cluster's tree with accelerator, host and storage in place of their names."""
    resolver, place = Resolver(), ("cluster",)
    path = find("clusters", name)
    root = resolver.extended(resolver.file(path, place), place, (path.resolve(),))
    given = {key: Node(value, Mark(f"--{key}")) for key, value in parts.items() if value is not None}
    if isinstance(root.value, dict):
        root = Node({**root.value, **given}, root.mark)
    whole = resolver.resolved(root, place)
    if resolver.problems:
        raise InputError(*resolver.problems)
    return whole


def _part(node: Node, name: str) -> Node:
    found = node.at(name)
    if found is None:
        raise InputError(node.problem("is required", name))
    return found


def link_trend(name: str) -> str:
    """What a link type grows as: a network port, a host's slot, or the links between devices."""
    if name.startswith("pcie"):
        return "host_bus"
    return "scale_out" if name.startswith(NETWORKS) else "link"


def _like(link: object) -> str:
    """The type a level's link is, or is like."""
    return str(link.get("like", "")) if isinstance(link, Mapping) else str(link)


def _link_rows(base: ClusterFile, node: Node, ahead: Ahead) -> list[Projected]:
    """One a level, in their order."""
    rows = []
    for number, level in enumerate(base.levels):
        link = resolve_link(node.at("levels", number, "link") or node, f"levels.{number}.link")
        kind = _like(level.link)
        rows.append(ahead.along(f"{level.name} link", link.bandwidth, link_trend(kind), kind))
    return rows


def _moved(level: LevelGroup, bandwidth: float) -> Mapping[str, object]:
    own = dict(level.link) if isinstance(level.link, Mapping) else {"like": level.link}
    return {**own, "bandwidth": bandwidth}


def _host_rows(host: Host | None, ahead: Ahead) -> list[Projected]:
    if host is None:
        return []
    return [
        ahead.along("host cores", float(host.cores), "host_cores"),
        ahead.along("host memory", host.memory_bytes, "host_memory"),
        ahead.along("host link", host.link_bandwidth, "host_bus"),
        ahead.along("core speed", host.core_speed, "single_thread"),
    ]


def _host_then(host: Host, at: Mapping[str, float], source: str) -> Host:
    return replace(
        host,
        cores=max(1, round(at["host cores"])),
        memory_bytes=at["host memory"],
        link_bandwidth=at["host link"],
        core_speed=at["core speed"],
        source=source,
        confidence=Confidence.D,
    )


_WAYS: Final = ("read", "write", "node_read", "node_write")


def _storage_rows(storage: Storage | None, ahead: Ahead) -> list[Projected]:
    if storage is None:
        return []
    trend, note = ("host_bus", "a drive of four lanes") if storage.local else ("scale_out", "as a port")
    known = {way: getattr(storage, way) for way in _WAYS}
    return [ahead.along(f"storage {way}", rate, trend, note) for way, rate in known.items() if rate is not None]


def _storage_then(storage: Storage, at: Mapping[str, float], source: str) -> Storage:
    read_, write, node_read, node_write = (at.get(f"storage {way}") for way in _WAYS)
    return replace(
        storage,
        read=read_,
        write=write,
        node_read=node_read,
        node_write=node_write,
        source=source,
        confidence=Confidence.D,
    )
