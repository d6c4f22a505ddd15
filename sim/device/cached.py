"""What a finite cache costs against an ideal roofline: the tiled product's traffic on a chip of peak rates.

This is the question of the paper's §6: the ideal roofline moves every operand once; a product whose operands
overflow the cache is computed in blocks and moves some of them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim.device.energy import executed_flops
from sim.device.records import Accelerator, Executed
from sim.device.timing import compute_of
from sim.device.traffic import gemm_bytes
from sim.ops import Collective, Gemm


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
    """Time of the ops with operands moved once and with products blocked for the cache."""
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
        blocked = gemm_bytes(op, accelerator) if isinstance(op, Gemm) else once
        compute_s += count * compute
        compulsory += count * once
        moved += count * blocked
        op_s += count * max(compute, once / bandwidth)
        cached_s += count * max(compute, blocked / bandwidth)
    return CacheAware(max(compute_s, compulsory / bandwidth), op_s, cached_s, compulsory, moved)
