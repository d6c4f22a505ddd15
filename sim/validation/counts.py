"""FLOPs and bytes summed over op graphs, beside counts of another tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sim.files.hardware import load_accelerator
from sim.plan.prepare import single_device
from sim.records import dataclass
from sim.workload.build import build_model
from sim.workload.expand import PLAIN_FP32
from sim.workload.records import Model, Numerics


@dataclass(frozen=True, slots=True)
class Count:
    """FLOPs and algorithmic bytes of one training step (forward, backward, update), ours and the other tool's."""

    model: str
    flops: float
    bytes: float
    their_flops: float
    their_bytes: float


def catamount(rows: Sequence[Mapping[str, Any]]) -> Iterator[Count]:
    """Each row names a family, its sizes and batch, and what Catamount counts; single precision, nothing fused."""
    for row in rows:
        model = build_model(row["family"], row["sizes"])
        numerics = replace(PLAIN_FP32, optimizer=row.get("optimizer", "sgd"), clip=bool(row.get("clipped", False)))
        flops, moved = step_requirements(model, row["batch"], numerics)
        yield Count(f"{model.name} b={row['batch']}", flops, moved, row["flops"], row["bytes"])


def step_requirements(model: Model, batch: int, numerics: Numerics) -> tuple[float, float]:
    """FLOPs and algorithmic bytes of a step on one device of the paper, from its record."""
    return single_device(model, batch, numerics, load_accelerator("paper-2019")).requirements()
