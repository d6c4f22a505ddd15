"""Layers from the input on stop learning: no backward pass, no gradient."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class LayerFreezing:
    """Layers from the input on stop learning one after the other: no backward pass, no gradient."""

    name: ClassVar[str] = "layer_freezing"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "optimisation"
    amount_doc: ClassVar[str] = "mean share of the blocks frozen over the run"
    default: ClassVar[float] = 0.25
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 0.95
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "about 5 % more throughput, ResNet-50 (Composer method card)"
    published_saving: ClassVar[float | None] = 0.048
    source: ClassVar[str] = (
        "FreezeOut (arXiv 1706.04983), Composer method card layer_freezing; "
        "default: freeze_start 0.5, freeze_level 1.0, linear (composer/yamls/algorithms/layer_freezing/hparams.yaml)"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(frozen=amount, accuracy_points=-0.75)
