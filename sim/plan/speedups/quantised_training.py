"""Products in 8 bits, and gradients on the wire; activations and weights stay as they are."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, FirstOf, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class QuantisedTraining:
    """Products in 8 bits, and gradients on the wire; activations and weights stay as they are."""

    name: ClassVar[str] = "quantised_training"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "bits"
    default: ClassVar[float] = 8.0
    least: ClassVar[float] = 8.0
    most: ClassVar[float] = 8.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "42.9 % claimed, GPT-175B from bf16 on H100 (FP8-LM, arXiv 2310.18313, 75 % faster)"
    published_saving: ClassVar[float | None] = 0.429
    source: ClassVar[str] = (
        "Peng et al., FP8-LM (arXiv 2310.18313): loss as in bf16; its optimiser state in 16 bits is not modelled"
    )

    def effect(self, amount: float) -> Effect:
        short = FirstOf("fp8")
        numerics: dict[str, object] = {f"workload.numerics.{part}": short for part in ("compute", "gradients")}
        return Effect(settings=numerics, accuracy_points=0.0)
