"""How far a figure can be trusted, and whether the part it belongs to exists."""

from __future__ import annotations

from enum import StrEnum


class Confidence(StrEnum):
    """How well a figure is known: A vendor or measured, B secondary, C derived, D recalled or assumed."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Status(StrEnum):
    """Whether a part can be bought; only shipped parts are ever used for fits."""

    SHIPPED = "shipped"
    ANNOUNCED = "announced"
    HYPOTHETICAL = "hypothetical"
