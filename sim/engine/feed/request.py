"""What a sample is before an accelerator sees it: the `training.input` part of a scenario."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from sim.fields import Record, about
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class InputData(Record):
    """A data set on its way to the devices: scenarios/inputs/*.yaml."""

    name: str = field(metadata=about("lower case with dashes"))
    stored_bytes: float = field(metadata=about("of one sample in storage", gt=0))
    decoded_bytes: float = field(metadata=about("of one sample as the device takes it", gt=0))
    core_s: float = field(
        metadata=about(
            "core time of one sample (decode, augment) on the reference core (Xeon E5-2698 v4, 2.2 GHz)", ge=0
        )
    )
    requests: float = field(default=1.0, metadata=about("reads of storage per sample; shards: less than 1", ge=0))
    samples: float | None = field(
        default=None, metadata=about("of the data set; empty: too many for the memory of hosts to keep", gt=0)
    )
    cached_share: float = field(
        default=0.8, metadata=about("of a host's memory that keeps what was read (assumed)", ge=0, le=1)
    )
    prefetch: int = field(
        default=2, metadata=about("batches a device has ready or on their way (PyTorch's default, recalled)", ge=1)
    )
    workers: int | None = field(
        default=None,
        metadata=about("processes per device that decode, a core each; empty: all cores of the host", ge=1),
    )
    arrivals: Literal["steady", "poisson"] = field(
        default="steady", metadata=about("poisson: batches take exponential times, as from a shared store")
    )
    source: str = field(default="", metadata=about("where the figures come from"))
    confidence: Literal["A", "B", "C", "D"] = field(
        default="B", metadata=about("A vendor or measured, B secondary, C derived, D recalled or assumed")
    )
