"""Ring in both directions."""

from __future__ import annotations

from sim.network.algorithms.base import SCATTERS
from sim.network.algorithms.ring import Ring


class BidirectionalRing(Ring):
    """Half of the buffer each way round: 2(N-1)·(α + S/(2N)·β)."""

    name = "bidirectional_ring"
    kinds = SCATTERS
    named_only = True
    ways = 2
