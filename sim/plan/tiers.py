"""What a device keeps beside its own memory: the host's, memory behind a switch (CXL), nearest first.

What is offloaded fills the tiers in order and moves from and to them one after the other:
t = Σ bytes·share/bandwidth, with each tier's share of what is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from sim.device.records import Accelerator, MemoryTier

HOST: Final = MemoryTier("host", 25e9)
"""Where a chip states none: PCIe 4 x16, 32 GB/s raw, about 25 reached; as much of it as is asked for."""


def tiers_of(accelerator: Accelerator) -> tuple[MemoryTier, ...]:
    """Those of a device, nearest first."""
    return accelerator.memory.tiers or (HOST,)


def away_capacity(accelerator: Accelerator) -> float:
    """Bytes the tiers of a device hold together."""
    return sum(inf if tier.capacity_bytes is None else tier.capacity_bytes for tier in tiers_of(accelerator))


def moved_s(nbytes: float, held: float, tiers: Sequence[MemoryTier]) -> float:
    """Seconds to move `nbytes` of the `held` bytes, evenly over where they lie."""
    if held == 0.0:
        return nbytes / tiers[0].bandwidth
    return sum(nbytes * share / held / tier.bandwidth for tier, share in _filled(held, tiers))


def _filled(held: float, tiers: Sequence[MemoryTier]) -> Iterator[tuple[MemoryTier, float]]:
    """Bytes in every tier; what does not fit (such plans are refused) counts to the last."""
    left = held
    for tier in tiers[:-1]:
        here = min(left, inf if tier.capacity_bytes is None else tier.capacity_bytes)
        yield tier, here
        left -= here
    yield tiers[-1], left
