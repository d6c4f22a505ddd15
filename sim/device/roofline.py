"""Step-level roofline and the screening of many chips at once."""

from __future__ import annotations

from sim.device.records import Accelerator
from sim.device.timing import compute_of
from sim.ops import Format


def roofline_time(flops: float, bytes_moved: float, accelerator: Accelerator, number_format: Format) -> float:
    """t = max(F / (peak·f), B / (bandwidth·f)) (s); first-order law of the paper, §5, with its derates."""
    entry = compute_of(accelerator, number_format)
    memory = accelerator.memory
    return max(
        flops / (entry.peak_flops * entry.achievable),
        bytes_moved / (memory.bandwidth * memory.achievable),
    )


def ridge_point(accelerator: Accelerator, number_format: Format) -> float:
    """FLOP per DRAM byte above which the achievable peak, not the achievable bandwidth, is the limit."""
    entry = compute_of(accelerator, number_format)
    memory = accelerator.memory
    return entry.peak_flops * entry.achievable / (memory.bandwidth * memory.achievable)
