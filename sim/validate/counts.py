"""FLOPs and bytes summed over op graphs, beside counts of another tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.ops import total_bytes, total_flops
from sim.workload.build import build_model
from sim.workload.expand import PLAIN_FP32, step_ops


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
        numerics = replace(PLAIN_FP32, optimizer=row.get("optimizer", "sgd"))
        ops = step_ops(model.layers(row["batch"], numerics), numerics, clipped=bool(row.get("clipped", False)))
        name = f"{model.name} b={row['batch']}"
        yield Count(name, total_flops(ops), total_bytes(ops), row["flops"], row["bytes"])
