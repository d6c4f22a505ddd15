"""How a model is laid over a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from math import inf
from typing import Final

from sim.errors import Problem
from sim.fields import Record, about, did_you_mean
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.framework import ContextExchange, Framework
from sim.records import dataclass
from sim.workload.checkpoints import saved_entry
from sim.workload.records import Policy, Recompute, TableCut

AXES: Final = ("tensor", "context", "data", "pipeline")
"""Parallel axes that multiply to the devices, innermost first."""
DEGREES: Final = (*AXES, "expert")
"""Every degree of a plan; experts cut ranks that are there already."""


def order_problems(order: tuple[str, ...]) -> Iterator[Problem]:
    """A rank order names every axis once."""
    if sorted(order) != sorted(AXES):
        yield Problem(f"must name each of {', '.join(AXES)} once", "order", ", ".join(order))


CUTS: Final = {"tensor": ("heads", "{} attention heads"), "context": ("sequence", "sequence of {}")}
"""Axes that cut a size of the model, which they must divide."""


def saved_ops_problems(saved_ops: tuple[str, ...], recompute: Recompute | None, offload: Offload) -> Iterator[Problem]:
    """Ops are kept of what is otherwise run again, and only ops kept are offloaded."""
    if saved_ops and recompute not in (Recompute.SELECTIVE, Recompute.FULL):
        yield Problem("are what recomputation keeps", "saved_ops", ", ".join(saved_ops), hint="recompute: selective")
    for text in saved_ops:
        form = saved_entry(text)[1]
        if ":" in text and form not in BYTES_PER_ELEMENT:
            yield Problem(
                "must be kept in a known format", "saved_ops", text, hint=did_you_mean(form, BYTES_PER_ELEMENT)
            )
    for text in dict.fromkeys(text for text in saved_ops if saved_ops.count(text) > 1):
        yield Problem("is listed twice", "saved_ops", text)
    if offload == Offload.SAVED_OPS and not saved_ops:
        yield Problem("needs saved_ops", "offload", offload)


class Sharding(StrEnum):
    """What is cut over the data-parallel ranks: ZeRO-0 to ZeRO-3 (FSDP)."""

    NONE = "none"
    OPTIMIZER = "optimizer"
    GRADIENTS = "gradients"
    FULL = "full"


class PipelineSchedule(StrEnum):
    """Order of forward and backward passes in a pipeline."""

    ONE_F_ONE_B = "1f1b"
    GPIPE = "gpipe"
    ZB_H1 = "zb-h1"
    ZB_V = "zb-v"
    DUALPIPE = "dualpipe"

    @property
    def splits(self) -> bool:
        """Whether gradients of weights are computed apart from those of inputs."""
        return self in (PipelineSchedule.ZB_H1, PipelineSchedule.ZB_V, PipelineSchedule.DUALPIPE)

    @property
    def two_way(self) -> bool:
        """Whether a stage holds two parts of the model, of which the second runs towards the first stage."""
        return self in (PipelineSchedule.ZB_V, PipelineSchedule.DUALPIPE)


class Offload(StrEnum):
    """What is kept in the host's memory: the optimiser's state, all activations, or the results of `saved_ops`."""

    NONE = "none"
    OPTIMIZER = "optimizer"
    ACTIVATIONS = "activations"
    SAVED_OPS = "saved_ops"


class LayerSchedule(StrEnum):
    """How layers of a recurrent model overlap over time steps."""

    NONE = "none"
    WAVEFRONT = "wavefront"
    PIPELINED = "pipelined"


@dataclass(frozen=True, slots=True)
class Plan(Record):
    """Degrees of every parallel axis and what goes with them. devices = data·tensor·pipeline·context
    (expert divides data·context).  Rank order, innermost first: `order`."""

    sub_batch: int = field(metadata=about("samples per device per pass", ge=1))
    global_batch: int = field(metadata=about("samples per optimiser step", ge=1))
    data: int = field(default=1, metadata=about("data-parallel ranks", ge=1))
    tensor: int = field(default=1, metadata=about("tensor-parallel degree", ge=1))
    pipeline: int = field(default=1, metadata=about("pipeline (layer) parallel degree", ge=1))
    context: int = field(default=1, metadata=about("context-parallel degree", ge=1))
    expert: int = field(default=1, metadata=about("expert-parallel degree", ge=1))
    sequence_parallel: bool = field(default=False, metadata=about("split activations between tensor regions"))
    virtual_stages: int = field(default=1, metadata=about("model chunks per device (interleaving)", ge=1))
    schedule: PipelineSchedule = field(default=PipelineSchedule.ONE_F_ONE_B, metadata=about("pipeline schedule"))
    stage_layers: tuple[int, ...] = field(default=(), metadata=about("blocks per stage; empty: even", ge=1))
    sharding: Sharding = field(default=Sharding.NONE, metadata=about("what is sharded over data ranks (ZeRO)"))
    shard_group: int = field(default=0, metadata=about("ranks one sharded copy is spread over; 0: all", ge=0))
    recompute: Recompute = field(default=Recompute.NONE, metadata=about("activation recomputation"))
    recompute_layers: int | None = field(default=None, metadata=about("only that many blocks per stage", ge=0))
    saved_ops: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "ops whose results recomputation keeps, all others run again: names, patterns (`mlp.*`), or `products` "
            "(`products/2`: every second of a block, from the first; query, key and value are three); `mlp.up:fp8` is "
            "kept in that format"
        ),
    )
    sparse_embeddings: bool = field(default=False, metadata=about("exchange embedding gradients as rows"))
    table_cut: TableCut = field(
        default=TableCut.ROWS,
        metadata=about("how the tables of a recommendation model lie over `expert` ranks: by rows, columns, or whole"),
    )
    replicated_rows: int | None = field(
        default=None,
        metadata=about("tables of at most so many rows stand on every rank; empty: where that moves fewer bytes", ge=0),
    )
    offload: Offload = field(default=Offload.NONE, metadata=about("to host memory"))
    layer_schedule: LayerSchedule = field(
        default=LayerSchedule.NONE, metadata=about("overlap of a recurrent model's layers over time steps")
    )
    embedding_shards: int = field(default=1, metadata=about("pieces the embedding is cut into", ge=1))
    order: tuple[str, ...] = field(default=AXES, metadata=about("rank order, innermost axis first"))
    framework: Framework = field(default=Framework(), metadata=about("what the framework makes of it"))

    def contradictions(self) -> Iterator[Problem]:
        yield from order_problems(self.order)
        yield from saved_ops_problems(self.saved_ops, self.recompute, self.offload)

    @property
    def policy(self) -> Policy:
        """What is kept for backward: by name, or by op."""
        return self.saved_ops or self.recompute

    @property
    def ring(self) -> bool:
        """Whether keys and values travel from neighbour to neighbour beside attention."""
        return self.context > 1 and self.framework.context_exchange == ContextExchange.RING

    @property
    def devices(self) -> int:
        return self.data * self.tensor * self.pipeline * self.context

    @property
    def copies(self) -> int:
        """Ranks that hold the same weights, whose gradients are summed."""
        return self.data * self.context

    @property
    def micro_batches(self) -> int:
        """Passes of one data-parallel rank per step."""
        return self.global_batch // (self.sub_batch * self.data)

    @property
    def directions(self) -> int:
        """Ends of the pipeline at which micro-batches enter, each with a copy of the model."""
        return 2 if self.schedule == PipelineSchedule.DUALPIPE else 1

    @property
    def passes(self) -> int:
        """Micro-batches that go through every chunk of a stage."""
        return self.micro_batches // self.directions

    @property
    def chunks(self) -> int:
        """Parts of the model a stage holds."""
        return 2 if self.schedule.two_way else self.virtual_stages

    @property
    def places(self) -> int:
        """Virtual stages the model is cut into."""
        return self.pipeline * self.chunks // self.directions

    @property
    def borders(self) -> int:
        """Times a micro-batch leaves a stage for another on its way forward; the way back of ZB-V begins where the way
        down ends."""
        return self.places - (2 if self.schedule == PipelineSchedule.ZB_V else 1)


GIVEN_BACK: Final = ("fragmentation", "cached")
"""Kinds an allocator frees before it is out of memory (PyTorch: cached blocks that are not split)."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes by kind on one class of devices; `fits` compares with capacity less reserve."""

    name: str  # e.g. "stage 0"
    count: int
    bytes_by_kind: Mapping[str, float]  # weights, gradients, optimizer, master, activations …
    capacity_bytes: float
    offloaded_bytes: float = 0.0  # offloaded, at the fullest moment
    tiers_bytes: float = inf  # what the memory beside it holds

    @property
    def total_bytes(self) -> float:
        return sum(self.bytes_by_kind.values())

    @property
    def needed_bytes(self) -> float:
        """Without what the allocator gives back when memory is short."""
        return sum(nbytes for kind, nbytes in self.bytes_by_kind.items() if kind not in GIVEN_BACK)

    @property
    def tight(self) -> bool:
        """Whether it fits only once the allocator gives free blocks back, which takes time that is not modelled."""
        return self.fits and self.total_bytes > self.capacity_bytes

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.capacity_bytes and self.offloaded_bytes <= self.tiers_bytes
