"""The frozen scenario: everything one simulation needs, in SI units, with no file and no YAML behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sim.device.records import Accelerator
from sim.network.records import Cluster, LinkType
from sim.ops import Format
from sim.plan.records import Sharding, TensorOverlap
from sim.scaling.records import Domain
from sim.workload.records import Numerics, Recompute


@dataclass(frozen=True, slots=True)
class Target:
    """What to train to: an error of the scaling domain, or a plain amount of data. Empty: the domain's own target."""

    error: float | None = field(default=None, metadata={"doc": "error to reach, in the domain's unit"})
    metric: str = field(default="", metadata={"doc": "unit of that error; refused where it is not the domain's"})
    samples: float | None = field(default=None, metadata={"doc": "samples to process instead of an error", "gt": 0})
    units: float | None = field(default=None, metadata={"doc": "units (tokens, words …) to process instead", "gt": 0})
    steps: float | None = field(default=None, metadata={"doc": "optimiser steps to take instead", "gt": 0})


@dataclass(frozen=True, slots=True)
class Workload:
    """A model family, its sizes, and how it is computed. Sizes left out are solved for `parameters`,
    or for the projected parameter count when that is empty too.
    """

    family: str = field(metadata={"doc": "model family (see `foretrain model`) or preset"})
    sizes: Mapping[str, object] = field(default_factory=dict, metadata={"doc": "sizes of the family"})
    parameters: float | None = field(default=None, metadata={"doc": "parameter count to solve for", "gt": 0})
    numerics: Numerics = field(default_factory=Numerics, metadata={"doc": "formats and kernels"})


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The plan as asked for: what is given is kept, what is empty takes its default, or with `search: true` whatever
    makes the step fastest.
    """

    search: bool = field(default=False, metadata={"doc": "search all plans for the fastest that fits"})
    sub_batch: int | None = field(
        default=None, metadata={"doc": "samples per device per pass; empty: smallest near the best time", "ge": 1}
    )
    global_batch: int | None = field(default=None, metadata={"doc": "samples per optimiser step", "ge": 1})
    data: int | None = field(default=None, metadata={"doc": "data-parallel ranks; empty: what is left over", "ge": 1})
    tensor: int | None = field(default=None, metadata={"doc": "tensor-parallel degree; empty: 1, or searched", "ge": 1})
    pipeline: int | None = field(
        default=None, metadata={"doc": "pipeline (layer) parallel degree; empty: 1, or searched", "ge": 1}
    )
    context: int | None = field(
        default=None, metadata={"doc": "context-parallel degree; empty: 1, or searched", "ge": 1}
    )
    expert: int | None = field(default=None, metadata={"doc": "expert-parallel degree; empty: 1, or searched", "ge": 1})
    sequence_parallel: bool | None = field(
        default=None,
        metadata={"doc": "split activations between tensor regions; empty: no, or with tensor where searched"},
    )
    virtual_stages: int | None = field(
        default=None, metadata={"doc": "model chunks per device (interleaving); empty: 1, or searched", "ge": 1}
    )
    schedule: Literal["1f1b", "gpipe"] = field(default="1f1b", metadata={"doc": "pipeline schedule"})
    stage_layers: tuple[int, ...] = field(default=(), metadata={"doc": "blocks per stage; empty: even"})
    sharding: Sharding | None = field(
        default=None, metadata={"doc": "what is sharded over data ranks (ZeRO); empty: none, or searched"}
    )
    shard_group: int = field(default=0, metadata={"doc": "ranks one sharded copy is spread over; 0: all", "ge": 0})
    recompute: Recompute | None = field(
        default=None, metadata={"doc": "activation recomputation; empty: none, or searched"}
    )
    recompute_layers: int | None = field(default=None, metadata={"doc": "only that many blocks per stage", "ge": 0})
    bucket_bytes: float = field(
        default=25e6, metadata={"doc": "gradients reduced together", "dimension": "bytes", "gt": 0}
    )
    overlap_gradients: bool = field(default=True, metadata={"doc": "reduce gradients during backward"})
    overlap_gathers: bool = field(default=True, metadata={"doc": "prefetch sharded parameters"})
    communication_format: Format | None = field(default=None, metadata={"doc": "format of gradients on the wire"})
    sparse_embeddings: bool = field(default=False, metadata={"doc": "exchange embedding gradients as rows"})
    duplicate_rows: bool = field(
        default=False, metadata={"doc": "rows that several ranks draw are gathered from each of them (Horovod, 2019)"}
    )
    offload: Literal["none", "optimizer", "activations"] = field(default="none", metadata={"doc": "to host memory"})
    layer_schedule: Literal["none", "wavefront", "pipelined"] = field(
        default="none", metadata={"doc": "overlap of a recurrent model's layers over time steps"}
    )
    embedding_shards: int = field(default=1, metadata={"doc": "pieces the embedding is cut into", "ge": 1})
    order: tuple[str, ...] | None = field(
        default=None,
        metadata={"doc": "rank order, innermost axis first; empty: tensor, context, data, pipeline, or searched"},
    )
    gather: Literal["all_gather", "broadcast"] = field(
        default="all_gather", metadata={"doc": "updated parameters as shards, or broadcast whole by their owners"}
    )
    gradient_buffer: Format | None = field(
        default=None, metadata={"doc": "format of a second copy of gradients kept for accumulation"}
    )
    overlap_sends: bool = field(
        default=True, metadata={"doc": "a stage computes on while its message to the next one leaves"}
    )
    overlap_experts: bool = field(
        default=False, metadata={"doc": "exchanges with experts run beside the kernels of another micro-batch"}
    )
    update_buffer: Format | None = field(
        default=None, metadata={"doc": "format of a copy of the gradients made for the update"}
    )
    spare_buffers: int = field(
        default=0, metadata={"doc": "micro-batches a pipeline stage keeps room for beyond those in flight", "ge": 0}
    )
    reserve_bytes: float = field(
        default=0.0, metadata={"doc": "fixed buffers of the framework", "dimension": "bytes", "ge": 0}
    )
    overlap_tensor: TensorOverlap = field(
        default="gradients", metadata={"doc": "tensor-parallel collectives that run beside a product"}
    )
    recompute_stop: bool = field(
        default=False, metadata={"doc": "full recomputation leaves out the last product, which backward never reads"}
    )
    gradient_passes: int = field(
        default=0, metadata={"doc": "passes over gradients before they are reduced (flattened, divided)", "ge": 0}
    )
    release_gradients: bool = field(
        default=False, metadata={"doc": "apply and free every gradient as soon as it is complete"}
    )


@dataclass(frozen=True, slots=True)
class PublishedInput:
    """A published figure that stands in for a model: shown as an input, never as a result."""

    value: float = field(metadata={"doc": "the figure"})
    source: str = field(metadata={"doc": "who published it"})


@dataclass(frozen=True, slots=True)
class SlowDevice:
    """A device whose kernels take `factor` times as long as those of its fellows."""

    rank: int = field(metadata={"doc": "rank of the device, from 0, in the plan's rank order", "ge": 0})
    factor: float = field(metadata={"doc": "times as long as on the other devices", "ge": 1})


@dataclass(frozen=True, slots=True)
class Training:
    """How training consumes data, and how unevenly the devices run."""

    passes: float | None = field(
        default=None,
        metadata={"doc": "passes over the data at small batch; empty: the domain's, else at least one", "gt": 0},
    )
    critical_batch: object = field(
        default=None, metadata={"doc": "critical batch with its unit, as `3945 samples`; empty: the domain's"}
    )
    units_per_sample: float | None = field(
        default=None, metadata={"doc": "units of data a sample consumes; empty: the domain's", "gt": 0}
    )
    compute_s: PublishedInput | None = field(
        default=None, metadata={"doc": "published compute time per step, replacing the device model"}
    )
    batch_tolerance: float = field(
        default=0.32, metadata={"doc": "sub-batch rule: within this of the best time per sample", "gt": 0, "lt": 1}
    )
    jitter: float = field(
        default=0.0,
        metadata={"doc": "relative standard deviation of every pass on every device; 0: none", "ge": 0, "lt": 1},
    )
    slow_devices: tuple[SlowDevice, ...] = field(default=(), metadata={"doc": "devices slower than the others"})


@dataclass(frozen=True, slots=True)
class Sweep:
    """A study over one key of the scenario."""

    key: str = field(metadata={"doc": "path of the field to vary"})
    values: tuple[object, ...] = field(metadata={"doc": "values it takes"})


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question to foretrain."""

    name: str
    workload: Workload
    cluster: Cluster
    accelerator: Accelerator
    target: Target = Target()
    scaling: Domain | None = None
    plan: PlanRequest = PlanRequest()
    training: Training = Training()
    study: Sweep | None = None
    description: str = ""
    framework: str = ""  # as named; what its release decides stands in the plan and the numerics
    software_date: str = ""
    links: Mapping[str, LinkType] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
