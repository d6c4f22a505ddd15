"""Plans by the thousand: memory first, then a lower bound below the step time.

What plans share is computed once and added up in columns (`sim.search.columns`). What varies with more of a plan
(offloading, cut embeddings, layer schedules, recomputation of some blocks) is weighed plan by plan from its record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from sim.device.records import Accelerator
from sim.engine import Step, simulate_step
from sim.errors import InputError
from sim.network import Communicator
from sim.plan.candidates import Variant
from sim.plan.estimate import lower_bound, step_time
from sim.plan.memory import layer_memory
from sim.plan.prepare import step_record
from sim.plan.pricing import Pricer
from sim.plan.records import DeviceMemory, LayerSchedule, Offload, Plan
from sim.plan.step_record import StepRecord
from sim.search.columns import Candidate, Columns
from sim.workload.records import Model, Numerics

Worth = Callable[[StepRecord, float], float]  # what a step of so many seconds is to cost; grows with the seconds
Layouts: TypeAlias = Iterable[tuple[Plan, Sequence[Variant]]]


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
        self._columns = Columns(self.pricer)
        self._records: dict[Plan, StepRecord] = {}
        self._times: dict[Plan, float] = {}
        self._steps: dict[Plan, Step] = {}
        self.refused: InputError | None = None  # why the last plan that fits was left out

    def memory(self, plan: Plan) -> DeviceMemory:
        """The fullest device of a plan."""
        weighed = layer_memory(self.pricer.layers(plan), plan, self.numerics, self.accelerator)
        return max(weighed, key=lambda device: (not device.fits, device.needed_bytes))

    def record(self, plan: Plan) -> StepRecord:
        """The plan's step, for the engine."""
        if plan not in self._records:
            self._records[plan] = step_record(self.pricer, plan)
        return self._records[plan]

    def run(self, layouts: Layouts, tight: bool = True) -> Iterator[Candidate]:
        """Memory first: a plan that does not fit is not priced. Plans the model cannot take are left out.

        Not `tight`: bounded by their kernels alone, until `tighter` is asked.
        """
        self._columns = columns = Columns(self.pricer)
        alone: dict[int, Candidate] = {}
        count = 0
        for layout, variants in layouts:
            if _special(layout):
                found = ((number, self._alone(layout, variant)) for number, variant in enumerate(variants, count))
                alone |= {number: candidate for number, candidate in found if candidate is not None}
            else:
                columns.add(layout, variants, count)
            count += len(variants)
        weighed = columns.weighed(tight) | alone
        self.refused = columns.refused or self.refused
        yield from (weighed[number] for number in sorted(weighed))

    def tighter(self, candidate: Candidate) -> float | None:
        """A bound with messages and transfers; None where they cannot be priced."""
        least = self._columns.tight(candidate)
        self.refused = self._columns.refused or self.refused
        return least

    def _alone(self, layout: Plan, variant: Variant) -> Candidate | None:
        """One plan by its whole record."""
        plan = variant.of(layout)
        try:
            memory = self.memory(plan)
        except InputError:
            return None
        try:
            least = lower_bound(self.record(plan)) if memory.fits else None
        except InputError as error:
            self.refused = error
            return None
        return Candidate(layout, variant, memory.needed_bytes, memory.capacity_bytes, least)

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


def _special(plan: Plan) -> bool:
    """Whether more of a plan matters than its degrees, sharding, recomputation and sub-batch, each on its own."""
    whole = plan.embedding_shards <= 1 and plan.recompute_layers is None and not plan.sparse_embeddings
    whole = whole and not plan.schedule.splits and not plan.saved_ops
    return not (whole and plan.offload == Offload.NONE and plan.layer_schedule == LayerSchedule.NONE)
