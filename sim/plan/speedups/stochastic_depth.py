"""Residual blocks are skipped at random, whole batches at a time."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class StochasticDepth:
    """Residual blocks are skipped at random, whole batches at a time."""

    name: ClassVar[str] = "stochastic_depth"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "mean share of the blocks skipped"
    default: ClassVar[float] = 0.25
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 0.9
    needs: ClassVar[tuple[str, ...]] = ("depth", "layers_per_stage", "blocks", "stages")
    published: ClassVar[str] = "about 25 %, ResNet-110 (Huang et al.)"
    published_saving: ClassVar[float | None] = 0.25
    source: ClassVar[str] = "Huang et al. (arXiv 1603.09382): survival falls linearly to 0.5"

    def effect(self, amount: float) -> Effect:
        return Effect(forward=1.0 - amount, backward=1.0 - amount)
