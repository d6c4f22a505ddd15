"""What happens to the places of nodes that failed."""

from __future__ import annotations

import heapq
from typing import ClassVar, Protocol


class Pool:
    """Nodes at work, spare ones, and those in repair."""

    __slots__ = ("_back", "nodes", "repair_s", "spares", "working")

    def __init__(self, nodes: int, spares: int | None, repair_s: float) -> None:
        self.nodes = nodes
        self.working = nodes
        self.spares = spares
        self.repair_s = repair_s
        self._back: list[float] = []

    @property
    def missing(self) -> int:
        """Places without a node."""
        return self.nodes - self.working

    def fail(self, nodes: int, now: float) -> None:
        """So many nodes go to repair; spare ones take their places while there are any."""
        if self.spares is None:
            return
        hit = min(nodes, self.working)
        for _ in range(hit):
            heapq.heappush(self._back, now + self.repair_s)
        used = min(hit, self.spares)
        self.spares -= used
        self.working -= hit - used

    def settle(self, now: float) -> None:
        """Take back what has been repaired: into empty places first, then into the pool."""
        while self.spares is not None and self._back and self._back[0] <= now:
            heapq.heappop(self._back)
            if self.missing:
                self.working += 1
            else:
                self.spares += 1

    @property
    def next_back(self) -> float:
        """When the next node comes back; infinite where none is away."""
        return self._back[0] if self._back else float("inf")


class Recovery(Protocol):
    """Whether the training goes on with the nodes it has."""

    name: ClassVar[str]
    elastic: ClassVar[bool]  # runs on fewer nodes, and grows again when they come back

    def may_run(self, pool: Pool, factor: float) -> bool:
        """Whether to go on now; `factor`: how many times longer a step takes on the nodes at work."""
        ...
