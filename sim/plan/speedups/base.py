"""What an algorithmic speed-up changes in a training, averaged over the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Literal, Protocol

from sim.records import dataclass

Kind = Literal["remove", "restrict", "reorder", "replace", "retrofit"]
Component = Literal["function", "data", "optimisation"]
"""Axes of Bartoldson, Kailkhura, Blalock, JMLR 24 (2023)."""


class FirstOf(tuple[str, ...]):
    """A number format: the first of these in which the accelerator computes."""

    __slots__ = ()

    def __new__(cls, *formats: str) -> FirstOf:
        return super().__new__(cls, formats)


@dataclass(frozen=True, slots=True)
class Effect:
    """Factors on what the training without it does, means over the run; what the accuracy pays, in points."""

    samples: float = 1.0  # needed to the target
    forward: float = 1.0  # work of forward passes
    backward: float = 1.0
    frozen: float = 0.0  # share of the blocks without backward pass and gradient, growing from the input on
    gradient_bytes: float = 1.0  # per step on the wire
    rank: float = 1.0  # of the products of blocks, over the smaller side of their weights; 1: whole
    decoded: float = 1.0  # bytes of a sample to the device
    settings: Mapping[str, object] = field(default_factory=dict)  # leaves of the scenario, and what it makes of them
    accuracy_points: float | None = None  # None: not published


class Speedup(Protocol):
    """One method: `amount` is its own measure of how much of it is used, with a default from its source."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    component: ClassVar[Component]
    amount_doc: ClassVar[str]
    default: ClassVar[float]
    least: ClassVar[float]
    most: ClassVar[float]
    needs: ClassVar[tuple[str, ...]]  # attributes of a model, one of which it must have; empty: any model
    published: ClassVar[str]  # the saving of time printed, and where
    published_saving: ClassVar[float | None]  # the same as a number
    source: ClassVar[str]

    def effect(self, amount: float) -> Effect:
        """What it changes."""
        ...
