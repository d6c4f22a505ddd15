"""The products of the blocks are two thin ones each: their weights are trained as factors."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class LowRank:
    """The products of the blocks are two thin ones each: their weights are trained as factors."""

    name: ClassVar[str] = "low_rank"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "rank over the smaller side of the weights"
    default: ClassVar[float] = 0.25
    least: ClassVar[float] = 0.01
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ("heads",)
    published: ClassVar[str] = "39 % claimed, up to 1.64 times (Pufferfish, arXiv 2103.03936)"
    published_saving: ClassVar[float | None] = 0.39
    source: ClassVar[str] = (
        "Wang et al., Pufferfish (arXiv 2103.03936): no loss after a short warm-up at full rank, which is left out; "
        "rank recalled"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(rank=amount, accuracy_points=0.0)
