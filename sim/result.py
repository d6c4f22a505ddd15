"""The frozen result of one simulation. Everything below (`study`, `report`, `cli`) only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Final

from sim.answer import Answer
from sim.engine.campaign.records import CampaignResult
from sim.engine.records import Spread, Step
from sim.errors import Lever
from sim.plan.energy import Energy
from sim.plan.expense import Site
from sim.plan.records import DeviceMemory, Plan
from sim.plan.sub_batch import SubBatch
from sim.records import dataclass
from sim.scaling import CriticalBatch, Projection

if TYPE_CHECKING:
    from sim.search.plans import Found

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TimeToTarget:
    """Time to the target (s) and what it is made of.

    `seconds` counts the samples the global batch needs, E_min·(1 + B/B_c); `days_per_epoch` one pass over the data
    as the domain counts samples; `days_per_epoch_full` the same pass when every unrolled step is a unit of data.
    """

    seconds: float
    steps: float
    samples: float
    days_per_epoch: float
    days_per_epoch_full: float | None
    critical_batch: CriticalBatch | None
    alternatives: tuple[tuple[CriticalBatch, float], ...] = ()  # other published critical batches → seconds
    passes: float | None = None  # over the data at small batch; None: the target is an amount of data
    at_least: str = ""  # why the time is a lower bound
    passes_source: str = ""
    p05_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """5th, 50th and 95th percentile."""

    p05: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Cause:
    """One uncertain input: its share of the variance of ln time, and of every other headline number it moves; the band
    of the time (s) with it alone."""

    name: str
    share: float
    time_s: Band
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Bands of the headline numbers by name (unit in the name), and where they come from, the largest cause first."""

    samples: int
    bands: Mapping[str, Band]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Price of the devices (USD) and the share of their life the training takes."""

    devices_usd: float | None  # purchase of all devices; None: rented, and no price known
    device_hours: float | None  # to the target
    total_usd: float | None = None  # of the training: its share of a purchase, or rent; energy
    by_kind: Mapping[str, float] = field(default_factory=dict)  # USD


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits the step, in a word and a sentence, and what would help most."""

    limit: str  # compute, memory, communication, bubble, overhead, input
    statement: str
    levers: tuple[Lever, ...] = ()


@dataclass(frozen=True, slots=True)
class Inherited:
    """A constant a chip's file leaves to its generation; `slowdown` is the step over that without the loss."""

    constant: str
    value: float  # share, or SI
    generation: str
    slowdown: float


@dataclass(frozen=True, slots=True)
class Saving:
    """What a speed-up saves of the whole training (shares; negative: costs more), beside what is published."""

    name: str
    flops: float
    time: float
    energy: float | None  # None: the accelerator has no power figures
    memory: float  # of the fullest device
    accuracy_points: float | None  # None: not published
    kind: str
    component: str
    published: str
    published_time: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Speedups:
    """Each speed-up alone and all together; `product` is what the parts would give if savings multiplied."""

    alone: tuple[Saving, ...]
    together: Saving
    product: float
    before: Bottleneck
    after: Bottleneck


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the figures of one part of the scenario come from."""

    part: str  # path in the scenario
    source: str
    confidence: str = ""  # empty: the part does not grade its sources


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the result rests on."""

    version: str
    evidence: tuple[Evidence, ...]
    inputs: tuple[str, ...]  # published figures that stand in for a model
    inherited: tuple[Inherited, ...] = ()  # constants of a chip nobody measured

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source once."""
        return tuple(dict.fromkeys(one.source for one in self.evidence))


@dataclass(frozen=True, slots=True)
class Result(Answer):
    """One answer. A part that is None has its reason in `missing`."""

    REPORT: ClassVar[str] = "sim.report.run"

    name: str
    description: str
    workload: str
    accelerator: str
    cluster: str
    devices: int
    parameters: float
    active_parameters: float
    units_per_sample: float  # units (tokens …) the computation of one sample processes
    projection: Projection | None
    plan: Plan
    sub_batch: SubBatch | None
    memory: tuple[DeviceMemory, ...]
    step: Step
    mfu: float
    hfu: float
    time_to_target: TimeToTarget | None
    energy: Energy | None
    cost: Cost | None
    bottleneck: Bottleneck
    extrapolated: tuple[str, ...]
    provenance: Provenance
    spread: Spread | None = None  # of the step, under jitter
    campaign: CampaignResult | None = None
    speedups: Speedups | None = None
    site: Site | None = None  # energy from the devices out to the grid, carbon
    shape: str = ""  # of the torus that optical switches join the devices to
    objective: str = ""  # what batch and devices were chosen for
    considered: int = 0  # plans weighed for it
    uncertainty: Uncertainty | None = None
    search: Found | None = None  # the plans it was chosen from
    missing: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)  # names of the other parts of the scenario

    @property
    def fullest(self) -> DeviceMemory:
        """The class of devices with the most memory in use."""
        return max(self.memory, key=lambda m: m.total_bytes)
