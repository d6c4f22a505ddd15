"""The low-latency protocol of collective libraries: a second line beside each algorithm's own.

Libraries of the NCCL kind send small messages with flags inside the data (LL, LL128): no synchronisation per chunk, so
latency and launch shrink by `fast_latency`, and the payload rate falls to `fast_bandwidth`.  Costs stay affine:
seconds = fast_latency·fixed + bytes·per_byte/fast_bandwidth, and the lower envelope chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.network.algorithms.base import Case
from sim.network.records import CollectiveCost
from sim.ops import CollectiveKind

#: All-to-all and barriers are made of point-to-point messages, which do without.
KINDS: tuple[CollectiveKind, ...] = ("all_reduce", "reduce_scatter", "all_gather", "broadcast", "reduce")
SUFFIX = "/low-latency"


def low_latency(case: Case, costs: Sequence[CollectiveCost]) -> tuple[CollectiveCost, ...]:
    """The same algorithms under the low-latency protocol, if every link type the group spans has it."""
    levels = case.cluster.levels
    digits = {digit.level for digit in case.layout.digits}
    if case.kind not in KINDS or not levels:
        return ()
    links = [level.link for level in (levels if -1 in digits else levels[: max(digits) + 1])]
    rate = min(link.fast_bandwidth for link in links)
    if rate <= 0.0:
        return ()
    latency = max(link.fast_latency for link in links)
    return tuple(CollectiveCost(c.algorithm + SUFFIX, c.fixed_s * latency, c.per_byte_s / rate) for c in costs)
