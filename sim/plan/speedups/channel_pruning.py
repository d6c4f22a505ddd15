"""Channels whose weights vanish under group lasso are cut out while training goes on."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class ChannelPruning:
    """Channels whose weights vanish under group lasso are cut out while training goes on."""

    name: ClassVar[str] = "channel_pruning"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "mean share of the work cut out over the run"
    default: ClassVar[float] = 0.4
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 0.9
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "39 %, ResNet-50 on ImageNet (PruneTrain)"
    published_saving: ClassVar[float | None] = 0.39
    source: ClassVar[str] = (
        "Lym et al., PruneTrain (arXiv 1901.09290): 40 % of the FLOPs and 55 % of the traffic between devices saved; "
        "the traffic is scaled with the amount"
    )

    def effect(self, amount: float) -> Effect:
        traffic = 1.0 - amount * 0.55 / 0.4
        return Effect(forward=1.0 - amount, backward=1.0 - amount, gradient_bytes=max(traffic, 0.0))
