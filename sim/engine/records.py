"""What the engine returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of work on one track of the timeline (s from the start of the step)."""

    track: str  # "stage 0 / compute"
    name: str
    start_s: float
    end_s: float


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
