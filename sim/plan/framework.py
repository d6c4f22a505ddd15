"""What a training framework decides: overlaps, buckets, copies, buffers. A scenario names a release and overrides."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Final

from sim.fields import Record, about
from sim.ops import Format
from sim.records import dataclass

FRAGMENTATION: Final = 0.03
"""Share an allocator holds beside what is in use. An assumption, no measurement."""


class TensorOverlap(StrEnum):
    """Which tensor-parallel collectives run beside a product: none (Megatron-LM before 3.0), those of the input
    gradient beside the product for the weight gradient, or all gathers and scatters in pieces beside the product
    they feed."""

    NONE = "none"
    GRADIENTS = "gradients"
    ALL = "all"


class ContextExchange(StrEnum):
    """How keys and values reach all context ranks: from neighbour to neighbour beside the attention to those at hand
    (ring attention; Megatron-Core, Transformer Engine), or gathered before it (Llama 3)."""

    RING = "ring"
    ALL_GATHER = "all_gather"


class Gather(StrEnum):
    """How sharded updates reach all ranks: as shards, or whole tensors by their owners."""

    ALL_GATHER = "all_gather"
    BROADCAST = "broadcast"


class BackwardPrefetch(StrEnum):
    """When the backward pass gathers the next fully sharded block: beside the gradients of the running one (FSDP's
    BACKWARD_PRE), after them and ahead of their reduction (BACKWARD_POST), or behind that reduction (no prefetch)."""

    PRE = "pre"
    POST = "post"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Framework(Record):
    """What a framework does with a plan. Each field is the named release's where the user does not state it."""

    name: str = field(default="", metadata=about("`NAME@RELEASE`, or `NAME` for its newest release; empty: none named"))
    bucket_bytes: float = field(default=25e6, metadata=about("gradients reduced together", dimension="bytes", gt=0))
    overlap_gradients: bool = field(default=True, metadata=about("reduce gradients during backward"))
    overlap_gathers: bool = field(default=True, metadata=about("prefetch sharded parameters"))
    backward_prefetch: BackwardPrefetch = field(
        default=BackwardPrefetch.PRE,
        metadata=about(
            "in backward, the next fully sharded block is gathered beside the running one's gradients (pre), after "
            "them (post), or behind their reduction (none)"
        ),
    )
    reshard_after_forward: bool = field(
        default=True, metadata=about("fully sharded blocks are given up after forward and gathered again for backward")
    )
    live_parameters: float | None = field(
        default=None,
        metadata=about(
            "fully sharded parameters that are whole at once, at most; gradients then leave tensor by tensor "
            "(DeepSpeed). Empty: two blocks, and the gradients of one",
            gt=0,
        ),
    )
    overlap_replicas: bool = field(
        default=True,
        metadata=about("gradients are summed over the copies of a sharded group during backward; else once, after it"),
    )
    overlap_sends: bool = field(
        default=True, metadata=about("a stage computes on while its message to the next one leaves")
    )
    overlap_tensor: TensorOverlap = field(
        default=TensorOverlap.GRADIENTS, metadata=about("tensor-parallel collectives that run beside a product")
    )
    overlap_experts: bool = field(
        default=False,
        metadata=about("exchanges with experts run beside the kernels of another micro-batch (DualPipe)"),
    )
    context_exchange: ContextExchange = field(
        default=ContextExchange.RING,
        metadata=about("keys and values of context ranks: in a ring beside attention, or gathered before it"),
    )
    communication_format: Format | None = field(
        default=None, metadata=about("format of gradients on the wire; empty: as stored")
    )
    gather: Gather = field(
        default=Gather.ALL_GATHER,
        metadata=about("updated parameters as shards, or broadcast whole by their owners"),
    )
    gradient_passes: int = field(
        default=0, metadata=about("passes over gradients before they are reduced (flattened, divided)", ge=0)
    )
    gradient_buffer: Format | None = field(
        default=None, metadata=about("format of a second copy of gradients kept for accumulation (DeepSpeed: fp32)")
    )
    update_buffer: Format | None = field(
        default=None, metadata=about("format of a copy of the gradients made for the update (DeepSpeed)")
    )
    release_gradients: bool = field(
        default=False, metadata=about("apply and free every gradient as soon as it is complete")
    )
    duplicate_rows: bool = field(
        default=False,
        metadata=about("rows that several ranks draw are gathered from each of them (Horovod's IndexedSlices, 2019)"),
    )
    spare_buffers: int = field(
        default=0, metadata=about("micro-batches a pipeline stage keeps room for beyond those in flight", ge=0)
    )
    gap_s: float = field(
        default=0.0,
        metadata=about("the device waits that long for the host between two steps", dimension="seconds", ge=0),
    )
    evaluation_gap_s: float = field(
        default=0.0,
        metadata=about(
            "the devices wait that long for the host to turn to an evaluation and back", dimension="seconds", ge=0
        ),
    )
    reserve_bytes: float = field(default=0.0, metadata=about("fixed buffers of the framework", dimension="bytes", ge=0))
    fragmentation: float = field(
        default=FRAGMENTATION,
        metadata=about("share of activations, workspace and buffers that the allocator holds beside them", ge=0, lt=1),
    )
    dummy_gradients: bool = field(
        default=False,
        metadata=about(
            "an empty gradient is kept for every shape of weights whose gradient is summed inside its product "
            "(Transformer Engine)"
        ),
    )
    recompute_stop: bool = field(
        default=False,
        metadata=about("full recomputation leaves out the last product, which backward never reads"),
    )

    def gathers_when(self, forward: bool) -> BackwardPrefetch:
        """When a pass over fully sharded blocks gathers the next one; without overlap behind all that was before."""
        if not self.overlap_gathers:
            return BackwardPrefetch.NONE
        return BackwardPrefetch.PRE if forward else self.backward_prefetch
