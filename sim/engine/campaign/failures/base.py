"""How failures arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from numpy.random import Generator


class FailureProcess(Protocol):
    """Times at which any of `count` like components fails, all of them new at time 0."""

    name: ClassVar[str]
    memoryless: ClassVar[bool]  # gaps are independent of the past: the vectorised form applies

    def arrivals(self, draw: Generator, count: int, mtbf_s: float) -> Iterator[float]:
        """Failure times [s], never decreasing, without end."""
        ...
