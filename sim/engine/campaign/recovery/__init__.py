"""Recovery policies, found by name."""

from typing import Final

from sim.engine.campaign.recovery.base import Pool, Recovery
from sim.engine.campaign.recovery.replace import Replace
from sim.engine.campaign.recovery.shrink import Shrink

RECOVERIES: Final[dict[str, type[Replace] | type[Shrink]]] = {policy.name: policy for policy in (Replace, Shrink)}

__all__ = ["RECOVERIES", "Pool", "Recovery", "Replace", "Shrink"]
