"""Plans by the thousand: memory first, then a lower bound below the step time.

Plans share most of what they hold and do: state depends on degrees and sharding, activations on degrees, sub-batch and
recomputation, passes on what the layers see, transfers on the parameters. Each is asked once of the room that knows it,
and a plan only adds up. What varies with more of a plan (offloading, cut embeddings, layer schedules, recomputation of
some blocks) is weighed plan by plan from its whole record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from sim.device.records import Accelerator
from sim.engine import Step, simulate_step
from sim.errors import InputError
from sim.network import Communicator
from sim.plan.candidates import Variant
from sim.plan.estimate import StageTime, bound, lower_bound, step_time, stream_s, updated_s
from sim.plan.groups import Groups
from sim.plan.layout import Assigned, Part, assign
from sim.plan.memory import activations, buffers, layer_memory, overhead, state
from sim.plan.prepare import Recorder, step_record
from sim.plan.pricing import Contention, Pricer, shard_of
from sim.plan.records import DeviceMemory, LayerSchedule, Offload, Plan, Sharding
from sim.plan.step_record import StepRecord
from sim.workload.records import Model, Numerics, Recompute

Signature = tuple[tuple[tuple[str, int], ...], ...]
Worth = Callable[[StepRecord, float], float]  # what a step of so many seconds is to cost; grows with the seconds
Chunks: TypeAlias = Sequence[Sequence[Part]]
Layouts: TypeAlias = Iterable[tuple[Plan, Sequence[Variant]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan with what its fullest device holds and a bound below its step time (None where it does not fit)."""

    layout: Plan
    variant: Variant
    total_bytes: float
    capacity_bytes: float
    least_s: float | None

    @property
    def plan(self) -> Plan:
        return self.variant.of(self.layout)


class Screen:
    """Weighs and prices many plans of one model on one cluster; what they share is computed once.

    Plans are ranked by `worth` of their step (energy, money …), by its time where there is none.

    >>> screen = Screen(model, numerics, accelerator, communicator)
    >>> [screen.time(candidate.plan) for candidate in screen.run(layouts) if candidate.least_s is not None]
    """

    def __init__(
        self, model: Model, numerics: Numerics, accelerator: Accelerator, communicator: Communicator,
        worth: Worth | None = None,
    ) -> None:  # fmt: skip
        self.pricer = Pricer(model, numerics, accelerator, communicator)
        self.numerics = numerics
        self.accelerator = self.pricer.accelerator
        self._worth = worth
        self._assigned: dict[tuple[object, ...], tuple[Assigned, list[int], list[int]]] = {}
        self._held: dict[object, int] = {}  # parameters of all layers → their number
        self._records: dict[Plan, StepRecord] = {}
        self._times: dict[Plan, float] = {}
        self._steps: dict[Plan, Step] = {}
        self.refused: InputError | None = None  # why the last plan that fits was left out

    def memory(self, plan: Plan) -> DeviceMemory:
        """The fullest device of a plan: of equal stages the first holds most micro-batches."""
        parts, first, _ = self.stages(plan)
        weighed = layer_memory(self.pricer.layers(plan), plan, self.numerics, self.accelerator, parts, first)
        return max(weighed, key=lambda device: device.total_bytes)

    def record(self, plan: Plan) -> StepRecord:
        """The plan's step, for the engine."""
        if plan not in self._records:
            self._records[plan] = step_record(self.pricer, plan)
        return self._records[plan]

    def run(self, layouts: Layouts) -> Iterator[Candidate]:
        """Memory first: a plan that does not fit is not priced. Plans the model cannot take are left out."""
        for layout, variants in layouts:
            special, group = _special(layout), _Group(self, layout)
            for variant in variants:
                try:
                    found = self._alone(layout, variant) if special else group.candidate(variant)
                except InputError as error:
                    self.refused = error
                    continue
                if found is not None:
                    yield found

    def _alone(self, layout: Plan, variant: Variant) -> Candidate | None:
        """One plan by its whole record."""
        plan = variant.of(layout)
        try:
            memory = self.memory(plan)
        except InputError:
            return None
        least = lower_bound(self.record(plan)) if memory.fits else None
        return Candidate(layout, variant, memory.total_bytes, memory.capacity_bytes, least)

    def exact(self, plan: Plan) -> float | None:
        """Seconds of a step in closed form, where that applies."""
        return step_time(self.record(plan))

    def time(self, plan: Plan) -> float:
        """Seconds of a step, as the engine gives them."""
        if plan not in self._times:
            known = self.exact(plan)
            self._times[plan] = self.step(plan).time_s if known is None else known
        return self._times[plan]

    def worth(self, plan: Plan, step_s: float | None = None) -> float:
        """What the plan is ranked by; smaller is better."""
        seconds = self.time(plan) if step_s is None else step_s
        return seconds if self._worth is None else self._worth(self.record(plan), seconds)

    def least(self, candidate: Candidate) -> float:
        """A bound below what a plan that fits is ranked by."""
        least_s = candidate.least_s or 0.0
        return least_s if self._worth is None else self.worth(candidate.plan, least_s)

    def step(self, plan: Plan) -> Step:
        """The step, by the recursion."""
        if plan not in self._steps:
            self._steps[plan] = simulate_step(self.record(plan), "recursion")
        return self._steps[plan]

    def stages(self, plan: Plan) -> tuple[Assigned, list[int], list[int]]:
        """What every stage holds, the first stage of every kind, and the kind of every stage."""
        key = (plan.sub_batch, shard_of(plan), plan.pipeline, plan.virtual_stages, plan.stage_layers)
        if key not in self._assigned:
            assigned = assign(self.pricer.layers(plan), plan)
            kinds: dict[Signature, int] = {}
            kind_of = []
            for chunks in assigned:
                name = tuple(tuple((part.layer.name, part.count) for part in chunk) for chunk in chunks)
                kind_of.append(kinds.setdefault(name, len(kinds)))
            first = [kind_of.index(kind) for kind in range(len(kinds))]
            self._assigned[key] = assigned, first, kind_of
        return self._assigned[key]

    def held(self, plan: Plan) -> int:
        """A number for what all layers hold of weights."""
        parameters = tuple((x.parameters, x.kind, x.count, x.updated) for x in self.pricer.layers(plan))
        return self._held.setdefault(parameters, len(self._held))


def _special(plan: Plan) -> bool:
    """Whether more of a plan matters than its degrees, sharding, recomputation and sub-batch, each on its own."""
    whole = plan.embedding_shards <= 1 and plan.recompute_layers is None and not plan.sparse_embeddings
    return not (whole and plan.offload == Offload.NONE and plan.layer_schedule == LayerSchedule.NONE)


class _Group:
    """Plans of one set of degrees."""

    def __init__(self, screen: Screen, layout: Plan) -> None:
        self.screen, self.layout = screen, layout
        self._cells: dict[object, _Cell | None] = {}
        self._exchanged: dict[object, _Exchanged] = {}
        self._seconds: dict[object, dict[int, tuple[float, float]]] = {}

    def seconds(self, plan: Plan, policy: Recompute, groups: Groups) -> dict[int, tuple[float, float]]:
        """(forward, backward) seconds of every layer, by its id."""
        key = (plan.sub_batch, policy, plan.order, plan.sharding if plan.framework.gradient_passes else None)
        if key not in self._seconds:
            pricer = self.screen.pricer
            works = ((x, pricer.works(x, policy, plan, groups, Contention())) for x in pricer.layers(plan))
            self._seconds[key] = {id(layer): (f.seconds, b.seconds) for layer, (f, b) in works}
        return self._seconds[key]

    def candidate(self, variant: Variant) -> Candidate | None:
        """One of the plans; None where the model cannot take it."""
        key = (variant.sub_batch, variant.virtual_stages, variant.order)
        if key not in self._cells:
            try:
                self._cells[key] = _Cell(self.screen, variant.of(self.layout))
            except InputError:
                self._cells[key] = None
        cell = self._cells[key]
        if cell is None:
            return None
        shared = (cell.held, variant.virtual_stages, variant.order, variant.sharding, cell.plan.micro_batches <= 1)
        if shared not in self._exchanged:
            self._exchanged[shared] = _Exchanged(self.screen, variant.of(self.layout))
        return cell.candidate(self, variant, self._exchanged[shared])


class _Exchanged:
    """What plans of one sharding, interleaving and rank order hold of weights and exchange, by kind of stage."""

    def __init__(self, screen: Screen, plan: Plan) -> None:
        self.recorder = Recorder.of(screen.pricer, plan)
        parts, self.first, self.kinds = screen.stages(plan)
        self.parts = [parts[stage] for stage in self.first]
        numerics, groups = screen.numerics, self.recorder.groups
        self.state = [sum(state(chunks, plan, numerics, groups, 0.0).values()) for chunks in self.parts]

    @cached_property
    def timed(self) -> tuple[list[float], float]:
        """Seconds of the transfers of every kind of stage, and of what follows the last pass."""
        stages = [self.recorder.transfers(chunks) for chunks in self.parts]
        norm = self.recorder.norm()
        after = updated_s(stages[self.kinds[0]], self.recorder.plan.framework.overlap_gathers)
        return [stream_s(stage) for stage in stages], after + (norm.seconds if norm else 0.0)


class _Cell:
    """Plans of one set of degrees, sub-batch, interleaving and rank order."""

    def __init__(self, screen: Screen, plan: Plan) -> None:
        self.screen, self.plan = screen, plan
        self.parts, self.first, self.kinds = screen.stages(plan)
        self.distinct = [self.parts[stage] for stage in self.first]
        self.held = screen.held(plan)
        self._moving: dict[Recompute, list[tuple[float, float]]] = {}
        self._buffers: dict[Sharding, list[float]] = {}
        self._passes: dict[object, list[list[tuple[float, float]]]] = {}
        self._send: float | None = None

    def candidate(self, group: _Group, variant: Variant, exchanged: _Exchanged) -> Candidate:
        """One of the plans."""
        screen, plan, sharding, policy = self.screen, self.plan, variant.sharding, variant.recompute
        if policy not in self._moving:
            stages = zip(self.first, self.distinct, strict=True)
            self._moving[policy] = [activations(stage, chunks, plan, policy) for stage, chunks in stages]
        if sharding not in self._buffers:
            which, numerics = exchanged.recorder.plan, screen.numerics
            self._buffers[sharding] = [buffers(chunks, which, numerics) for chunks in self.distinct]
        total = 0.0
        parts = zip(exchanged.state, self._moving[policy], self._buffers[sharding], strict=True)
        for held, (kept, workspace), sent in parts:
            around = overhead(kept + workspace + sent, plan, screen.accelerator)
            total = max(total, held + kept + workspace + sent + around["fragmentation"] + around["reserve"])
        capacity = screen.accelerator.memory.capacity_bytes
        least = self._least(group, variant, exchanged) if total <= capacity else None
        return Candidate(group.layout, variant, total, capacity, least)

    def _least(self, group: _Group, variant: Variant, exchanged: _Exchanged) -> float:
        """The bound of `estimate.lower_bound`, from its parts."""
        plan, sharding = self.plan, variant.sharding
        transfers, after = exchanged.timed
        key = (variant.recompute, sharding if plan.framework.gradient_passes else None)
        if key not in self._passes:
            priced = variant.of(group.layout) if plan.framework.gradient_passes else plan
            seconds = group.seconds(priced, variant.recompute, exchanged.recorder.groups)
            self._passes[key] = [_passes(chunks, seconds) for chunks in self.distinct]
        if self._send is None:
            sent = exchanged.recorder.send(self.parts) if plan.pipeline > 1 else None
            self._send = sent.seconds if sent else 0.0
        known = [StageTime.made(p, t) for p, t in zip(self._passes[key], transfers, strict=True)]
        every = sharding in (Sharding.GRADIENTS, Sharding.FULL)
        return bound([known[kind] for kind in self.kinds], plan.micro_batches, self._send, every) + after


def _passes(chunks: Chunks, seconds: dict[int, tuple[float, float]]) -> list[tuple[float, float]]:
    """(forward, backward) seconds of every chunk of a stage, from those of every layer."""
    passes = []
    for chunk in chunks:
        forward = backward = 0.0
        for part in chunk:
            f, b = seconds[id(part.layer)]
            forward += f * part.count
            backward += b * part.count
        passes.append((forward, backward))
    return passes
