"""How a model is laid over a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.ops import Format
from sim.workload.records import Recompute

Sharding = Literal["none", "optimizer", "gradients", "full"]  # ZeRO-0 … ZeRO-3 (FSDP)
TensorOverlap = Literal["none", "gradients", "all"]
"""Which tensor-parallel collectives run beside a product: none (Megatron-LM before 3.0), those of the input gradient
beside the product for the weight gradient, or all gathers and scatters in pieces beside the product they feed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Degrees of every parallel axis and what goes with them. devices = data·tensor·pipeline·context
    (expert divides data·context).  Rank order, innermost first: `order`."""

    sub_batch: int
    global_batch: int
    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    expert: int = 1
    sequence_parallel: bool = False
    virtual_stages: int = 1
    schedule: Literal["1f1b", "gpipe"] = "1f1b"
    stage_layers: tuple[int, ...] = ()  # blocks per (virtual) stage; empty: as even as possible
    sharding: Sharding = "none"
    shard_group: int = 0  # ranks one copy of the sharded state is spread over; 0: all of `data`
    recompute: Recompute = "none"
    recompute_layers: int | None = None  # recompute only that many blocks per stage
    bucket_bytes: float = 25e6
    overlap_gradients: bool = True
    overlap_gathers: bool = True  # prefetch of sharded parameters
    communication_format: Format | None = None  # of gradients on the wire; None: as stored
    sparse_embeddings: bool = False  # exchange embedding gradients as rows by all-gather
    duplicate_rows: bool = False  # rows that several ranks draw are gathered from each (Horovod's IndexedSlices)
    offload: Literal["none", "optimizer", "activations"] = "none"
    layer_schedule: Literal["none", "wavefront", "pipelined"] = "none"  # layer parallelism of recurrent models
    embedding_shards: int = 1
    order: tuple[str, ...] = ("tensor", "context", "data", "pipeline")
    gather: Literal["all_gather", "broadcast"] = "all_gather"  # updated parameters: shards, or whole tensors by owner
    gradient_buffer: Format | None = None  # second copy of gradients kept for accumulation (DeepSpeed: fp32)
    release_gradients: bool = False  # every gradient is applied, and its memory freed, as soon as it is complete
    overlap_sends: bool = True  # False: a stage waits until its message to the next one has left
    overlap_tensor: TensorOverlap = "gradients"
    overlap_experts: bool = False  # exchanges with experts beside the kernels of another micro-batch (DualPipe)
    update_buffer: Format | None = None  # copy of the gradients a device updates with, made for the update (DeepSpeed)
    spare_buffers: int = 0  # micro-batches a stage keeps room for beyond those in flight (DeepSpeed: 1)
    reserve_bytes: float = 0.0  # fixed buckets and communicators of the framework
    recompute_stop: bool = False  # recomputation ends with the last tensor backward reads: the last product is left out
    gradient_passes: int = 0  # passes over gradients before a reduction: flattened, divided by the ranks

    @property
    def devices(self) -> int:
        return self.data * self.tensor * self.pipeline * self.context

    @property
    def micro_batches(self) -> int:
        """Passes of one data-parallel rank per step."""
        return self.global_batch // (self.sub_batch * self.data)


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes by kind on one class of devices; `fits` compares with capacity less reserve."""

    name: str  # e.g. "stage 0"
    count: int
    bytes_by_kind: Mapping[str, float]  # weights, gradients, optimizer, master, activations …
    capacity_bytes: float

    @property
    def total_bytes(self) -> float:
        return sum(self.bytes_by_kind.values())

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.capacity_bytes
