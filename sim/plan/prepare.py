"""From model, plan, chip and cluster to a prepared step: every pass and collective of every stage in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sim.device import time_ops
from sim.device.records import Accelerator
from sim.network import Communicator
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.costs import Block, Chunk, Message, Prepared, Stage, Work
from sim.plan.gradients import Exchange, block_messages, gathers, reductions
from sim.plan.groups import Groups, groups_of
from sim.plan.layout import Part, assign
from sim.plan.memory import sharded_elements, tied_copy
from sim.plan.pricing import Contention, Pricer, contention_of, level_of
from sim.plan.records import Plan
from sim.workload.records import Layer, Model, Numerics, Parameter, Recompute
from sim.workload.update import parameter_update, update_ops


def prepare(
    model: Model,
    plan: Plan,
    numerics: Numerics,
    accelerator: Accelerator,
    communicator: Communicator,
    *,
    compute_s: float | None = None,
    host_bandwidth: float = 25e9,
) -> Prepared:
    """Price one step.

    `compute_s`: seconds of compute of one step on one worker, replacing the device model (a published input); it is
    split over blocks and passes by their FLOPs. `host_bandwidth` [B/s]: device to host, for offloading
    (PCIe 4 x16: 32 GB/s raw, about 25 reached).
    """
    pricer = Pricer(model, numerics, accelerator, communicator)
    prepared = Preparation(pricer, plan, host_bandwidth).prepared()
    return prepared if compute_s is None else with_compute(prepared, compute_s)


@dataclass(slots=True)
class Preparation:
    """One plan on the way to a prepared step; a `pricer` may serve many plans."""

    pricer: Pricer
    plan: Plan
    host_bandwidth: float = 25e9

    def prepared(self) -> Prepared:
        plan, pricer = self.plan, self.pricer
        groups = groups_of(plan)
        cluster = pricer.communicator.cluster
        around = self.contention(groups)
        layers = pricer.layers(plan)
        exchange = Exchange(plan, pricer.numerics, groups, pricer.communicator)
        parts = assign(layers, plan)
        stages = tuple(self._stage(p, chunks, exchange, around) for p, chunks in enumerate(parts))
        sends = max((part.layer.output_bytes for chunks in parts for c in chunks for part in c), default=0.0)
        return Prepared(
            stages=stages,
            micro_batches=plan.micro_batches,
            replicas=plan.data,
            ranks_per_stage_and_replica=plan.tensor * plan.context,
            schedule=plan.schedule,
            send_s=self.send_s(groups, sends) if plan.pipeline > 1 else 0.0,
            send_bytes=sends if plan.pipeline > 1 else 0.0,
            overlap_gradients=plan.overlap_gradients,
            overlap_gathers=plan.overlap_gathers,
            overlap_sends=plan.overlap_sends,
            reduce_every_pass=plan.sharding in ("gradients", "full"),
            tied=self.tied(layers, exchange),
            norm=self._norm(groups),
            layer_schedule=plan.layer_schedule,
            time_steps=max(1, round(pricer.model.units_per_sample)),
            data_level=around.level if groups.data.size > 1 else -1,
            send_level=level_of(cluster, groups.pipeline),
            steals=around.steals,
            model_flops=plan.global_batch * pricer.model.flops_per_sample()[1],
        )

    def contention(self, groups: Groups) -> Contention:
        plan = self.plan
        beside = plan.overlap_gradients or (plan.overlap_gathers and plan.sharding != "none")
        if groups.data.size == 1 or not beside:
            return Contention()
        crossed = groups.shard if plan.sharding == "full" and groups.replicas.size == 1 else groups.data
        return contention_of(self.pricer.communicator.cluster, crossed)

    def _stage(
        self, number: int, chunks: tuple[tuple[Part, ...], ...], exchange: Exchange, around: Contention
    ) -> Stage:
        plan, numerics = self.plan, self.pricer.numerics
        left = plan.recompute_layers if plan.recompute_layers is not None else 10**9
        copies = tied_copy(chunks, self.plan)
        built = []
        for chunk in chunks:
            blocks: list[Block] = []
            for part in chunk:
                again = min(left, part.count) if part.layer.kind == "block" else part.count
                left -= again if part.layer.kind == "block" else 0
                blocks += self._blocks(part, again, exchange, around)
            whole = plan.sharding == "full"
            held = copies if chunk is chunks[-1] else 0.0
            built.append(
                Chunk(
                    tuple(blocks),
                    () if whole else gathers(exchange, chunk, held),
                    () if whole else reductions(exchange, chunk, held),
                )
            )
        rows = [p for chunk in chunks for part in chunk for p in part.layer.parameters if self._by_rows(p)]
        updated = sharded_elements(chunks, plan, exchange.groups, copies) - sum(p.elements for p in rows)
        return Stage(
            devices=plan.devices // plan.pipeline,
            chunks=tuple(built),
            update=self._update(updated, rows),
            offload_s=self._offload_s(updated, numerics) if plan.offload == "optimizer" else 0.0,
        )

    def _blocks(self, part: Part, again: int, exchange: Exchange, around: Contention) -> list[Block]:
        """The part's blocks, those that recompute apart from those that do not."""
        policies: tuple[tuple[Recompute, int], ...] = ((self.plan.recompute, again), ("none", part.count - again))
        return [self._block(part, count, policy, exchange, around) for policy, count in policies if count > 0]

    def _block(self, part: Part, count: int, policy: Recompute, exchange: Exchange, around: Contention) -> Block:
        layer, plan = part.layer, self.plan
        gather, reduce = block_messages(exchange, part)
        saved = layer.saved_bytes.get(policy, 0.0) if plan.offload == "activations" else 0.0
        return Block(
            name=layer.name,
            kind=layer.kind,
            count=count,
            forward=self.pricer.forward(layer, plan, exchange.groups, around),
            backward=self.pricer.backward(layer, policy, plan, exchange.groups, around),
            parameter_bytes=layer.parameter_elements * exchange.weight_bytes,
            gather=gather,
            regather=layer.kind == "block",
            reduce=reduce,
            offload_s=saved / self.host_bandwidth,
        )

    def _by_rows(self, parameter: Parameter) -> bool:
        """Embeddings of which only the touched rows are updated: no moments to decay, no shards."""
        plain = self.pricer.numerics.optimizer == "sgd" and self.plan.sharding == "none"
        return plain and parameter.sparse_rows > 0

    def _update(self, elements: float, rows: list[Parameter]) -> Work:
        numerics = self.pricer.numerics
        ops = [*update_ops(elements, numerics), *(op for p in rows for op in parameter_update(p, numerics))]
        time = time_ops(ops, self.pricer.accelerator)
        return Work(time.seconds, time.memory_bound_s, time.overhead_s, dram_bytes=time.dram_bytes)

    def _offload_s(self, elements: float, numerics: Numerics) -> float:
        """Gradients down, weights up: the optimiser state itself stays on the host."""
        moved = BYTES_PER_ELEMENT[numerics.gradients] + BYTES_PER_ELEMENT[numerics.weights]
        return elements * moved / self.host_bandwidth

    def send_s(self, groups: Groups, nbytes: float) -> float:
        """One message to the next stage.

        Tensor ranks that hold the same activations send 1/t each and gather inside the node
        (Narayanan et al. 2021, §4.1); under sequence parallelism each holds its own part already.
        """
        communicator, stride, t = self.pricer.communicator, groups.pipeline.stride, self.plan.tensor
        if t == 1 or self.plan.sequence_parallel:
            return communicator.send(nbytes, stride)
        whole = communicator.send(nbytes, stride)
        scattered = communicator.send(nbytes / t, stride) + communicator.time("all_gather", nbytes, groups.tensor)
        return min(whole, scattered)

    def tied(self, layers: tuple[Layer, ...], exchange: Exchange) -> Message | None:
        """The embedding used by the first and the last stage: its gradient is summed over the two."""
        plan = self.plan
        copied = sum(p.copy_elements for layer in layers for p in layer.parameters)
        if plan.pipeline == 1 or copied == 0.0:
            return None
        nbytes = copied * exchange.gradient_bytes
        # a ring of two moves the whole gradient once in each direction
        seconds = self.pricer.communicator.send(nbytes, (plan.pipeline - 1) * exchange.groups.pipeline.stride)
        return Message("tied embedding", "pipeline", seconds, nbytes)

    def _norm(self, groups: Groups) -> Message | None:
        """Global gradient norm for clipping (with Adam): one number summed over all ranks."""
        plan = self.plan
        alone = plan.tensor * plan.pipeline == 1 and plan.sharding == "none"
        if self.pricer.numerics.optimizer != "adam" or alone or groups.world.size == 1:
            return None
        seconds = self.pricer.communicator.time("all_reduce", 4.0, groups.world)
        return Message("gradient norm", "norm", seconds, 4.0)


def with_compute(prepared: Prepared, compute_s: float) -> Prepared:
    """The step with `compute_s` [s] of compute per worker, split by executed FLOPs; the update is part of it."""
    flops = sum(s.devices * w.executed_flops * n for s in prepared.stages for w, n in _works(s))
    workers = sum(s.devices for s in prepared.stages) / len(prepared.stages)
    scale = compute_s * workers / (flops * prepared.micro_batches)

    def rescale(work: Work) -> Work:
        seconds = work.executed_flops * scale
        ratio = seconds / work.seconds if work.seconds > 0.0 else 0.0
        return replace(
            work,
            seconds=seconds + work.communication_s,
            memory_bound_s=work.memory_bound_s * ratio,
            overhead_s=work.overhead_s * ratio,
        )

    return _with_works(prepared, rescale)


def slowed(prepared: Prepared, factors: dict[int, float]) -> Prepared:
    """The step with the devices of some stages slower: stage → factor on the time of its kernels."""
    stages = tuple(_stage_with(stage, partial(_times, factors.get(p, 1.0))) for p, stage in enumerate(prepared.stages))
    return replace(prepared, stages=stages)


def _times(factor: float, work: Work) -> Work:
    kernels = work.seconds - work.communication_s
    return replace(
        work,
        seconds=kernels * factor + work.communication_s,
        memory_bound_s=work.memory_bound_s * factor,
        overhead_s=work.overhead_s * factor,
    )


def _works(stage: Stage) -> list[tuple[Work, int]]:
    return [(w, b.count) for c in stage.chunks for b in c.blocks for w in (b.forward, b.backward)]


def _with_works(prepared: Prepared, change: Callable[[Work], Work]) -> Prepared:
    stages = tuple(replace(_stage_with(stage, change), update=Work(0.0)) for stage in prepared.stages)
    return replace(prepared, stages=stages)


def _stage_with(stage: Stage, change: Callable[[Work], Work]) -> Stage:
    chunks = tuple(
        replace(c, blocks=tuple(replace(b, forward=change(b.forward), backward=change(b.backward)) for b in c.blocks))
        for c in stage.chunks
    )
    return replace(stage, chunks=chunks, update=change(stage.update))
