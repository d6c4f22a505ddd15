"""What the engine returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from sim.records import dataclass

Z95: Final = 1.6448536269514722  # Φ⁻¹(0.95)


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of work on one track of the timeline (s from the start of the step)."""

    track: str  # "stage 0 / compute"
    name: str
    start_s: float
    end_s: float
    about: tuple[tuple[str, object], ...] = ()  # layer, ops, bytes …: names with units, plain values


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step. Parts add up to `time_s` on the critical device:
    compute + exposed communication + bubble + input stall."""

    time_s: float
    compute_s: float
    memory_bound_s: float  # part of compute_s limited by memory
    overhead_s: float  # part of compute_s spent launching kernels
    exposed_communication_s: float
    bubble_s: float
    input_stall_s: float
    update_s: float  # part of compute_s
    communication_s: Mapping[str, float]  # by axis, exposed or not
    executed_flops: float  # all devices
    model_flops: float
    events: int
    slices: tuple[Slice, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Spread:
    """Steps under jitter: `draws` of them, each drawn anew (s); `std_s` of a single step."""

    jitter: float  # relative standard deviation of a pass on one device
    draws: int
    mean_s: float
    std_s: float
    p05_s: float
    p50_s: float
    p95_s: float

    def of_steps(self, steps: float) -> tuple[float, float, float]:
        """5th, 50th and 95th percentile (s) of `steps` independent steps together: n·mean + z·√n·std."""
        middle, width = steps * self.mean_s, steps**0.5 * self.std_s
        return middle - Z95 * width, middle, middle + Z95 * width
