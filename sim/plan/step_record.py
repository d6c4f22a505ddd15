"""The step record: what one optimiser step runs, listed once, with what every part takes.

Per stage the blocks with their ops, seconds, bytes and FLOPs, the update, and the transfers between devices with axis,
bytes and place. SimPy, the recursion, the closed form, energy, `ops`, the bottleneck and every search read it; nothing
else lists or prices the ops of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Literal

from sim.device.records import Executed
from sim.ops import Op, total_bytes, total_flops
from sim.plan.records import Plan, Sharding
from sim.records import dataclass

LayerKind = Literal["embedding", "block", "head"]


class Way(IntEnum):
    """What a pass through a block runs; odd: forward. `INPUTS` and `WEIGHTS` are the halves of a backward pass,
    `BESIDE` runs next to a pass the other way, which hides its exchanges with experts."""

    BACKWARD = 0
    FORWARD = 1
    BACKWARD_BESIDE = 2
    FORWARD_BESIDE = 3
    INPUTS = 4
    WEIGHTS = 6

    @property
    def forward(self) -> bool:
        return self % 2 == 1

    @property
    def words(self) -> str:
        """As the timeline names it."""
        if self in (Way.INPUTS, Way.WEIGHTS):
            return f"gradients of {self.name.lower()}"
        return "forward" if self.forward else "backward"


@dataclass(frozen=True, slots=True)
class Work:
    """One pass of one block on one device (s); `seconds` holds the collectives inside it (`communication_s`).

    `ops` in the order they run, the first `recomputed` of them for the second time.
    """

    seconds: float
    memory_bound_s: float = 0.0
    overhead_s: float = 0.0
    communication_s: float = 0.0
    communication: tuple[tuple[str, float], ...] = ()  # axis → s, also where hidden under compute
    executed_flops: float = 0.0
    dram_bytes: float = 0.0
    sent_bytes: float = 0.0  # by one device in the collectives inside
    stretch: float = 1.0  # times longer beside a gradient or parameter collective
    ops: tuple[Op, ...] = ()
    recomputed: int = 0
    share: float = 1.0  # of the times it is listed it runs (speed-ups that skip or repeat it)

    @property
    def kernel_s(self) -> float:
        """Without the collectives."""
        return self.seconds - self.communication_s


@dataclass(frozen=True, slots=True)
class Transfer:
    """A collective or message of a stage's own stream: `place` blocks of its chunk run before it (backward: from the
    end). `bytes` is the buffer of one rank, `sent_bytes` what one device puts on its links for it."""

    name: str
    axis: str
    seconds: float
    bytes: float
    place: int = 0
    sent_bytes: float = 0.0

    def at(self, place: int) -> Transfer:
        """The same at another place."""
        return Transfer(self.name, self.axis, self.seconds, self.bytes, place, self.sent_bytes)


@dataclass(frozen=True, slots=True)
class Block:
    """`count` equal blocks; gather and reduction of one block's parameters where they are fully sharded."""

    name: str
    kind: LayerKind
    count: int
    forward: Work
    backward: Work  # with recomputation
    gather: Transfer | None = None
    regather: bool = True  # gathered once more for backward (False: kept after forward)
    reduce: Transfer | None = None
    offload_s: float = 0.0  # moving saved activations to the host, per pass
    others: tuple[tuple[Way, Work], ...] = ()  # the same work in halves, or beside another pass, where it is run so

    def work(self, way: Way) -> Work:
        """What a pass runs; a backward pass without halves is all gradients of inputs."""
        for other, work in self.others:
            if other == way:
                return work
        if way == Way.WEIGHTS:
            return Work(0.0)
        return self.forward if way.forward else self.backward


@dataclass(frozen=True, slots=True)
class Chunk:
    """The blocks of one virtual stage. Transfers run once per step: gathers of the parameters updated in the step
    before, by the first forward pass; reductions of gradients, after (or during) the last backward pass."""

    blocks: tuple[Block, ...]
    gathers: tuple[Transfer, ...] = ()
    reductions: tuple[Transfer, ...] = ()

    def seconds(self, way: Way) -> float:
        """Of a pass through all blocks."""
        return sum(b.work(way).seconds * b.count for b in self.blocks)

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
    across: Transfer | None = None  # gradients summed over the copies of a sharded group, once backward is done
    mirror: Transfer | None = None  # … with those of the stage that holds the same parts (DualPipe)

    @property
    def pass_s(self) -> float:
        """Forward and backward of one micro-batch."""
        return sum(c.forward_s + c.backward_s for c in self.chunks)

    def passes(self) -> Iterator[tuple[Block, Work]]:
        """Every block with its forward and its backward pass; each runs `block.count` times per micro-batch."""
        for chunk in self.chunks:
            for block in chunk.blocks:
                yield block, block.forward
                yield block, block.backward


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of `plan`. `send`: activations (or their gradient) of a micro-batch from stage to stage."""

    plan: Plan
    stages: tuple[Stage, ...]
    send: Transfer | None = None
    tied: Transfer | None = None  # embedding gradient shared by first and last stage
    norm: Transfer | None = None  # global gradient norm
    time_steps: int = 1  # of a recurrent model
    data_level: int = -1  # level of links the gradient collectives cross
    send_level: int = -1
    steals: bool = False
    model_flops: float = 0.0

    @property
    def micro_batches(self) -> int:
        return self.plan.micro_batches

    @property
    def passes(self) -> int:
        """Micro-batches through every chunk."""
        return self.plan.passes

    @property
    def send_s(self) -> float:
        return self.send.seconds if self.send else 0.0

    @property
    def reduce_every_pass(self) -> bool:
        """Sharded gradients are reduced after every backward pass."""
        return self.plan.sharding in (Sharding.GRADIENTS, Sharding.FULL)

    @property
    def executed_flops(self) -> float:
        """Of all devices; the update is not counted."""
        return self.passes * sum(
            stage.devices * sum(work.executed_flops * block.count for block, work in stage.passes())
            for stage in self.stages
        )

    def executed(self) -> Iterator[Executed]:
        """Every op of the step with how often one device of each stage runs it, all stages together."""
        m = float(self.passes)
        for stage in self.stages:
            for block, work in stage.passes():
                part = "forward" if work is block.forward else "backward"
                for place, op in enumerate(work.ops):
                    name = "recompute" if place < work.recomputed else part
                    yield Executed(f"{block.name}.{name}", op, m * block.count * work.share)
            for op in stage.update.ops:
                yield Executed("update", op)

    def requirements(self) -> tuple[float, float]:
        """FLOPs and algorithmic bytes of every op of the step, on one device of each stage."""
        found = [(e.times * total_flops((e.op,)), e.times * total_bytes((e.op,))) for e in self.executed()]
        return sum(flops for flops, _ in found), sum(moved for _, moved in found)

    def with_micro_batches(self, passes: int) -> StepRecord:
        """The same with another number of passes (their times unchanged)."""
        return replace(self, plan=replace(self.plan, global_batch=passes * self.plan.sub_batch * self.plan.data))

    def changed(self, change: Callable[[int, Work], Work]) -> StepRecord:
        """With every piece of work of every stage (number, work) changed."""
        return replace(self, stages=tuple(_changed(stage, p, change) for p, stage in enumerate(self.stages)))


def _changed(stage: Stage, number: int, change: Callable[[int, Work], Work]) -> Stage:
    def block(b: Block) -> Block:
        others = tuple((way, change(number, work)) for way, work in b.others)
        return replace(b, forward=change(number, b.forward), backward=change(number, b.backward), others=others)

    chunks = tuple(replace(c, blocks=tuple(map(block, c.blocks))) for c in stage.chunks)
    return replace(stage, chunks=chunks, update=change(number, stage.update))


def slowed(record: StepRecord, factors: dict[int, float]) -> StepRecord:
    """The step with the devices of some stages slower: stage → factor on the time of its kernels."""

    def slower(stage: int, work: Work) -> Work:
        factor = factors.get(stage, 1.0)
        return replace(
            work,
            seconds=work.kernel_s * factor + work.communication_s,
            memory_bound_s=work.memory_bound_s * factor,
            overhead_s=work.overhead_s * factor,
        )

    return record.changed(slower)


def with_compute(record: StepRecord, compute_s: float) -> StepRecord:
    """The step with `compute_s` [s] of compute per worker, split by executed FLOPs; the update is part of it."""
    workers = sum(s.devices for s in record.stages) / len(record.stages)
    scale = compute_s * workers / record.executed_flops

    def rescaled(_: int, work: Work) -> Work:
        seconds = work.executed_flops * scale
        ratio = seconds / work.kernel_s if work.kernel_s > 0.0 else 0.0
        return replace(
            work,
            seconds=seconds + work.communication_s,
            memory_bound_s=work.memory_bound_s * ratio,
            overhead_s=work.overhead_s * ratio,
        )

    scaled = record.changed(rescaled)
    stages = tuple(
        replace(stage, update=replace(old.update, seconds=0.0, memory_bound_s=0.0, overhead_s=0.0))
        for stage, old in zip(scaled.stages, record.stages, strict=True)
    )
    return replace(scaled, stages=stages)
