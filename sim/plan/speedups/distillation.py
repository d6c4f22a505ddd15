"""A student with a part of the blocks learns from a teacher, whose forward pass runs beside it."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Distillation:
    """A student with a part of the blocks learns from a teacher, whose forward pass runs beside it."""

    name: ClassVar[str] = "distillation"
    kind: ClassVar[Kind] = "retrofit"
    component: ClassVar[Component] = "optimisation"
    amount_doc: ClassVar[str] = "share of the blocks the student keeps"
    default: ClassVar[float] = 0.5
    least: ClassVar[float] = 0.05
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "none of training; 60 % faster inference, BERT-base to 6 layers (DistilBERT)"
    published_saving: ClassVar[float | None] = None
    source: ClassVar[str] = "Sanh et al., DistilBERT (arXiv 1910.01108): 40 % fewer parameters, GLUE 77.0 beside 79.5"

    def effect(self, amount: float) -> Effect:
        return Effect(forward=1.0 + amount, backward=amount, gradient_bytes=amount, accuracy_points=-2.5)
