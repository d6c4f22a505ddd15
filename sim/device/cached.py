"""What a finite cache costs against an ideal roofline: the step of a chip of which no tiles are known, beside the step
that moves every operand once.

This is the question of the paper's §6: a product whose operands overflow the cache is computed in blocks and moves some
of them again. The cache-aware time is that of every other figure (`sim.device.timing`); the rooflines are the paper's.
"""

from __future__ import annotations

from collections.abc import Iterable

from sim.device.records import Accelerator, Executed
from sim.device.timing import compute_of, op_time
from sim.ops import Collective, executed_flops
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class CacheAware:
    """Seconds of a step three ways, and the DRAM bytes of the last two."""

    step_roofline_s: float  # total FLOPs against total bytes
    op_roofline_s: float  # each op at its own limit, operands moved once
    cache_aware_s: float  # each op at its own limit, products blocked for the cache
    compulsory_bytes: float
    cache_aware_bytes: float

    @property
    def slowdown(self) -> float:
        """Cache-aware time / ideal step roofline: what the paper prints as 4671/2707 days = 1.73."""
        return self.cache_aware_s / self.step_roofline_s


def cache_aware(executed: Iterable[Executed], accelerator: Accelerator) -> CacheAware:
    """Time of the ops with operands moved once, and as they run: products blocked for the cache."""
    bandwidth = accelerator.memory.bandwidth * accelerator.memory.achievable
    compute_s = compulsory = moved = op_s = cached_s = 0.0
    for item in executed:
        op, count = item.op, item.times * item.op.count
        if isinstance(op, Collective):
            continue
        flops = executed_flops(op)
        entry = compute_of(accelerator, op.format) if flops else None
        compute = flops / (entry.peak_flops * entry.achievable) if entry else 0.0
        once = op.bytes_read + op.bytes_written
        time = op_time(op, accelerator)
        compute_s += count * compute
        compulsory += count * once
        moved += count * time.dram_bytes
        op_s += count * max(compute, once / bandwidth)
        cached_s += count * time.seconds
    return CacheAware(max(compute_s, compulsory / bandwidth), op_s, cached_s, compulsory, moved)
