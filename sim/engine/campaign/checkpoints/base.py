"""When copies of the training state are made, where they go and what they cost."""

from __future__ import annotations

from math import ceil
from typing import ClassVar, Protocol

from sim.engine.campaign.records import Tier
from sim.engine.campaign.renewal import optimal_interval_s
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class CopyTimes:
    """Seconds that moving one copy of the whole state takes, every device its own part at the same time."""

    write_s: float  # to storage
    read_s: float  # from storage
    to_host_s: float = 0.0  # from the devices to the memory of their hosts
    to_peer_s: float = 0.0  # from there to the memory of another node
    interference: float = 0.0  # share of a step's rate lost while a copy moves behind it


@dataclass(frozen=True, slots=True)
class Failing:
    """Failures per second that copies in the memory of hosts outlive, and those that only storage outlives."""

    narrow: float
    wide: float

    @property
    def rate(self) -> float:
        return self.narrow + self.wide


class CheckpointPolicy(Protocol):
    """Turns the times of a copy into tiers; `interval_s` None: the interval of the largest goodput."""

    name: ClassVar[str]

    def tiers(self, times: CopyTimes, step_s: float, failing: Failing, interval_s: float | None) -> tuple[Tier, ...]:
        """The copies that are made, the quickest to restore first, the safest last."""
        ...


def steps_between(interval_s: float | None, step_s: float, pause_s: float, rate: float, least_s: float = 0.0) -> float:
    """Whole steps between copies: of the interval given, else of the best one; at least `least_s` apart.

    The best one: `renewal.optimal_interval_s` with the time the copy keeps the devices from their steps.
    """
    if interval_s is None:
        interval_s = optimal_interval_s(rate, pause_s) if rate > 0.0 else float("inf")
    if interval_s == float("inf"):
        return interval_s
    return float(max(1, round(interval_s / step_s), ceil(least_s / step_s)))
