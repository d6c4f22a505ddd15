"""Every other block has experts, each token meets one of them: more weights for the work of a dense model."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class MixtureOfExperts:
    """Every other block has experts, each token meets one of them: more weights for the work of a dense model."""

    name: ClassVar[str] = "mixture_of_experts"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "experts"
    default: ClassVar[float] = 64.0
    least: ClassVar[float] = 2.0
    most: ClassVar[float] = 2048.0
    needs: ClassVar[tuple[str, ...]] = ("top_k",)
    published: ClassVar[str] = (
        "85.7 % claimed, T5-base and -large on the same machine (Switch, arXiv 2101.03961, up to 7 times)"
    )
    published_saving: ClassVar[float | None] = 0.857
    source: ClassVar[str] = (
        "Fedus et al. (arXiv 2101.03961): the quality of the dense model in a seventh of the steps; "
        "64 experts, every other block (recalled)"
    )

    def effect(self, amount: float) -> Effect:
        sizes: dict[str, object] = {"experts": round(amount), "top_k": 1, "moe_every": 2}
        settings = {f"workload.sizes.{name}": value for name, value in sizes.items()}
        return Effect(samples=1.0 / 7.0, settings=settings, accuracy_points=0.0)
