"""What a chip takes from its generation, and the same chip as if that constant cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sim.device.records import Accelerator, FusedAttention, MatrixUnit
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """A constant that makes a chip slower than its peaks: its value (a share, or SI) and the chip without it."""

    value: Callable[[Accelerator], float]
    lifted: Callable[[Accelerator], Accelerator]


def _peaks(chip: Accelerator) -> Accelerator:
    return replace(chip, compute={name: replace(entry, achievable=1.0) for name, entry in chip.compute.items()})


def _unit(change: Callable[[MatrixUnit], MatrixUnit]) -> Callable[[Accelerator], Accelerator]:
    return lambda chip: replace(chip, matrix_unit=change(chip.matrix_unit)) if chip.matrix_unit else chip


LOSSES: Final[Mapping[str, Loss]] = MappingProxyType(
    {
        "achievable": Loss(lambda c: min(entry.achievable for entry in c.compute.values()), _peaks),
        "sustained": Loss(lambda c: c.sustained, lambda c: replace(c, sustained=1.0)),
        "attention": Loss(
            lambda c: min(c.attention.forward, c.attention.backward) if c.attention else 1.0,
            lambda c: replace(c, attention=FusedAttention(1.0, 1.0, 0.0, first=1.0)),
        ),
        "convolution": Loss(
            lambda c: c.matrix_unit.convolution if c.matrix_unit else 1.0, _unit(lambda u: replace(u, convolution=1.0))
        ),
        "alignment": Loss(
            lambda c: min((share for _, share in c.matrix_unit.alignment), default=1.0) if c.matrix_unit else 1.0,
            _unit(lambda u: replace(u, alignment=())),
        ),
        "ramp_k": Loss(
            lambda c: c.matrix_unit.ramp_k if c.matrix_unit else 0.0, _unit(lambda u: replace(u, ramp_k=0.0))
        ),
        "memory_achievable": Loss(
            lambda c: c.memory.achievable, lambda c: replace(c, memory=replace(c.memory, achievable=1.0))
        ),
        "pointwise": Loss(
            lambda c: c.memory.achievable if c.pointwise is None else c.pointwise, lambda c: replace(c, pointwise=1.0)
        ),
        "random": Loss(
            lambda c: c.memory.random_bytes, lambda c: replace(c, memory=replace(c.memory, random_bytes=0.0))
        ),
        "kernel_overhead": Loss(lambda c: c.kernel_overhead_s, lambda c: replace(c, kernel_overhead_s=0.0)),
        "host": Loss(lambda c: c.host_s, lambda c: replace(c, host_s=0.0)),
    }
)
"""By the name of the constant in a generation's file; the shares of a format or a row length by their least."""
