"""What the chips of one generation have in common: the constants an accelerator file may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from sim.device.records import FusedAttention, MatrixUnit
from sim.errors import InputError, Problem
from sim.ops import Format

_SHARE: Final = {"gt": 0, "le": 1}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a constant comes from, and the published rows it was fitted on or chosen with in sight."""

    source: str = field(metadata={"doc": "publication, measurement, or `recalled`, `assumed`"})
    confidence: Literal["A", "B", "C", "D"] = field(metadata={"doc": "A measured … D recalled or assumed"})
    rows: tuple[str, ...] = field(default=(), metadata={"doc": "sets of published rows in sight when it was set"})


@dataclass(frozen=True, slots=True)
class Generation:
    """Constants of one generation, each with its evidence. They belong to the chip, never to a model or a row."""

    name: str = field(metadata={"doc": "as its file"})
    matrix_unit: MatrixUnit = field(metadata={"doc": "engines and tiles; `units` is that of the flagship"})
    achievable: Mapping[Format, float] = field(metadata={"doc": "best measured dense product / dense peak", **_SHARE})
    memory_achievable: float = field(metadata={"doc": "triad bandwidth / data-sheet bandwidth", **_SHARE})
    pointwise: float = field(
        metadata={"doc": "the same for normalisation, dropout, softmax and optimiser kernels", **_SHARE}
    )
    kernel_overhead_s: float = field(metadata={"doc": "launch and drain of one kernel on a busy device", "ge": 0})
    sustained: float = field(
        metadata={"doc": "share of the burst ceiling kept for hours, on training's shapes and power limit", **_SHARE}
    )
    access_bytes: float = field(metadata={"doc": "granularity of a random access", "gt": 0})
    random_bytes: float = field(metadata={"doc": "cost of starting a random access, as bytes streamed", "ge": 0})
    sources: Mapping[str, Evidence] = field(metadata={"doc": "evidence of every constant, by its name"})
    attention: FusedAttention | None = field(default=None, metadata={"doc": "fused attention, share of the peak"})
    host_s: float = field(
        default=0.0, metadata={"doc": "time an eager framework on the hosts of the time takes per op", "ge": 0}
    )

    def __post_init__(self) -> None:
        stated = {f.name for f in fields(self)} - {"name", "sources"} - ({"attention"} if not self.attention else set())
        constants = {name.removesuffix("_s").removesuffix("_bytes") for name in stated}
        missing = sorted(constants - set(self.sources))
        unknown = sorted({name.partition(".")[0] for name in self.sources} - constants - {"attention"})
        problems = [Problem("has no evidence", f"sources.{name}") for name in missing]
        problems += [Problem("is no constant of a generation", f"sources.{name}") for name in unknown]
        if problems:
            raise InputError(*problems)
