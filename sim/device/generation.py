"""What the chips of one generation have in common: the constants an accelerator file may leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields

from sim.device.records import Accelerator, Compute, FusedAttention, MatrixUnit, Memory
from sim.errors import Problem
from sim.fields import FILLED, Confidence, Record, about, same_as
from sim.ops import Format
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Evidence(Record):
    """Where a constant comes from, and the published rows it was fitted on or chosen with in sight."""

    source: str = field(metadata=about("publication, measurement, or `recalled`, `assumed`"))
    confidence: Confidence = field(metadata=about("A measured … D recalled or assumed"))
    rows: tuple[str, ...] = field(default=(), metadata=about("sets of published rows in sight when it was set"))


@dataclass(frozen=True, slots=True)
class Generation(Record):
    """Constants of one generation, each with its evidence. They belong to the chip, never to a model or a row."""

    name: str = field(metadata=about("as its file", pattern=FILLED))
    matrix_unit: MatrixUnit = field(metadata=about("engines and tiles; `units` is that of the flagship"))
    achievable: Mapping[Format, float] = field(metadata=same_as(Compute, "achievable"))
    memory_achievable: float = field(metadata=same_as(Memory, "achievable"))
    pointwise: float = field(
        metadata=same_as(
            Accelerator, "pointwise", doc="the same for normalisation, dropout, softmax and optimiser kernels"
        )
    )
    kernel_overhead_s: float = field(metadata=about("launch and drain of one kernel on a busy device", ge=0))
    sustained: float = field(metadata=same_as(Accelerator, "sustained"))
    access_bytes: float = field(metadata=about("granularity of a random access", gt=0))
    random_bytes: float = field(metadata=about("cost of starting a random access, as bytes streamed", ge=0))
    sources: Mapping[str, Evidence] = field(metadata=about("evidence of every constant, by its name"))
    attention: FusedAttention | None = field(default=None, metadata=same_as(Accelerator, "attention"))
    rate_error: float = field(default=0.0, metadata=same_as(Accelerator, "rate_error"))
    host_s: float = field(
        default=0.0, metadata=about("time an eager framework on the hosts of the time takes per op", ge=0)
    )

    def contradictions(self) -> Iterator[Problem]:
        """Every constant has its evidence, and no other name has."""
        unknown = {name for name in ("attention", "rate_error") if not getattr(self, name)}
        stated = {f.name for f in fields(self)} - {"name", "sources"} - unknown
        constants = {name.removesuffix("_s").removesuffix("_bytes") for name in stated}
        for name in sorted(constants - set(self.sources)):
            yield Problem("has no evidence", f"sources.{name}")
        for name in sorted({name.partition(".")[0] for name in self.sources} - constants - {"attention"}):
            yield Problem("is no constant of a generation", f"sources.{name}")
