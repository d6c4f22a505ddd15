"""Links, levels and clusters as data. Bandwidth is per direction, B/s; latency s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LinkType:
    """A kind of link (hardware/links.yaml): constants belong to the type, never to a system.

    `bandwidth`: one device's share in one direction over all its links of this type (e.g. NVLink3: 300 GB/s).
    `latency_s`: per message and hop; `base_s`: fixed software cost of launching a collective that uses it
    (the knee of measured all-reduce curves); `message_base_s`: of a send between two devices.
    `efficiency`: payload share of the raw rate that large transfers reach.
    `compute_share`, `memory_share`: fraction of a device's compute units / memory bandwidth a collective takes
    from the kernels it overlaps.
    """

    name: str
    bandwidth: float
    latency_s: float
    efficiency: float = 1.0
    base_s: float = 0.0
    links_per_device: int = 1
    compute_share: float = 0.0
    memory_share: float = 0.0
    in_network_reduction: bool = False
    byte_j: float = 0.0
    source: str = ""
    reduction_efficiency: float = 0.0  # payload share an in-network all-reduce reaches; 0: as `efficiency`
    fast_latency: float = 1.0  # latency and launch cost of the low-latency protocol (NCCL LL/LL128), relative
    fast_bandwidth: float = 0.0  # payload rate of that protocol, relative; 0: there is none
    message_base_s: float | None = None  # launch of a message between two devices; None: as `base_s`
    confidence: str = "B"  # A vendor or measured … D recalled or assumed


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a composed cluster, innermost first: `sizes` (one number, or the dimensions of a torus) members
    of the level below joined by `topology`."""

    name: str
    topology: str  # switch, fully_connected, ring, torus, mesh, hybrid_cube_mesh, fat_tree, rail, dragonfly
    sizes: tuple[int, ...]
    link: LinkType
    nics: float | None = None  # links of this type per member of the level (a node with 4 NICs for 8 devices: 4)
    oversubscription: float = 1.0
    options: Mapping[str, float | int | str] = field(
        default_factory=dict, hash=False
    )  # topology-specific, e.g. leaf size

    @property
    def size(self) -> int:
        product = 1
        for n in self.sizes:
            product *= n
        return product


@dataclass(frozen=True, slots=True)
class Edge:
    """One directed link of an arbitrary graph; endpoints are device numbers or switch names."""

    source: int | str
    target: int | str
    bandwidth: float
    latency_s: float
    link: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Devices and how they are joined: by `levels` (innermost first) or by an arbitrary list of `edges`."""

    name: str
    accelerator: str
    devices: int
    levels: tuple[Level, ...] = ()
    edges: tuple[Edge, ...] = ()
    dead_links: tuple[tuple[str, str], ...] = ()  # names of graph nodes
    degraded_links: tuple[tuple[str, str, float], ...] = ()  # …, remaining fraction of the capacity
    rank_order: tuple[int, ...] = ()  # rank → device; empty: identity
    routing: str = "static"  # static, ecmp, valiant, adaptive
    source: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Ranks of one parallel axis: `size` ranks `stride` apart, for every group of that axis at the same time.

    Rank r belongs to the group of all ranks equal to r except in (r // stride) % size.
    `ranks` overrides with an explicit list (then only that group communicates).
    """

    size: int
    stride: int = 1
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectiveCost:
    """A collective's time is affine in its bytes for one algorithm: seconds(bytes) = fixed_s + bytes·per_byte_s."""

    algorithm: str
    fixed_s: float
    per_byte_s: float

    def seconds(self, nbytes: float) -> float:
        return self.fixed_s + nbytes * self.per_byte_s
