"""Replicas average their weights only every so many steps."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class LocalSgd:
    """Replicas average their weights only every so many steps."""

    name: ClassVar[str] = "local_sgd"
    kind: ClassVar[Kind] = "remove"
    component: ClassVar[Component] = "optimisation"
    amount_doc: ClassVar[str] = "steps between averages"
    default: ClassVar[float] = 4.0
    least: ClassVar[float] = 1.0
    most: ClassVar[float] = 1000.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "no figure taken"
    published_saving: ClassVar[float | None] = None
    source: ClassVar[str] = "Stich (arXiv 1805.09767), recalled; default assumed"

    def effect(self, amount: float) -> Effect:
        return Effect(gradient_bytes=1.0 / amount)
