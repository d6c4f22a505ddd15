"""Copies written behind the training."""

from __future__ import annotations

from typing import ClassVar

from sim.engine.campaign.checkpoints.base import CopyTimes, Failing, steps_between
from sim.engine.campaign.records import Blast, Tier
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """Training waits for the copy to the memory of its host and goes on while that is written to storage.

    The copy can be restored from once it is written; the next one begins no earlier. What the write takes from the
    steps beside it is charged to the pause.
    """

    name: ClassVar[str] = "asynchronous"

    def tiers(self, times: CopyTimes, step_s: float, failing: Failing, interval_s: float | None) -> tuple[Tier, ...]:
        pause = times.to_host_s + times.interference * times.write_s
        every = steps_between(interval_s, step_s, pause, failing.rate, times.write_s)
        return (Tier("storage", every, pause, times.write_s, times.read_s, Blast.CLUSTER),)
