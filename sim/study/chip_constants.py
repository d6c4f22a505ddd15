"""The constants of a chip that timings of single kernels may tell: how each is read from a chip and put into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from sim.device.records import Accelerator, FusedAttention
from sim.files.timings import Timing
from sim.ops import Attention, Format, Gemm
from sim.records import dataclass
from sim.units import format_quantity

OVERHEAD: Final = "kernel_overhead"


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant the rows may tell: how it is read from and put into a chip (or a cluster); a share is at most 1."""

    name: str
    read: Callable[[Any], float]
    put: Callable[[Any, float], Any]
    least: float = 0.0  # where a fit in logarithms starts at least
    share: bool = True
    time: bool = False  # in seconds

    def text(self, value: float) -> str:
        return self.exact(value, 4)

    def exact(self, value: float, digits: int = 6) -> str:
        return format_quantity(value, "seconds", digits=digits) if self.time else f"{value:.{digits}g}"


def starting_chip(chip: Accelerator, timings: Sequence[Timing]) -> Accelerator:
    """The base; one whose attention kernel nobody stated starts from the rate of its products."""
    formats = [t.op.format for t in timings if isinstance(t.op, Attention)]
    if not formats or chip.attention is not None or chip.matrix_unit is None:
        return chip
    rate = chip.compute[formats[0]].achievable
    return replace(chip, attention=FusedAttention(rate, rate))


def candidates(chip: Accelerator, timings: Sequence[Timing]) -> tuple[Constant, ...]:
    """Constants the kinds of the rows could tell; of two that rows cannot tell apart the later stays the base's."""
    of_products = Gemm if chip.matrix_unit else (Gemm, Attention)  # without tiles attention runs at the products' rate
    formats = dict.fromkeys(t.op.format for t in timings if isinstance(t.op, of_products))
    fused = chip.matrix_unit is not None and any(isinstance(t.op, Attention) for t in timings)
    found = [_rate(name) for name in formats]
    found.append(Constant("memory.achievable", lambda c: c.memory.achievable, _put_memory))
    found += [_attention("forward"), _attention("backward")] if fused else []
    found.append(Constant(OVERHEAD, lambda c: c.kernel_overhead_s, _put_overhead, 1e-7, share=False, time=True))
    found += [_attention("softmax_dim", 1.0, share=False)] if fused else []
    return tuple(found)


def _rate(name: Format) -> Constant:
    def put(chip: Accelerator, value: float) -> Accelerator:
        return replace(chip, compute={**chip.compute, name: replace(chip.compute[name], achievable=value)})

    return Constant(f"{name}.achievable", lambda chip: chip.compute[name].achievable, put)


def _put_memory(chip: Accelerator, value: float) -> Accelerator:
    return replace(chip, memory=replace(chip.memory, achievable=value))


def _put_overhead(chip: Accelerator, value: float) -> Accelerator:
    return replace(chip, kernel_overhead_s=value)


def _attention(field: str, least: float = 0.0, share: bool = True) -> Constant:
    def read(chip: Accelerator) -> float:
        return float(getattr(chip.attention or FusedAttention(1.0, 1.0), field))

    def put(chip: Accelerator, value: float) -> Accelerator:
        kernel, changed = chip.attention, cast(Any, {field: value})
        return chip if kernel is None else replace(chip, attention=replace(kernel, **changed))

    return Constant(f"attention.{field}", read, put, least, share)
