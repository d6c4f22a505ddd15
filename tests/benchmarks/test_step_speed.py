"""Speed of the step engine: events are counted, time is measured against a calibration loop on the same machine."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from sim.engine import build, recursion, simulate_step, streams
from sim.plan.costs import Block, Chunk, Message, Prepared, Stage, Work


def _cpu(run: Callable[[], object], repeat: int = 5) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def _calibration() -> None:
    """50,000 heap operations: about 20 ms where the project's goals were set."""
    heap: list[tuple[float, int]] = []
    for i in range(50_000):
        heapq.heappush(heap, ((i * 7919) % 10_007 * 1e-3, i))
        if len(heap) > 64:
            heapq.heappop(heap)


def _data_parallel() -> Prepared:
    """1,024 devices, 160 gradient tensors reduced one by one."""
    block = Block("block", "block", 160, Work(1e-3), Work(2e-3))
    reductions = tuple(Message("reduce", "data", 1e-3, 1e6, k + 1) for k in range(160))
    return Prepared((Stage(1024, (Chunk((block,), (), reductions),)),), 1, 1024, 1)


def _pipeline() -> Prepared:
    """TP8 × PP16 × DP64, 64 micro-batches."""
    stage = Stage(512, (Chunk((Block("block", "block", 1, Work(10e-3), Work(20e-3)),)),))
    return Prepared((stage,) * 16, 64, 64, 8, send_s=1e-4)


def test_a_data_parallel_step_is_a_few_milliseconds() -> None:
    """Goal: 2 ms of CPU after set-up; the calibration loop takes about 20."""
    program = build(_data_parallel())
    assert streams.run(program).events <= 1000
    assert _cpu(lambda: streams.run(program)) < 0.3 * _cpu(_calibration)


def test_a_pipeline_of_8192_devices_takes_about_ten_milliseconds() -> None:
    """Goal: 10 ms of CPU with building the program, at most 7,000 events."""
    prepared = _pipeline()
    assert simulate_step(prepared).events <= 7000
    assert _cpu(lambda: simulate_step(prepared)) < 1.2 * _cpu(_calibration)


def test_the_recursion_is_ten_times_faster_than_events() -> None:
    """The fast path of the same program."""
    program = build(_pipeline())
    assert _cpu(lambda: recursion.run(program)) < 0.2 * _cpu(lambda: streams.run(program))
