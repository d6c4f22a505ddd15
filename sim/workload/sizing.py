"""Checks and inversions that all model families share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from sim.errors import InputError, Problem
from sim.workload.records import Shard

DEGREES: Final = ("tensor", "sequence_parallel", "context", "expert")
"""What of a `Shard` cuts a layer."""


class Sized(Protocol):
    """Anything with a parameter count."""

    @property
    def parameters(self) -> float:
        """All trainable parameters."""
        ...


M = TypeVar("M", bound=Sized)


def solve_width(make: Callable[[int], M], parameters: float) -> M:
    """The integer width whose model comes nearest to `parameters`; the count must grow with the width."""
    low, high = 1, 2
    if not make(low).parameters <= parameters < float("inf"):
        raise InputError(Problem("too few parameters for this family", "parameters", f"{parameters:g}"))
    while make(high).parameters < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if make(middle).parameters <= parameters else (low, middle)
    return min((make(low), make(high)), key=lambda m: abs(m.parameters - parameters))


def unsharded(family: str, shard: Shard, but: str = "", hint: str = "use data or pipeline (layer) parallelism") -> None:
    """Families without a cut inside the layer refuse one; all `but` one axis."""
    degrees = {axis: int(getattr(shard, axis)) for axis in DEGREES if axis != but}
    wrong = [
        Problem(f"{family} has no {axis} parallelism", axis, str(degree), hint=hint)
        for axis, degree in degrees.items()
        if degree > 1
    ]
    if wrong:
        raise InputError(*wrong)
