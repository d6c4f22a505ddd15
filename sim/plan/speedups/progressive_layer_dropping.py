"""Transformer blocks are dropped with a probability that grows along the run."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class ProgressiveLayerDropping:
    """Transformer blocks are dropped with a probability that grows along the run."""

    name: ClassVar[str] = "progressive_layer_dropping"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "mean share of the blocks dropped"
    default: ClassVar[float] = 0.25
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 0.9
    needs: ClassVar[tuple[str, ...]] = ("heads",)
    published: ClassVar[str] = "24 % at equal samples, BERT-base (arXiv 2010.13369)"
    published_saving: ClassVar[float | None] = 0.24
    source: ClassVar[str] = "Zhang and He (arXiv 2010.13369): 25 % of the FLOPs"

    def effect(self, amount: float) -> Effect:
        return Effect(forward=1.0 - amount, backward=1.0 - amount, accuracy_points=0.0)
