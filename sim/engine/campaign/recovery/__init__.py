"""Recovery policies, one file each: a class in this folder is found by its name."""

from typing import Final

from sim.engine.campaign.recovery.base import Pool, Recovery
from sim.fields import Registry

RECOVERIES: Final = Registry[type[Recovery]]("recovery policy", __name__, __path__)

__all__ = ["RECOVERIES", "Pool", "Recovery"]
