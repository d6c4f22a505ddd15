"""Only the samples of the largest loss are learnt from; all are scored by one more forward pass."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class SelectiveBackprop:
    """Only the samples of the largest loss are learnt from; all are scored by one more forward pass."""

    name: ClassVar[str] = "selective_backprop"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "data"
    amount_doc: ClassVar[str] = "share of the run in which half of the samples are dropped"
    default: ClassVar[float] = 0.4
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "6.1 %, ResNet-50 on ImageNet (Composer method card, 5 h 43 m to 5 h 22 m)"
    published_saving: ClassVar[float | None] = 0.061
    source: ClassVar[str] = (
        "Jiang et al. (arXiv 1910.00762); Composer method card selective_backprop: "
        "keep 0.5 between 50 and 90 % of the run"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(forward=1.0 + 0.5 * amount, backward=1.0 - 0.5 * amount, accuracy_points=0.0)
