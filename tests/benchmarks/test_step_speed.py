"""Speed of the step engine: events are counted; times, as ratios to a calibration loop, with `pytest -m speed`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim.engine import build, recursion, simulate_step, streams
from sim.plan.records import Plan
from sim.plan.step_record import Block, Chunk, Stage, StepRecord, Transfer, Work
from tests.benchmarks.conftest import Job, cpu

Ratio = Callable[[Job], float]


def _data_parallel() -> StepRecord:
    """1,024 devices, 160 gradient tensors reduced one by one."""
    block = Block("block", "block", 160, Work(1e-3), Work(2e-3))
    reductions = tuple(Transfer("reduce", "data", 1e-3, 1e6, k + 1) for k in range(160))
    return StepRecord(Plan(1, 1024, data=1024), (Stage(1024, (Chunk((block,), (), reductions),)),))


def _pipeline() -> StepRecord:
    """TP8 × PP16 × DP64, 64 micro-batches."""
    stage = Stage(512, (Chunk((Block("block", "block", 1, Work(10e-3), Work(20e-3)),)),))
    plan = Plan(1, 64 * 64, data=64, tensor=8, pipeline=16)
    return StepRecord(plan, (stage,) * 16, send=Transfer("activations", "pipeline", 1e-4, 1e6))


def test_a_data_parallel_step_is_at_most_a_thousand_events() -> None:
    """160 reductions."""
    assert streams.run(build(_data_parallel())).events <= 1000


def test_a_pipeline_of_8192_devices_is_at_most_three_thousand_events() -> None:
    """64 micro-batches through 16 stages, there and back, with their messages."""
    assert simulate_step(_pipeline()).events <= 3000


@pytest.mark.speed
def test_a_data_parallel_step_is_a_few_milliseconds(ratio: Ratio) -> None:
    """Goal: 2 ms of CPU after set-up; the calibration loop takes about 20."""
    program = build(_data_parallel())
    assert ratio(lambda: streams.run(program)) < 0.3


@pytest.mark.speed
def test_a_pipeline_of_8192_devices_takes_about_ten_milliseconds(ratio: Ratio) -> None:
    """Goal: 10 ms of CPU with building the program."""
    prepared = _pipeline()
    assert ratio(lambda: simulate_step(prepared)) < 0.8


@pytest.mark.speed
def test_the_recursion_is_ten_times_faster_than_events() -> None:
    """The fast path of the same program."""
    program = build(_pipeline())
    assert cpu(lambda: recursion.run(program)) < 0.2 * cpu(lambda: streams.run(program))
