"""Copies in the memory of other nodes, and now and then one in storage."""

from __future__ import annotations

from typing import ClassVar

from sim.engine.campaign.checkpoints.base import CopyTimes, Failing, steps_between
from sim.engine.campaign.records import Blast, Tier
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class InMemory:
    """Two tiers (Gemini, Wang et al., SOSP 2023): each node's part goes to the memory of its host and of one other
    node, which outlives the loss of a node; a copy in storage, written behind, outlives everything.

    Without an interval each tier has the best one for the failures it is for; storage that of all of them where no
    failure is wide.
    """

    name: ClassVar[str] = "in_memory"

    def tiers(self, times: CopyTimes, step_s: float, failing: Failing, interval_s: float | None) -> tuple[Tier, ...]:
        pause = times.to_host_s + times.interference * times.to_peer_s
        moved = times.to_host_s + times.interference * times.write_s
        near = steps_between(interval_s, step_s, pause, failing.rate, times.to_peer_s)
        far = steps_between(None, step_s, moved, failing.wide or failing.rate, times.write_s)
        restore = times.to_peer_s + times.to_host_s
        return (
            Tier("memory", near, pause, times.to_peer_s, restore, Blast.NODE),
            Tier("storage", max(far, near), moved, times.write_s, times.read_s, Blast.CLUSTER),
        )
