"""Smaller images at first; work and bytes to the device fall with their area, decoding does not."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class ProgressiveResizing:
    """Smaller images at first; work and bytes to the device fall with their area, decoding does not."""

    name: ClassVar[str] = "progressive_resizing"
    kind: ClassVar[Kind] = "reorder"
    component: ClassVar[Component] = "data"
    amount_doc: ClassVar[str] = "mean area of the images over the run, relative"
    default: ClassVar[float] = 0.5
    least: ClassVar[float] = 0.05
    most: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ("image",)
    published: ClassVar[str] = "faster, no figure printed (Composer method card)"
    published_saving: ClassVar[float | None] = None
    source: ClassVar[str] = (
        "Composer method card progressive_resizing; "
        "default: half size for half of the run, linearly to full size until 80 % of it"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(forward=amount, backward=amount, decoded=amount)
