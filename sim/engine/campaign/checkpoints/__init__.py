"""Checkpoint policies, one file each: a class in this folder is found by its name."""

from typing import Final

from sim.engine.campaign.checkpoints.base import CheckpointPolicy, CopyTimes, Failing
from sim.fields import Registry

CHECKPOINT_POLICIES: Final = Registry[type[CheckpointPolicy]]("checkpoint policy", __name__, __path__)

__all__ = ["CHECKPOINT_POLICIES", "CheckpointPolicy", "CopyTimes", "Failing"]
