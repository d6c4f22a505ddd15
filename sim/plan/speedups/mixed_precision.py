"""Products, activations and gradients in 16 bits, beside weights in 32 that the optimiser updates."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, FirstOf, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class MixedPrecision:
    """Products, activations and gradients in 16 bits, beside weights in 32 that the optimiser updates."""

    name: ClassVar[str] = "mixed_precision"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "bits"
    default: ClassVar[float] = 16.0
    least: ClassVar[float] = 16.0
    most: ClassVar[float] = 16.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "65.6 %, ResNet-50 from fp32 on 8 V100 of 16 GB (NVIDIA, 2,855 to 8,322 images/s)"
    published_saving: ClassVar[float | None] = 0.656
    source: ClassVar[str] = (
        "NVIDIA DeepLearningExamples, readme of ResNet-50 v1.5: 76.88 beside 77.01 % top-1, inside the spread; "
        "Micikevicius et al. (arXiv 1710.03740)"
    )

    def effect(self, amount: float) -> Effect:
        short = FirstOf("bf16", "fp16")
        parts = ("compute", "activations", "weights", "gradients")
        numerics: dict[str, object] = {f"workload.numerics.{part}": short for part in parts}
        return Effect(settings=numerics | {"workload.numerics.master": "fp32"}, accuracy_points=-0.13)
