"""Links, levels and clusters as data. Bandwidth is per direction, B/s; latency s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from sim.errors import Problem
from sim.fields import FILLED, Confidence, Record, Status, about, problem
from sim.records import dataclass


class Routing(StrEnum):
    """How a flow chooses among shortest paths."""

    STATIC = "static"
    ECMP = "ecmp"
    VALIANT = "valiant"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class LinkType(Record):
    """A kind of link (hardware/links.yaml): constants belong to the type, never to a system."""

    name: str = field(metadata=about("name of the type", pattern=FILLED))
    bandwidth: float = field(
        metadata=about(
            "one device's share in one direction over all its links of this type (NVLink3: 300 GB/s)",
            dimension="bandwidth",
            gt=0,
        )
    )
    latency_s: float = field(metadata=about("per message and link of its route", ge=0))
    efficiency: float = field(
        default=1.0, metadata=about("payload share of the raw rate that large transfers reach", gt=0, le=1)
    )
    base_s: float = field(default=0.0, metadata=about("software cost of launching a collective that uses it", ge=0))
    links_per_device: int = field(default=1, metadata=about("links of a device that share the bandwidth", ge=1))
    compute_share: float = field(
        default=0.0, metadata=about("share of a device's compute units a collective takes from kernels", ge=0, lt=1)
    )
    memory_share: float = field(
        default=0.0, metadata=about("share of a device's memory bandwidth a collective takes", ge=0, lt=1)
    )
    in_network_reduction: bool = field(default=False, metadata=about("switches add up what passes through them"))
    source: str = field(default="", metadata=about("where the figures come from"))
    reduction_efficiency: float = field(
        default=0.0, metadata=about("payload share an in-network all-reduce reaches; 0: as `efficiency`", ge=0, le=1)
    )
    fast_latency: float = field(
        default=1.0,
        metadata=about("latency and launch cost of the low-latency protocol (NCCL LL, LL128), relative", gt=0, le=1),
    )
    fast_bandwidth: float = field(
        default=0.0, metadata=about("payload rate of that protocol, relative; 0: there is none", ge=0, le=1)
    )
    message_base_s: float | None = field(
        default=None, metadata=about("launch of a message between two devices; empty: as `base_s`", ge=0)
    )
    hop_latency_s: float | None = field(
        default=None, metadata=about("per message and link between two switches; empty: as `latency_s`", ge=0)
    )
    confidence: Confidence = field(default=Confidence.B, metadata=about("A vendor or measured … D recalled or assumed"))


@dataclass(frozen=True, slots=True)
class Level(Record):
    """One level of a composed cluster, innermost first: `sizes` (one number, or the dimensions of a torus) members
    of the level below joined by `topology`."""

    name: str = field(metadata=about("node, rack, fabric …", pattern=FILLED))
    topology: str = field(metadata=about("how the members are joined"))
    sizes: tuple[int, ...] = field(metadata=about("members, or the dimensions of a torus or mesh", gt=0))
    link: LinkType = field(metadata=about("what joins them"))
    nics: float | None = field(
        default=None, metadata=about("links of this type per member (a node with 4 NICs for 8 devices: 4)", gt=0)
    )
    oversubscription: float = field(default=1.0, metadata=about("down / up capacity", ge=1))
    options: Mapping[str, float | int | str] = field(
        default_factory=dict, hash=False, metadata=about("of the topology")
    )

    @property
    def size(self) -> int:
        product = 1
        for n in self.sizes:
            product *= n
        return product


@dataclass(frozen=True, slots=True)
class Edge(Record):
    """One directed link of an arbitrary graph; endpoints are device numbers or switch names."""

    source: int | str = field(metadata=about("where it leaves", ge=0))
    target: int | str = field(metadata=about("where it arrives", ge=0))
    bandwidth: float = field(metadata=about("per direction", dimension="bandwidth", gt=0))
    latency_s: float = field(metadata=about("per message", ge=0))
    link: str = field(default="", metadata=about("its type"))

    def contradictions(self) -> Iterator[Problem]:
        if self.source == self.target:
            yield problem("target", "must be another node than the source", self.target)


@dataclass(frozen=True, slots=True)
class Optical(Record):
    """Optical circuit switches between blocks of devices: each job gets its own torus of whole blocks, and a failed
    block gives its place to a spare one."""

    block: tuple[int, ...] = field(metadata=about("devices of a block along each dimension, cabled for good", gt=0))
    reconfigure_s: float = field(
        metadata=about("until mirrors stand and links are up, when another block takes a place", ge=0)
    )
    source: str = field(default="", metadata=about("where the figures come from"))
    confidence: Confidence = field(default=Confidence.B, metadata=about("A vendor or measured … D recalled or assumed"))


@dataclass(frozen=True, slots=True)
class Cluster(Record):
    """Devices and how they are joined: by `levels` (innermost first) or by an arbitrary list of `edges`."""

    name: str = field(metadata=about("lower case with dashes", pattern=FILLED))
    accelerator: str = field(metadata=about("name of the accelerator"))
    devices: int = field(metadata=about("devices", gt=0))
    levels: tuple[Level, ...] = field(default=(), metadata=about("innermost first"))
    edges: tuple[Edge, ...] = field(default=(), metadata=about("links of a graph, instead of levels"))
    dead_links: tuple[tuple[str, str], ...] = field(default=(), metadata=about("pairs of devices or switches"))
    degraded_links: tuple[tuple[str, str, float], ...] = field(
        default=(), metadata=about("pairs, remaining share of the capacity", gt=0, le=1)
    )
    rank_order: tuple[int, ...] = field(default=(), metadata=about("device of each rank; empty: as numbered", ge=0))
    routing: Routing = field(default=Routing.STATIC, metadata=about("choice among equals"))
    optical: Optical | None = field(default=None, metadata=about("optical switches between blocks of the first level"))
    source: str = field(default="", metadata=about("where the figures come from"))
    confidence: Confidence = field(default=Confidence.B, metadata=about("A vendor or measured … D recalled or assumed"))
    status: Status = field(default=Status.HYPOTHETICAL, metadata=about("shipped, announced or hypothetical"))


class Group(NamedTuple):
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
