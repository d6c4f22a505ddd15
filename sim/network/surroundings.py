"""What stands around the devices: the node that hosts them, and the storage it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from sim.errors import Problem
from sim.fields import Confidence, Record, about
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Host(Record):
    """A node around its accelerators: hardware/hosts/*.yaml."""

    name: str = field(metadata=about("lower case with dashes"))
    accelerators: int = field(metadata=about("devices it hosts", ge=1))
    cores: int = field(metadata=about("physical cores", ge=1))
    memory_bytes: float = field(metadata=about("main memory, which also caches what was read", gt=0))
    link_bandwidth: float = field(
        metadata=about("to one device, one direction, all devices busy", dimension="bandwidth", gt=0)
    )
    core_speed: float = field(
        default=1.0,
        metadata=about("of one core, relative to a Xeon E5-2698 v4 of 2.2 GHz", gt=0),
    )
    source: str = field(default="", metadata=about("where the figures come from"))
    confidence: Confidence = field(
        default=Confidence.B, metadata=about("A vendor or measured, B secondary, C derived, D recalled or assumed")
    )


@dataclass(frozen=True, slots=True)
class Storage(Record):
    """Where data and checkpoints lie: hardware/storage/*.yaml. A limit left out is none, but one is needed each way."""

    name: str = field(metadata=about("lower case with dashes"))
    local: bool = field(default=False, metadata=about("disks in the nodes: a copy there is lost with its node"))
    read: float | None = field(default=None, metadata=about("all nodes together", dimension="bandwidth", gt=0))
    write: float | None = field(default=None, metadata=about("all nodes together", dimension="bandwidth", gt=0))
    node_read: float | None = field(default=None, metadata=about("one node", dimension="bandwidth", gt=0))
    node_write: float | None = field(default=None, metadata=about("one node", dimension="bandwidth", gt=0))
    node_requests: float | None = field(default=None, metadata=about("reads per second of one node", gt=0))
    source: str = field(default="", metadata=about("where the figures come from"))
    confidence: Confidence = field(
        default=Confidence.B, metadata=about("A vendor or measured, B secondary, C derived, D recalled or assumed")
    )

    def contradictions(self) -> Iterator[Problem]:
        for way in ("read", "write"):
            if getattr(self, way) is None and getattr(self, f"node_{way}") is None:
                yield Problem("storage needs a bandwidth: of all nodes together or of one", way)

    def read_bandwidth(self, nodes: int) -> float:
        """What `nodes` get together (B/s)."""
        return _least(self.read, self.node_read, nodes)

    def write_bandwidth(self, nodes: int) -> float:
        """What `nodes` can write together (B/s)."""
        return _least(self.write, self.node_write, nodes)


def _least(together: float | None, each: float | None, nodes: int) -> float:
    return min(together or float("inf"), each * nodes if each else float("inf"))


MEASURED_ON_BLOOM = Storage(
    name="bloom-checkpoints",
    node_read=1.2e9,
    node_write=1.2e9,
    source="BLOOM, bigscience train/tr11-176B-ml/README.md: 2.3 TB in 40 s from 48 nodes; reading taken as fast",
    confidence=Confidence.C,
)
"""The storage of a cluster that names none: what one node was seen to write."""
