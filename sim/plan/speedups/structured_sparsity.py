"""Weights of the feed-forward products keep two of four values, for outputs and for gradients of inputs."""

from __future__ import annotations

from typing import ClassVar

from sim.plan.speedups.base import Component, Effect, Kind
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class StructuredSparsity:
    """Weights of the feed-forward products keep two of four values, for outputs and for gradients of inputs."""

    name: ClassVar[str] = "structured_sparsity"
    kind: ClassVar[Kind] = "restrict"
    component: ClassVar[Component] = "function"
    amount_doc: ClassVar[str] = "share of the values kept"
    default: ClassVar[float] = 0.5
    least: ClassVar[float] = 0.5
    most: ClassVar[float] = 0.5
    needs: ClassVar[tuple[str, ...]] = ("heads",)
    published: ClassVar[str] = "6 %, sparse for 70 % of the run, ViT-L on 4 A100 (PyTorch, semi-structured training)"
    published_saving: ClassVar[float | None] = 0.06
    source: ClassVar[str] = (
        "PyTorch post on semi-structured training: 82.8 to 82.7 % top-1; here sparse for the whole run"
    )

    def effect(self, amount: float) -> Effect:
        return Effect(settings={"workload.numerics.sparse_products": ("mlp.*",)}, accuracy_points=-0.1)
