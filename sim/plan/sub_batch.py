"""The sub-batch: samples per device per pass.

Rule (PPoPP 2019, section 5.2.1): the smallest sub-batch whose time per sample comes within ε of the best,
rounded up to a multiple of 32 (a warp, and what all the paper's choices are), as far as memory allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from sim.records import dataclass

ROUNDING: Final = 32  # samples; the paper's five choices are all multiples of 32
LARGEST: Final = 2**20  # samples; stands for "any batch" (the paper's figure 11 ends there)


@dataclass(frozen=True, slots=True)
class SubBatch:
    """What was chosen, how far from the best time per sample (1 = best), and what bound it."""

    samples: int
    time_per_sample_s: float
    best_time_per_sample_s: float
    limit: Literal["tolerance", "memory"]
    largest_that_fits: int | None  # None: memory never binds below `LARGEST`

    @property
    def efficiency(self) -> float:
        """Best time per sample / time per sample at the choice."""
        return self.best_time_per_sample_s / self.time_per_sample_s


def choose_sub_batch(
    pass_time: Callable[[int], float],
    fits: Callable[[int], bool],
    tolerance: float,
    largest: int = LARGEST,
) -> SubBatch | None:
    """Smallest multiple of 32 with pass_time(b)/b ≤ (1+tolerance)·best; None if not even one sample fits.

    `pass_time` [s] of one forward+backward pass over b samples; its time per sample must not rise by more than
    tile effects as b grows. Below 32 the choice falls on powers of two.
    """
    if not fits(1):
        return None
    best = pass_time(largest) / largest
    limit = (1.0 + tolerance) * best
    wanted = _smallest(lambda blocks: pass_time(blocks * ROUNDING) / (blocks * ROUNDING) <= limit, largest // ROUNDING)
    samples = (wanted or largest // ROUNDING) * ROUNDING
    if fits(samples):
        return SubBatch(samples, pass_time(samples) / samples, best, "tolerance", None)
    fitting = _largest(fits, samples)
    samples = fitting // ROUNDING * ROUNDING or 2 ** (fitting.bit_length() - 1)
    return SubBatch(samples, pass_time(samples) / samples, best, "memory", fitting)


def _smallest(holds: Callable[[int], bool], upper: int) -> int | None:
    """Smallest n in 1…upper for which a monotone predicate holds (doubling, then bisection)."""
    high = 1
    while not holds(high):
        if high >= upper:
            return None
        high = min(2 * high, upper)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _largest(holds: Callable[[int], bool], upper: int) -> int:
    """Largest n in 1…upper−1 for which a predicate holds that holds at 1 and fails at upper."""
    low, high = 1, upper
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
