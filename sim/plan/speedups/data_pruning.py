"""Samples of small loss are left out of an epoch at random, gradients rescaled."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class DataPruning:
    """Samples of small loss are left out of an epoch at random, gradients rescaled."""

    name: ClassVar[str] = "data_pruning"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "data"
    amount_doc: ClassVar[str] = "share of the samples left out"
    default: ClassVar[float] = 0.4
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 0.9
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "40 %, ImageNet (InfoBatch, arXiv 2303.04947)"
    published_saving: ClassVar[float | None] = 0.4
    source: ClassVar[str] = "InfoBatch (arXiv 2303.04947): 40 % of the cost at equal accuracy, claimed"

    def effect(self, amount: float) -> Effect:
        return Effect(samples=1.0 - amount, accuracy_points=0.0)
