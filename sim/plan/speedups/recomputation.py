"""Activations are computed again in the backward pass instead of kept: memory for time."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Recomputation:
    """Activations are computed again in the backward pass instead of kept: memory for time."""

    name: ClassVar[str] = "recomputation"
    kind: ClassVar[Kind] = "reorder"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "share of the blocks computed again"
    default: ClassVar[float] = 1.0
    least: ClassVar[float] = 1.0
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "-30 %, ResNet of 1,000 layers, the square-root rule (Chen et al., arXiv 1604.06174)"
    published_saving: ClassVar[float | None] = -0.3
    source: ClassVar[str] = (
        "Chen et al. (arXiv 1604.06174): 30 % longer for the memory of the square root of the layers"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(settings={"plan.recompute": "full"}, accuracy_points=0.0)
