"""From model, plan, chip and cluster to the step record: every pass and transfer of every stage, priced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.network import Cluster, Communicator, Level, LinkType, level_of
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.gradients import Closing, Exchange, block_transfers, gathers, reductions, reductions_s
from sim.plan.groups import Groups, groups_of
from sim.plan.layout import Part, assign
from sim.plan.memory import held_away, on_host, sharded_elements, tied_copy
from sim.plan.pricing import Contention, Pricer, sent_bytes
from sim.plan.records import Offload, Plan, Sharding
from sim.plan.step_record import Block, Chunk, Stage, StepRecord, Transfer, Way, Work, with_compute
from sim.plan.tiers import moved_s, tiers_of
from sim.records import dataclass
from sim.workload.records import BY_ROWS, Layer, Model, Numerics, OptimizerName, Parameter, Policy, Recompute
from sim.workload.update import parameter_update, update_ops

Chunks = tuple[tuple[Part, ...], ...]


def prepare(
    model: Model,
    plan: Plan,
    numerics: Numerics,
    accelerator: Accelerator,
    communicator: Communicator,
    *,
    compute_s: float | None = None,
) -> StepRecord:
    """The record of one step.

    `compute_s`: seconds of compute of one step on one worker, replacing the device model (a published input); it is
    split over blocks and passes by their FLOPs.
    """
    record = step_record(Pricer(model, numerics, accelerator, communicator), plan)
    return record if compute_s is None else with_compute(record, compute_s)


def single_device(model: Model, sub_batch: int, numerics: Numerics, accelerator: Accelerator) -> StepRecord:
    """The record of one step of `sub_batch` samples on one device alone."""
    alone = Cluster("one device", accelerator.name, 1, (Level("device", "switch", (1,), LinkType("none", 1.0, 0.0)),))
    return prepare(model, Plan(sub_batch, sub_batch), numerics, accelerator, Communicator(alone))


def step_record(pricer: Pricer, plan: Plan) -> StepRecord:
    """The record of one step of `plan`; the pricer remembers what plans share."""
    layers = pricer.layers(plan)
    parts = assign(layers, plan)
    recorder = Recorder.of(pricer, plan)
    groups = recorder.groups
    stages = recorder.stages(parts)
    if plan.schedule.splits and not any(b.work(Way.WEIGHTS).ops for s in stages for c in s.chunks for b in c.blocks):
        rule = f"the model has no ops for gradients of weights alone, which {plan.schedule} runs apart"
        raise InputError(Problem(rule, "plan.schedule", plan.schedule, hint="schedule: 1f1b"))
    return StepRecord(
        plan,
        stages,
        send=recorder.send(parts) if plan.pipeline > 1 else None,
        tied=recorder.tied(layers),
        norm=recorder.norm(),
        time_steps=max(1, round(pricer.model.units_per_sample)),
        data_level=recorder.around.level if groups.data.size > 1 else -1,
        send_level=level_of(pricer.communicator.cluster, groups.pipeline),
        steals=recorder.around.steals,
        model_flops=plan.global_batch * pricer.model.flops_per_sample()[1],
    )


class Reduced(NamedTuple):
    """(axis, seconds) of what closes together, and of all that a chunk reduces."""

    closings: dict[Closing, tuple[str, float]]
    chunks: dict[object, list[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class Recorder:
    """One plan on the way to its record."""

    pricer: Pricer
    plan: Plan
    groups: Groups
    exchange: Exchange

    @classmethod
    def of(cls, pricer: Pricer, plan: Plan) -> Recorder:
        """With the groups of the plan."""
        groups = groups_of(plan)
        return cls(pricer, plan, groups, Exchange(plan, groups, pricer))

    @property
    def around(self) -> Contention:
        """What the collectives of gradients and parameters take from the kernels beside them."""
        plan, groups = self.plan, self.groups
        gathers = plan.framework.overlap_gathers and plan.sharding != Sharding.NONE
        if groups.data.size == 1 or not (plan.framework.overlap_gradients or gathers):
            return Contention()
        sharded = plan.sharding == Sharding.FULL and groups.replicas.size == 1
        return self.pricer.contention(groups.shard if sharded else groups.data)

    def stages(self, parts: Sequence[Chunks]) -> tuple[Stage, ...]:
        """Every stage; those that hold the same share one record."""
        known: dict[object, Stage] = {}
        stages = []
        for chunks in parts:
            key = tuple(tuple((id(part.layer), part.count) for part in chunk) for chunk in chunks)
            if key not in known:
                known[key] = self._stage(chunks)
            stages.append(known[key])
        return tuple(stages)

    def _stage(self, chunks: Chunks) -> Stage:
        plan = self.plan
        left = plan.recompute_layers if plan.recompute_layers is not None else 10**9
        copies = tied_copy(chunks, plan)
        held = held_away(0, chunks, plan, self.pricer.numerics, self.groups)  # the first stage keeps most passes
        built = []
        for number, chunk in enumerate(chunks):
            blocks: list[Block] = []
            for part in chunk:
                again = min(left, part.count) if part.layer.kind == "block" else part.count
                left -= again if part.layer.kind == "block" else 0
                blocks += self._blocks(part, again, held)
            built.append(self._chunk(blocks, chunk, copies if number == len(chunks) - 1 else 0.0))
        updated, rows = self._updated(chunks, copies)
        tiers = tiers_of(self.pricer.accelerator)
        offloaded = moved_s(self._offload_bytes(updated), held, tiers) if plan.offload == Offload.OPTIMIZER else 0.0
        across = self.exchange.across((part for chunk in chunks for part in chunk), copies)
        mirror = self._mirror(chunks, copies) if plan.directions > 1 else None
        update = self._update(updated, rows)
        return Stage(plan.devices // plan.pipeline, tuple(built), update, offloaded, across, mirror)

    def streams_s(self, chunks: Chunks, known: Reduced) -> float:
        """Seconds of a stage's transfers of one pass (or of the step, where they run once) on its longest stream.

        `known`: what stages of the same exchange have been found to reduce; their layers are held."""
        copies = tied_copy(chunks, self.plan)
        streams: dict[str, float] = {}
        for number, chunk in enumerate(chunks):
            if self.plan.sharding == Sharding.FULL:
                _add(streams, ((t.axis, t.seconds * n) for part in chunk for t, n in self._each_pass(part)))
            else:
                held = copies if number == len(chunks) - 1 else 0.0
                key = (held, *((id(part.layer), part.count) for part in chunk))
                if key not in known.chunks:
                    known.chunks[key] = list(reductions_s(self.exchange, chunk, held, known.closings))
                _add(streams, known.chunks[key])
        return max(streams.values(), default=0.0)

    def after_s(self, chunks: Chunks) -> float:
        """Seconds of what follows the last pass of a stage (nothing offloaded): the sum over replicas, the update, and
        the gathers of its parameters where they are not prefetched."""
        copies = tied_copy(chunks, self.plan)
        across = self.exchange.across((part for chunk in chunks for part in chunk), copies)
        gathered: dict[str, float] = {}
        if self.plan.sharding != Sharding.FULL and not self.plan.framework.overlap_gathers:
            for number, chunk in enumerate(chunks):
                held = copies if number == len(chunks) - 1 else 0.0
                _add(gathered, ((t.axis, t.seconds) for t in gathers(self.exchange, chunk, held)))
        update = self._update(*self._updated(chunks, copies)).seconds
        return update + (across.seconds if across else 0.0) + max(gathered.values(), default=0.0)

    def _each_pass(self, part: Part) -> Iterator[tuple[Transfer, int]]:
        """Transfers of fully sharded blocks in a pass, and how often each runs."""
        gather, reduce = block_transfers(self.exchange, part)
        if gather is not None:
            yield gather, part.count * (2 if self._regathered(part.layer) else 1)
        if reduce is not None:
            yield reduce, part.count

    def _regathered(self, layer: Layer) -> bool:
        return layer.kind == "block" and self.plan.framework.reshard_after_forward

    def _chunk(self, blocks: Sequence[Block], parts: Sequence[Part], copies: float) -> Chunk:
        if self.plan.sharding == Sharding.FULL:
            return Chunk(tuple(blocks))
        return Chunk(tuple(blocks), gathers(self.exchange, parts, copies), reductions(self.exchange, parts, copies))

    def _blocks(self, part: Part, again: int, held: float) -> list[Block]:
        """The part's blocks, those that recompute apart from those that do not."""
        policies: tuple[tuple[Policy, int], ...] = ((self.plan.policy, again), (Recompute.NONE, part.count - again))
        return [self._block(part, count, policy, held) for policy, count in policies if count > 0]

    def _block(self, part: Part, count: int, policy: Policy, held: float) -> Block:
        layer, plan = part.layer, self.plan
        priced = (layer, policy, plan, self.groups, self.around)
        others = self.pricer.others(*priced)
        gather, reduce = block_transfers(self.exchange, part)
        offloaded_s = moved_s(on_host(layer, policy, plan), held, tiers_of(self.pricer.accelerator))
        works = self.pricer.works(*priced)
        return Block(
            layer.name, layer.kind, count, *works, gather, self._regathered(layer), reduce, offloaded_s, others
        )

    def _updated(self, chunks: Chunks, copies: float) -> tuple[float, list[Parameter]]:
        """(weights one device updates whole, embeddings of which it updates the touched rows alone).

        By rows where no moment decays and nothing is sharded; layers whose ops hold their update are left out.
        """
        own = [[part for part in chunk if not part.layer.updated] for chunk in chunks]
        rows = [p for chunk in own for part in chunk for p in part.layer.parameters if self._by_rows(p)]
        return sharded_elements(own, self.plan, self.groups, copies) - sum(p.elements for p in rows), rows

    def _by_rows(self, parameter: Parameter) -> bool:
        plain = self.pricer.numerics.optimizer in BY_ROWS and self.plan.sharding == Sharding.NONE
        return plain and parameter.sparse_rows > 0

    def _update(self, elements: float, rows: list[Parameter]) -> Work:
        """The optimiser's kernels, and the wait for the host that follows them."""
        numerics, gap_s = self.pricer.numerics, self.plan.framework.gap_s
        ops = (*update_ops(elements, numerics), *(op for p in rows for op in parameter_update(p, numerics)))
        time = self.pricer.kernels(ops)
        seconds, overhead_s = time.seconds + gap_s, time.overhead_s + gap_s
        return Work(seconds, time.memory_bound_s, overhead_s, dram_bytes=time.dram_bytes, ops=ops)

    def _offload_bytes(self, elements: float) -> float:
        """Gradients down, weights up: the optimiser state itself stays on the host."""
        numerics = self.pricer.numerics
        return elements * (BYTES_PER_ELEMENT[numerics.gradients] + BYTES_PER_ELEMENT[numerics.weights])

    def send(self, parts: Sequence[Chunks]) -> Transfer:
        """The largest message between stages."""
        return self.message(
            max((part.layer.output_bytes for chunks in parts for c in chunks for part in c), default=0.0)
        )

    def message(self, nbytes: float, split: bool | None = None) -> Transfer:
        """One message to the next stage; `split`: sequence parallel (None: as the plan is).

        Tensor ranks that hold the same activations send 1/t each and gather inside the node
        (Narayanan et al. 2021, §4.1); under sequence parallelism each holds its own part already.
        """
        communicator, stride, t = self.pricer.communicator, self.groups.pipeline.stride, self.plan.tensor
        seconds = communicator.send(nbytes, stride)
        if t > 1 and not (self.plan.sequence_parallel if split is None else split):
            gathered = self.pricer.time("all_gather", nbytes, self.groups.tensor)
            seconds = self.pricer.lesser(seconds, communicator.send(nbytes / t, stride) + gathered)
        return Transfer("activations", "pipeline", seconds, nbytes, sent_bytes=nbytes)

    def _mirror(self, chunks: Chunks, copies: float) -> Transfer:
        """Gradients summed with those of the stage that holds the same parts of the model, at most P − 1 away."""
        nbytes = sharded_elements(chunks, self.plan, self.groups, copies) * self.exchange.gradient_bytes
        # a ring of two moves the whole gradient once in each direction
        seconds = self.pricer.communicator.send(nbytes, (self.plan.pipeline - 1) * self.groups.pipeline.stride)
        return Transfer("gradients of both copies", "pipeline", seconds, nbytes, sent_bytes=nbytes)

    def tied(self, layers: tuple[Layer, ...]) -> Transfer | None:
        """The embedding used by the first and the last stage: its gradient is summed over the two."""
        plan = self.plan
        copied = sum(p.copy_elements for layer in layers for p in layer.parameters)
        if plan.pipeline == 1 or plan.schedule.two_way or copied == 0.0:  # two-way: both ends lie on one device
            return None
        nbytes = copied * self.exchange.gradient_bytes
        # a ring of two moves the whole gradient once in each direction
        seconds = self.pricer.communicator.send(nbytes, (plan.pipeline - 1) * self.groups.pipeline.stride)
        return Transfer("tied embedding", "pipeline", seconds, nbytes, sent_bytes=nbytes)

    def norm(self) -> Transfer | None:
        """Global gradient norm for clipping (asked for, or with Adam): one number summed over all ranks."""
        plan, world = self.plan, self.groups.world
        alone = plan.tensor * plan.pipeline == 1 and plan.sharding == Sharding.NONE
        clipped = self.pricer.numerics.clip or self.pricer.numerics.optimizer == OptimizerName.ADAM
        if not clipped or alone or world.size == 1:
            return None
        seconds = self.pricer.time("all_reduce", 4.0, world)
        return Transfer("gradient norm", "norm", seconds, 4.0, sent_bytes=sent_bytes("all_reduce", 4.0, world.size))


def _add(seconds: dict[str, float], more: Iterable[tuple[str, float]]) -> None:
    """Sum seconds by axis."""
    for axis, added in more:
        seconds[axis] = seconds.get(axis, 0.0) + added
