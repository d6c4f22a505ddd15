"""The frozen scenario: everything one simulation needs, in SI units, with no file and no YAML behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Final

from sim.axes import Axes
from sim.device.records import Accelerator
from sim.engine.campaign.request import Campaign
from sim.engine.feed.request import InputData
from sim.errors import InputError, Problem
from sim.fields import FILLED, Record, about, same_as
from sim.fields.changes import changed
from sim.network.optical import shape_of
from sim.network.records import Cluster, LinkType
from sim.network.resize import resize
from sim.network.surroundings import Host, Storage
from sim.plan.framework import Framework
from sim.plan.records import (
    AXES,
    LayerSchedule,
    Offload,
    PipelineSchedule,
    Plan,
    Sharding,
    order_problems,
    saved_ops_problems,
)
from sim.plan.speedups.request import SpeedupRequest
from sim.records import dataclass
from sim.scaling.records import Domain
from sim.workload.records import Numerics, Recompute, TableCut


@dataclass(frozen=True, slots=True)
class Target(Record):
    """What to train to: an error of the scaling domain, or a plain amount of data. Empty: the domain's own target."""

    error: float | None = field(default=None, metadata=about("error to reach, in the domain's unit", gt=0))
    metric: str = field(default="", metadata=about("unit of that error; refused where it is not the domain's"))
    samples: float | None = field(default=None, metadata=about("samples to process instead of an error", gt=0))
    units: float | None = field(default=None, metadata=about("units (tokens, words …) to process instead", gt=0))
    steps: float | None = field(default=None, metadata=about("optimiser steps to take instead", gt=0))


@dataclass(frozen=True, slots=True)
class Workload(Record):
    """A model family, its sizes, and how it is computed. Sizes left out are solved for `parameters`,
    or for the projected parameter count when that is empty too.
    """

    family: str = field(metadata=about("model family, or published model (see `foretrain model`)"))
    sizes: Mapping[str, object] = field(default_factory=dict, metadata=about("sizes of the family"))
    parameters: float | None = field(default=None, metadata=about("parameter count to solve for", gt=0))
    published: bool = field(
        default=False, metadata=about("the sizes are a published model's: kept whatever a projection says")
    )
    numerics: Numerics = field(default_factory=Numerics, metadata=about("formats and kernels"))


@dataclass(frozen=True, slots=True)
class PlanRequest(Record):
    """The plan as asked for: what is given is kept, what is empty takes its default, or with `search: true` whatever
    is best for the objective. Ranges are those of `Plan`.
    """

    search: bool = field(default=False, metadata=about("search all plans for the one best for the objective"))
    sub_batch: int | None = field(default=None, metadata=same_as(Plan, "sub_batch", "smallest near the best time"))
    global_batch: int | None = field(default=None, metadata=same_as(Plan, "global_batch"))
    data: int | None = field(default=None, metadata=same_as(Plan, "data", "what is left over"))
    tensor: int | None = field(default=None, metadata=same_as(Plan, "tensor", "1, or searched"))
    pipeline: int | None = field(default=None, metadata=same_as(Plan, "pipeline", "1, or searched"))
    context: int | None = field(default=None, metadata=same_as(Plan, "context", "1, or searched"))
    expert: int | None = field(
        default=None, metadata=same_as(Plan, "expert", "1, of tables all that share the model, or searched")
    )
    sequence_parallel: bool | None = field(default=None, metadata=same_as(Plan, "sequence_parallel", "no, or searched"))
    virtual_stages: int | None = field(default=None, metadata=same_as(Plan, "virtual_stages", "1, or searched"))
    schedule: PipelineSchedule = field(default=PipelineSchedule.ONE_F_ONE_B, metadata=same_as(Plan, "schedule"))
    stage_layers: tuple[int, ...] = field(default=(), metadata=same_as(Plan, "stage_layers"))
    sharding: Sharding | None = field(default=None, metadata=same_as(Plan, "sharding", "none, or searched"))
    shard_group: int = field(default=0, metadata=same_as(Plan, "shard_group"))
    recompute: Recompute | None = field(default=None, metadata=same_as(Plan, "recompute", "none, or searched"))
    recompute_layers: int | None = field(default=None, metadata=same_as(Plan, "recompute_layers"))
    saved_ops: tuple[str, ...] = field(default=(), metadata=same_as(Plan, "saved_ops"))
    sparse_embeddings: bool = field(default=False, metadata=same_as(Plan, "sparse_embeddings"))
    table_cut: TableCut = field(default=TableCut.ROWS, metadata=same_as(Plan, "table_cut"))
    replicated_rows: int | None = field(default=None, metadata=same_as(Plan, "replicated_rows"))
    offload: Offload = field(default=Offload.NONE, metadata=same_as(Plan, "offload"))
    layer_schedule: LayerSchedule = field(default=LayerSchedule.NONE, metadata=same_as(Plan, "layer_schedule"))
    embedding_shards: int = field(default=1, metadata=same_as(Plan, "embedding_shards"))
    order: tuple[str, ...] | None = field(
        default=None, metadata=same_as(Plan, "order", "tensor, context, data, pipeline, or searched")
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from order_problems(self.order or AXES)
        yield from saved_ops_problems(self.saved_ops, self.recompute, self.offload)


@dataclass(frozen=True, slots=True)
class PublishedInput(Record):
    """A published figure that stands in for a model: shown as an input, never as a result."""

    value: float = field(metadata=about("the figure"))
    source: str = field(metadata=about("who published it"))
    sub_batch: int = field(metadata=about("samples per device per pass it was published for", ge=1))
    peak_flops: float = field(metadata=about("peak of the chip it was published for", dimension="flops", gt=0))
    bandwidth: float = field(metadata=about("memory bandwidth of that chip", dimension="bandwidth", gt=0))


@dataclass(frozen=True, slots=True)
class SlowDevice(Record):
    """A device whose kernels take `factor` times as long as those of its fellows."""

    rank: int = field(metadata=about("rank of the device, from 0, in the plan's rank order", ge=0))
    factor: float = field(metadata=about("times as long as on the other devices", ge=1))


@dataclass(frozen=True, slots=True)
class Training(Record):
    """How training consumes data, and how unevenly the devices run."""

    passes: float | None = field(
        default=None,
        metadata=about("passes over the data at small batch; empty: the domain's, else at least one", gt=0),
    )
    critical_batch: object = field(
        default=None, metadata=about("critical batch with its unit, as `3945 samples`; empty: the domain's")
    )
    units_per_sample: float | None = field(
        default=None, metadata=about("units of data a sample consumes; empty: the domain's", gt=0)
    )
    compute_s: PublishedInput | None = field(
        default=None, metadata=about("published compute time per step, replacing the device model")
    )
    batch_tolerance: float = field(
        default=0.32, metadata=about("sub-batch rule: within this of the best time per sample", gt=0, lt=1)
    )
    jitter: float = field(
        default=0.0,
        metadata=about(
            "relative standard deviation of every pass on every device; 0: none, as on well-run nodes, whose epochs "
            "vary by 0.18 % on one node and 0.55 % on 2 to 16 (medians of MLPerf's logs v0.7-v2.0, own reduction)",
            ge=0,
            lt=1,
        ),
    )
    step_error: float = field(
        default=0.0, metadata=about("relative standard error of the simulated step, carried into the bands", ge=0, lt=1)
    )
    slow_devices: tuple[SlowDevice, ...] = field(default=(), metadata=about("devices slower than the others"))
    input: InputData | None = field(default=None, metadata=about("the data set on its way; empty: never waited for"))


class Objective(StrEnum):
    """What batch, sub-batch and, with `devices: auto`, the number of devices are chosen for."""

    TIME = "time"  # the earliest date of the target
    ENERGY = "energy"  # the least energy to the target
    COST = "cost"  # the least money to the target, as `campaign.prices` has it
    RATE = "rate"  # the device's rate: the smallest sub-batch near the best time per sample (PPoPP 2019, section 5.2.1)


@dataclass(frozen=True, slots=True)
class Scenario(Record):
    """One question to foretrain."""

    name: str = field(metadata=about("what results are called", pattern=FILLED))
    workload: Workload = field(metadata=about("the model and how it is computed"))
    cluster: Cluster = field(metadata=about("the devices and how they are joined"))
    accelerator: Accelerator = field(metadata=about("what the devices are"))
    target: Target = field(default=Target(), metadata=about("what to train to"))
    scaling: Domain | None = field(default=None, metadata=about("how error, data and model size go together"))
    plan: PlanRequest = field(default=PlanRequest(), metadata=about("how the model is laid over the cluster"))
    training: Training = field(default=Training(), metadata=about("how training consumes data"))
    objective: Objective = field(default=Objective.TIME, metadata=about("what plan and devices are chosen for"))
    cluster_choices: tuple[Cluster, ...] = field(
        default=(), metadata=about("parts of the cluster to choose from, `cluster.devices: auto`")
    )
    campaign: Campaign = field(default=Campaign(), metadata=about("what happens between the first step and the target"))
    host: Host | None = field(default=None, metadata=about("the node around the devices, `cluster.host`"))
    storage: Storage | None = field(default=None, metadata=about("of data and checkpoints, `cluster.storage`"))
    speedups: tuple[SpeedupRequest, ...] = field(default=(), metadata=about("algorithmic speed-ups"))
    study: Axes | None = field(default=None, metadata=about("fields varied over some values"))
    description: str = field(default="", metadata=about("a sentence for people"))
    framework: Framework = field(
        default=Framework(), metadata=about("its name, and what it decides where no release is named or known")
    )
    software_date: str = field(default="", metadata=about("of the software, where no release is named"))
    links: Mapping[str, LinkType] = field(default_factory=dict, metadata=about("link types by name"))
    sources: tuple[str, ...] = field(default=(), metadata=about("where the figures come from"))

    @property
    def sizes_open(self) -> bool:
        """Whether the number of devices is to be chosen."""
        return len({part.devices for part in self.cluster_choices}) > 1

    def on_part(self, devices: int, shape: str) -> Scenario:
        """On that part of the cluster, in that shape, where it was left open."""
        parts = (part for part in self.cluster_choices if part.devices == devices and shape_of(part) == shape)
        return replace(self, cluster=next(parts, self.cluster), cluster_choices=())

    def on_clusters(self, change: Callable[[Cluster], Cluster]) -> Scenario:
        """With the cluster and all it may be chosen from changed."""
        return replace(self, cluster=change(self.cluster), cluster_choices=tuple(map(change, self.cluster_choices)))

    def with_(self, path: str, value: object) -> Scenario:
        """The same scenario with `value` at `path`; `cluster.accelerator`, `cluster.host` and `cluster.storage` may be
        called as in a file, and `cluster.devices` makes the cluster larger or smaller.
        """
        path = path.removeprefix("cluster.") if path.startswith(_OF_CLUSTER) else path
        if path == "cluster.devices" and isinstance(value, int):
            return replace(self, cluster=resize(self.cluster, value), cluster_choices=())
        if path in ("accelerator", "cluster") and isinstance(value, str):
            hint = f"sim.load_{path}({value!r})"
            raise InputError(Problem("is a record here, not its name", path, value, hint=hint))
        if path.startswith("cluster."):
            return self.on_clusters(lambda part: changed(replace(self, cluster=part), path, value).cluster)
        return changed(self, path, value)

    def at_clock(self, clock: float) -> Scenario:
        """The same scenario with its devices at that clock."""
        chip = self.accelerator
        return self if chip.clock == clock else replace(self, accelerator=replace(chip, clock=clock))


_OF_CLUSTER: Final = ("cluster.accelerator", "cluster.host", "cluster.storage")


@dataclass(frozen=True, slots=True)
class Known:
    """A scenario known by all it says, for what is remembered of it: it holds mappings, and has no hash of its own."""

    text: str
    scenario: Scenario = field(compare=False)


def known(scenario: Scenario) -> Known:
    """The scenario by its text."""
    return Known(repr(scenario), scenario)
