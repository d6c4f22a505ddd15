"""A step that cannot be shorter than so long, from one of the same tasks that was simulated."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sim.engine.slots import Segment, Shaped, Slot
from sim.engine.step import skeleton
from sim.plan.step_record import StepRecord

ONCE: Final = frozenset(("tied", "norm", "across", "mirror", "update", "offloaded update", "gathers", "reductions"))
MOST_PASSES: Final = 2**12  # of stages and micro-batches whose tasks are listed for it


class Bound:
    """Of steps of the same tasks as `base`, which took `base_s`."""

    def __init__(self, base: StepRecord, base_s: float) -> None:
        self.base_s = base_s
        self.shaped = Shaped(base)
        self.listed = base.micro_batches * len(base.stages) <= MOST_PASSES
        if self.listed:
            shape = skeleton(self.shaped, False)
            self.shape, self.before = shape, shape.segments(base)
            self.once = [_once(base, slot) for slot in shape.slots]

    def least_s(self, record: StepRecord) -> float:
        """Seconds below which a step of `record` cannot be; 0 where its tasks are others.

        A step is the longest path through its tasks. Where those that come with every micro-batch take r times as long
        or more, no path is shorter than r of what it was, but for what those shrink beyond r that come once in a step:
        of a stage all of one kind, and pieces of a pass (streams that share a link gain no more than their tasks).
        """
        if not self.listed or Shaped(record) != self.shaped:
            return 0.0
        ratios = list(map(_ratio, self.before, self.shape.segments(record)))
        r = min((ratio for ratio, once in zip(ratios, self.once, strict=True) if not once), default=0.0)
        beyond: dict[tuple[str, int], float] = defaultdict(float)
        for slot, ratio, before in zip(self.shape.slots, ratios, self.before, strict=True):
            if ratio < r:
                where = 0 if slot.part == "pass" else slot.stage
                beyond[slot.part, where] += (r - ratio) * before.seconds * before.stretch
        worst: dict[str, float] = defaultdict(float)
        for (part, _), seconds in beyond.items():
            worst[part] = max(worst[part], seconds)
        return r * self.base_s - sum(worst.values())


def _ratio(before: Segment, after: Segment) -> float:
    """How long a task takes at least, of what it took, alone or beside a collective."""
    if before.seconds <= 0.0:
        return 1.0
    alone = after.seconds / before.seconds
    return min(alone, alone * after.stretch / before.stretch)


def _once(base: StepRecord, slot: Slot) -> bool:
    """Whether a task comes once in a step: pieces of a pass between the reductions of the last micro-batch too."""
    if slot.part != "pass":
        return slot.part in ONCE
    blocks = base.stages[slot.stage].chunks[slot.chunk].blocks
    sharded = any(block.gather or block.reduce for block in blocks)  # each runs alone, every time
    return not sharded and slot.last - slot.first < sum(block.count for block in blocks)
