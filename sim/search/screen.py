"""Plans by the hundred: memory first, then a lower bound, then the time: in closed form where that is exact, by the
engine's recursion elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sim.device.records import Accelerator
from sim.engine import simulate_step
from sim.errors import InputError
from sim.network import Communicator
from sim.plan.estimate import applies, lower_bound, step_time
from sim.plan.layout import Assigned, assign
from sim.plan.memory import layer_memory
from sim.plan.prepare import step_record
from sim.plan.pricing import Pricer, shard_of
from sim.plan.records import DeviceMemory, Plan
from sim.plan.step_record import StepRecord
from sim.workload.records import Model, Numerics

Signature = tuple[tuple[tuple[str, int], ...], ...]
Worth = Callable[[StepRecord, float], float]  # what a step of so many seconds is to cost; grows with the seconds


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan with its fullest device and a bound below what it is ranked by (None where it does not fit); `exact` where
    the bound is that itself."""

    plan: Plan
    memory: DeviceMemory
    least: float | None
    exact: bool = False


class Screen:
    """Weighs and prices many plans of one model on one cluster; what they share is computed once.

    Plans are ranked by `worth` of their step (energy, money …), by its time where there is none.

    >>> screen = Screen(model, numerics, accelerator, communicator)
    >>> [screen.time(candidate.plan) for candidate in screen.run(plans) if candidate.least is not None]
    """

    def __init__(
        self, model: Model, numerics: Numerics, accelerator: Accelerator, communicator: Communicator,
        worth: Worth | None = None,
    ) -> None:  # fmt: skip
        self.pricer = Pricer(model, numerics, accelerator, communicator)
        self.numerics = numerics
        self.accelerator = self.pricer.accelerator
        self._worth = worth
        self._assigned: dict[tuple[object, ...], tuple[Assigned, list[int]]] = {}
        self._times: dict[Plan, float] = {}
        self.refused: InputError | None = None  # why the last plan that fits was left out

    def memory(self, plan: Plan) -> DeviceMemory:
        """The fullest device of a plan: of equal stages the first holds most micro-batches."""
        parts, first = self._stages(plan)
        weighed = layer_memory(self.pricer.layers(plan), plan, self.numerics, self.accelerator, parts, first)
        return max(weighed, key=lambda device: device.total_bytes)

    def record(self, plan: Plan) -> StepRecord:
        """The plan's step, for the engine."""
        return step_record(self.pricer, plan)

    def run(self, plans: Iterable[Plan]) -> Iterator[Candidate]:
        """Memory first: a plan that does not fit is not priced. Plans the model cannot take are left out."""
        for plan in plans:
            try:
                memory = self.memory(plan)
            except InputError:
                continue
            try:
                yield self._weighed(plan, memory) if memory.fits else Candidate(plan, memory, None)
            except InputError as error:
                self.refused = error

    def time(self, plan: Plan) -> float:
        """Seconds of a step, as the engine gives them."""
        if plan not in self._times:
            record = self.record(plan)
            known = step_time(record)
            self._times[plan] = simulate_step(record, "recursion").time_s if known is None else known
        return self._times[plan]

    def worth(self, plan: Plan, step_s: float | None = None) -> float:
        """What the plan is ranked by; smaller is better."""
        seconds = self.time(plan) if step_s is None else step_s
        return seconds if self._worth is None else self._worth(self.record(plan), seconds)

    def _weighed(self, plan: Plan, memory: DeviceMemory) -> Candidate:
        record = self.record(plan)
        known = step_time(record) if applies(record) else None
        if known is not None:
            self._times[plan] = known
        least = lower_bound(record) if known is None else known
        return Candidate(plan, memory, self._worth(record, least) if self._worth else least, exact=known is not None)

    def _stages(self, plan: Plan) -> tuple[Assigned, list[int]]:
        """What every stage holds, and the first stage of every kind."""
        key = (plan.sub_batch, shard_of(plan), plan.pipeline, plan.virtual_stages, plan.stage_layers)
        if key not in self._assigned:
            assigned = assign(self.pricer.layers(plan), plan)
            kinds: dict[Signature, int] = {}
            for stage, chunks in enumerate(assigned):
                name = tuple(tuple((part.layer.name, part.count) for part in chunk) for chunk in chunks)
                kinds.setdefault(name, stage)
            self._assigned[key] = assigned, list(kinds.values())
        return self._assigned[key]
