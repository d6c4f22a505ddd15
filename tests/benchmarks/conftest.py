"""Times as ratios to a calibration loop on the same machine: they run with `pytest -m speed`, never by default."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

import pytest

Job = Callable[[], object]


def calibration() -> None:
    """50,000 heap operations: about 20 ms where the project's goals were set."""
    heap: list[tuple[float, int]] = []
    for i in range(50_000):
        heapq.heappush(heap, ((i * 7919) % 10_007 * 1e-3, i))
        if len(heap) > 64:
            heapq.heappop(heap)


def cpu(job: Job, times: int = 3) -> float:
    """Least processor time of several runs (s)."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        job()
        best = min(best, time.process_time() - start)
    return best


@pytest.fixture
def ratio(benchmark) -> Callable[[Job], float]:
    """Processor time of a job in calibration loops; pytest-benchmark keeps its wall times beside it."""

    def measured(job: Job, times: int = 3) -> float:
        benchmark.pedantic(job, rounds=1)
        return cpu(job, times) / cpu(calibration)

    return measured
