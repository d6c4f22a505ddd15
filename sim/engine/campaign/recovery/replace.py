"""Every place is filled before training goes on."""

from __future__ import annotations

from typing import ClassVar

from sim.engine.campaign.recovery.base import Pool
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Replace:
    """A spare node takes the place of the failed one; with none left, training waits for a repair."""

    name: ClassVar[str] = "replace"
    elastic: ClassVar[bool] = False

    def may_run(self, pool: Pool, factor: float) -> bool:
        return pool.missing == 0
