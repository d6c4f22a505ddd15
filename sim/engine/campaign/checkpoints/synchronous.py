"""Copies for which every device waits."""

from __future__ import annotations

from typing import ClassVar

from sim.engine.campaign.checkpoints.base import CopyTimes, Failing, steps_between
from sim.engine.campaign.records import Blast, Tier
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Synchronous:
    """Training stands still until the copy lies in storage."""

    name: ClassVar[str] = "synchronous"

    def tiers(self, times: CopyTimes, step_s: float, failing: Failing, interval_s: float | None) -> tuple[Tier, ...]:
        every = steps_between(interval_s, step_s, times.write_s, failing.rate)
        return (Tier("storage", every, times.write_s, 0.0, times.read_s, Blast.CLUSTER),)
