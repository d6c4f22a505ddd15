"""Elastic training."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

from sim.engine.campaign.recovery.base import Pool
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Shrink:
    """With no spare node left training goes on with fewer, as long as a plan for them exists; it grows again, with a
    restart from a fresh copy of its state, when a node that makes the step faster comes back."""

    name: ClassVar[str] = "shrink"
    elastic: ClassVar[bool] = True

    def may_run(self, pool: Pool, factor: float) -> bool:
        return pool.working > 0 and isfinite(factor)
