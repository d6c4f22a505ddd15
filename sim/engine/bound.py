"""A step that cannot be shorter than so long, from one of the same tasks that was simulated."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from sim.engine.slots import Segment, Shaped
from sim.engine.step import skeleton
from sim.plan.step_record import StepRecord

MOST_PASSES: Final = 2**12  # of stages and micro-batches whose tasks are listed for it


class Bound:
    """Of steps of the same tasks as `base`, which took `base_s`."""

    def __init__(self, base: StepRecord, base_s: float) -> None:
        self.base_s = base_s
        self.shaped = Shaped(base)
        self.listed = base.micro_batches * len(base.stages) <= MOST_PASSES
        if self.listed:
            self.shape = skeleton(self.shaped, False)
            self.before = self.shape.segments(base)
            tasks = Counter(self.shape.filled_by)
            self.longest = [s.seconds * s.stretch * tasks[slot] for slot, s in enumerate(self.before)]

    def least_s(self, record: StepRecord) -> float:
        """Seconds below which a step of `record` cannot be; 0 where its tasks are others.

        A step is the longest path through its tasks, and a path passes each task at most once. So for every r, no path
        is shorter than r of what it was, but for what tasks shrink beyond r: pieces of a pass those of all stages, of
        any other kind those of one stage. The r that bounds best is one of the ratios. That streams that share a link
        gain no more than their tasks holds on every plan drawn, and is not proven: it spares levers, no answer rests
        on it.
        """
        if not self.listed or Shaped(record) != self.shaped:
            return 0.0
        weight: dict[tuple[float, str, int], float] = defaultdict(float)
        after = self.shape.segments(record)
        for slot, before, now, longest in zip(self.shape.slots, self.before, after, self.longest, strict=True):
            weight[_ratio(before, now), slot.part, 0 if slot.part == "pass" else slot.stage] += longest
        ratios = {ratio for ratio, _, _ in weight}
        return max(r * self.base_s - _beyond(weight, r) for r in ratios)


def _beyond(weight: dict[tuple[float, str, int], float], r: float) -> float:
    """Seconds that the tasks of a path shrink beyond r of what they were."""
    where: dict[tuple[str, int], float] = defaultdict(float)
    for (ratio, part, stage), seconds in weight.items():
        if ratio < r:
            where[part, stage] += (r - ratio) * seconds
    worst: dict[str, float] = defaultdict(float)
    for (part, _), seconds in where.items():
        worst[part] = max(worst[part], seconds)
    return sum(worst.values())


def _ratio(before: Segment, after: Segment) -> float:
    """How long a task takes at least, of what it took, alone or beside a collective."""
    if before.seconds <= 0.0:
        return 1.0
    alone = after.seconds / before.seconds
    return min(alone, alone * after.stretch / before.stretch)
