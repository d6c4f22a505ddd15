"""Fewer bytes of gradients on the wire; compressing itself is not priced."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class GradientCompression:
    """Fewer bytes of gradients on the wire; compressing itself is not priced."""

    name: ClassVar[str] = "gradient_compression"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "optimisation"
    amount_doc: ClassVar[str] = "bytes that are left, relative"
    default: ClassVar[float] = 0.25
    least: ClassVar[float] = 0.001
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[str] = "in 6 of more than 200 data-centre set-ups (arXiv 2103.00543)"
    published_saving: ClassVar[float | None] = None
    source: ClassVar[str] = "Agarwal et al. (arXiv 2103.00543); default: 8 of 32 bits (assumed)"

    def effect(self, amount: float) -> Effect:
        return Effect(gradient_bytes=amount)
