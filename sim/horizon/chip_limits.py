"""What limits on power and price leave of a projected chip.

    P = idle share·P + bandwidth·achievable·e_byte + peak·achievable·sustained·e_flop

A power limit holds memory bandwidth to limit · (B/s/W of the chip) · growth of that ratio and to half of the power,
and the peaks to what is then left for FLOPs, at the chip's own energy per FLOP divided by the growth of FLOP/J: the
energy of a FLOP follows its trend, however much of the board memory takes.  A price limit holds the peaks to
limit · FLOP/s/USD of the chip · growth of that ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sim.device.energy import IDLE_SHARE
from sim.errors import InputError, Problem
from sim.files.hardware import AcceleratorFile, Unit, build_accelerator
from sim.horizon.projected import Ahead, Projected
from sim.ops import Format

MEMORY_SHARE: Final = 0.5
"""Most of a limited board's power that memory takes; an assumption: with more the chip would be a memory."""


def reference(file: AcceleratorFile) -> tuple[Format, str]:
    """The format whose FLOPs are counted, and its trend: 16-bit on a matrix unit, else fp32."""
    formats = file.compute.formats
    for name in ("bf16", "fp16"):
        if name in formats and formats[name].unit == Unit.MATRIX:
            return name, "matrix16"
    return ("fp32", "fp32") if "fp32" in formats else (next(iter(formats)), "matrix16")


def dram_byte_j(file: AcceleratorFile) -> float:
    """J per byte of memory, stated or that of its type."""
    power = build_accelerator(file).power
    return power.dram_byte_j if power else 0.0


def flop_j(file: AcceleratorFile) -> float:
    """J per FLOP of the reference format."""
    power = build_accelerator(file).power
    return power.flop_j[reference(file)[0]] if power else 0.0


def limited(
    file: AcceleratorFile,
    rows: Sequence[Projected],
    ahead: Ahead,
    power_w: float | None,
    price_usd: float | None,
) -> tuple[list[Projected], list[str]]:
    """Rows held to what the limits pay for, and a sentence for each limit."""
    kept, sentences = list(rows), []
    if power_w is not None:
        kept, sentence = _by_power(file, kept, ahead, power_w)
        sentences.append(sentence)
    if price_usd is not None:
        kept, sentence = _by_price(file, kept, ahead, price_usd)
        sentences.append(sentence)
    return kept, sentences


def _by_power(
    file: AcceleratorFile, rows: Sequence[Projected], ahead: Ahead, limit: float
) -> tuple[list[Projected], str]:
    if not file.power:
        raise _silent(file, "power", limit)
    name, metric = reference(file)
    chip = build_accelerator(file)
    at = {row.metric: row.value for row in rows}
    per_watt = file.memory.bandwidth / file.power.peak * ahead.factor("bandwidth") / ahead.factor("power")
    trend_w = at["memory bandwidth"] * chip.memory.achievable * at["memory energy"]
    memory_w = min(trend_w, MEMORY_SHARE * limit, limit * per_watt / at["memory bandwidth"] * trend_w)
    thin = memory_w / trend_w
    left_w = limit * (1.0 - IDLE_SHARE) - memory_w
    flop = flop_j(file) / ahead.factor(f"{metric}_per_watt")
    entry = chip.compute[name]
    full_w = at[f"{name} peak"] * entry.achievable * (chip.sustained if entry.matrix else 1.0) * flop
    share = min(1.0, left_w / full_w)
    kept = [
        _held(row, share if row.metric.endswith(" peak") else thin, "power")
        if row.metric.endswith(" peak") or row.metric in ("memory bandwidth", "memory capacity")
        else row
        for row in _given(rows, "power", limit)
    ]
    said = f"power of {limit:g} W pays for {share:.0%} of the trend's peak and {thin:.0%} of its memory bandwidth"
    costly = f", which takes half of it at {at['memory energy'] * 1e12:.3g} pJ/B: it needs cheaper bits"
    return kept, said + (costly if memory_w == MEMORY_SHARE * limit else "")


def _by_price(
    file: AcceleratorFile, rows: Sequence[Projected], ahead: Ahead, limit: float
) -> tuple[list[Projected], str]:
    if not file.price:
        raise _silent(file, "price", limit)
    name, metric = reference(file)
    entry = file.compute.formats[name]
    per_usd = entry.peak / file.price.purchase * ahead.factor(f"{metric}_per_usd")
    peak = next(row.value for row in rows if row.metric == f"{name} peak")
    share = min(1.0, limit * per_usd / peak)
    kept = [_held(row, share, "price") if row.metric.endswith(" peak") else row for row in _given(rows, "price", limit)]
    return kept, f"price of {limit:g} USD pays for {share:.0%} of the peak"


def _silent(file: AcceleratorFile, name: str, limit: float) -> InputError:
    return InputError(Problem(f"{file.name} states no {name}, so none can be limited", name, f"{limit:g}"))


def _given(rows: Sequence[Projected], metric: str, limit: float) -> list[Projected]:
    return [
        replace(row, value=limit, low=limit, high=limit, note="given") if row.metric == metric else row for row in rows
    ]


def _held(row: Projected, share: float, by: str) -> Projected:
    if share >= 1.0:
        return row
    return replace(row, value=row.value * share, low=row.low * share, high=row.high * share, note=f"held by {by}")
