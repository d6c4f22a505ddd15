"""Checkpoint policies, found by name."""

from typing import Final

from sim.engine.campaign.checkpoints.asynchronous import Asynchronous
from sim.engine.campaign.checkpoints.base import CheckpointPolicy, CopyTimes, Failing
from sim.engine.campaign.checkpoints.in_memory import InMemory
from sim.engine.campaign.checkpoints.synchronous import Synchronous

CHECKPOINT_POLICIES: Final[dict[str, type[Synchronous] | type[Asynchronous] | type[InMemory]]] = {
    policy.name: policy for policy in (Synchronous, Asynchronous, InMemory)
}

__all__ = [
    "CHECKPOINT_POLICIES",
    "Asynchronous",
    "CheckpointPolicy",
    "CopyTimes",
    "Failing",
    "InMemory",
    "Synchronous",
]
