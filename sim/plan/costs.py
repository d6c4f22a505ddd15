"""A step as the engine needs it: what every stage computes and communicates, in seconds, with no model or chip left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LayerKind = Literal["embedding", "block", "head"]


@dataclass(frozen=True, slots=True)
class Work:
    """One pass of one block on one device (s); `seconds` holds the collectives inside it (`communication_s`)."""

    seconds: float
    memory_bound_s: float = 0.0
    overhead_s: float = 0.0
    communication_s: float = 0.0
    communication: tuple[tuple[str, float], ...] = ()  # axis → s, also where hidden under compute
    executed_flops: float = 0.0
    dram_bytes: float = 0.0
    stretch: float = 1.0  # times longer beside a gradient or parameter collective


@dataclass(frozen=True, slots=True)
class Message:
    """A collective of a stage's own stream: `place` blocks of its chunk run before it (backward: from the end)."""

    name: str
    axis: str
    seconds: float
    bytes: float
    place: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """`count` equal blocks; gather and reduction of one block's parameters where they are fully sharded."""

    name: str
    kind: LayerKind
    count: int
    forward: Work
    backward: Work  # with recomputation
    parameter_bytes: float = 0.0
    gather: Message | None = None
    regather: bool = True  # gathered once more for backward (False: kept after forward)
    reduce: Message | None = None
    offload_s: float = 0.0  # moving saved activations to the host, per pass


@dataclass(frozen=True, slots=True)
class Chunk:
    """The blocks of one virtual stage. Messages run once per step: gathers of the parameters updated in the step
    before, by the first forward pass; reductions of gradients, after (or during) the last backward pass."""

    blocks: tuple[Block, ...]
    gathers: tuple[Message, ...] = ()
    reductions: tuple[Message, ...] = ()

    @property
    def forward_s(self) -> float:
        return sum(b.forward.seconds * b.count for b in self.blocks)

    @property
    def backward_s(self) -> float:
        return sum(b.backward.seconds * b.count for b in self.blocks)


@dataclass(frozen=True, slots=True)
class Stage:
    """One class of identical ranks: the devices of one pipeline stage."""

    devices: int
    chunks: tuple[Chunk, ...]
    update: Work = Work(0.0)
    offload_s: float = 0.0  # moving the offloaded optimiser state, per step

    @property
    def pass_s(self) -> float:
        """Forward and backward of one micro-batch."""
        return sum(c.forward_s + c.backward_s for c in self.chunks)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything one step needs. `send_s`: activations (or their gradient) of a micro-batch from stage to stage."""

    stages: tuple[Stage, ...]
    micro_batches: int
    replicas: int  # pipelines that run side by side (data-parallel copies)
    ranks_per_stage_and_replica: int
    schedule: Literal["1f1b", "gpipe"] = "1f1b"
    send_s: float = 0.0
    send_bytes: float = 0.0
    overlap_gradients: bool = True
    overlap_gathers: bool = True
    overlap_sends: bool = True
    reduce_every_pass: bool = False  # sharded gradients are reduced after every backward pass
    tied: Message | None = None  # embedding gradient shared by first and last stage
    norm: Message | None = None  # global gradient norm
    layer_schedule: Literal["none", "wavefront", "pipelined"] = "none"
    time_steps: int = 1
    data_level: int = -1  # level of links the gradient collectives cross
    send_level: int = -1
    steals: bool = False
    model_flops: float = 0.0

    @property
    def chunks(self) -> int:
        """Virtual stages per device."""
        return len(self.stages[0].chunks)
