"""The input pipeline against closed forms of queues."""

from __future__ import annotations

import pytest

from sim.engine.feed import Stage, simulate_feed
from sim.engine.feed.pipeline import steady_stall_s
from sim.engine.feed.queue import waiting_server_s
from sim.files import document_of
from sim.files.scenario import build
from sim.simulation import simulate
from sim.simulation.feeding import stages_of


@pytest.mark.parametrize("prefetch", [1, 2, 5])
@pytest.mark.parametrize("times", [(0.4,), (1.7,), (0.6, 1.25, 0.3), (1.5, 0.2, 1.4)])
def test_steady_stages_stall_by_what_the_slowest_takes_longer(times: tuple[float, ...], prefetch: int) -> None:
    """D/D/1: max(0, slowest - step); one place makes fetching and training take turns in the last stage."""
    stages = [Stage(f"stage {n}", seconds) for n, seconds in enumerate(times)]
    feed = simulate_feed(stages, 1.0, prefetch)
    if prefetch > 1:
        assert feed.stall_s == pytest.approx(steady_stall_s(stages, 1.0), abs=1e-9)
        assert steady_stall_s(stages, 1.0) == pytest.approx(max(0.0, max(times) - 1.0))
    else:
        assert feed.stall_s >= max(times[-1], max(times) - 1.0) - 1e-9


@pytest.mark.parametrize("load", [0.5, 0.9, 1.3])
@pytest.mark.parametrize("places", [1, 2, 4])
def test_random_batches_stall_as_the_queue_says(load: float, places: int) -> None:
    """M/D/1/N (Brun and Garcia 2000), within three standard errors."""
    feed = simulate_feed([Stage("store", 1.0 / load, random=True)], 1.0, places, steps=8000, seed=places)
    assert abs(feed.stall_s - waiting_server_s(1.0 / load, 1.0, places)) < 3 * feed.error_s


def test_one_place_is_a_server_that_waits_a_whole_gap() -> None:
    """M/D/1/1: no batch is fetched while one is in use, so the wait is the mean gap; more places, less waiting."""
    assert waiting_server_s(2.0, 1.0, 1) == pytest.approx(2.0)
    waits = [waiting_server_s(1.1, 1.0, n) for n in range(1, 8)]
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] > 1.1 - 1.0  # never below what the rates alone demand


@pytest.mark.parametrize(
    ("host", "data", "limit", "took"),
    [
        ("hal", "imagenet-python", 40 / 7.1e-3, 3004.51),  # NCSA, four V100 of one node
        ("tpu-v2-board", "imagenet-tf-data", 32 * 1.1 / 3.8e-3, 64155.6 / 32),  # DAWNBench, half a pod of TPU v2
        ("aws-p3-16xlarge", "imagenet-python", 32 / 7.1e-3, 1974.3),  # DAWNBench, tensorpack
    ],
)
def test_published_runs_are_not_limited_by_decoding(host: str, data: str, limit: float, took: float) -> None:
    """Images a second that a published run's host decodes, beside those it took: none of its lack is input."""
    scenario = build(
        document_of(
            {
                "target": {"steps": 1},
                "workload": {"family": "resnet50"},
                "cluster": {"extends": "dgx-a100", "host": host},
                "plan": {"sub_batch": 64},
                "training": {"input": data},
            },
            "s",
        )
    )
    plan = simulate(scenario, levers=False).plan
    stages = {stage.name: stage.seconds for stage in stages_of(scenario, plan)}
    nodes = -(-plan.devices // scenario.host.accelerators)
    assert plan.global_batch / nodes / stages["host cores"] == pytest.approx(limit)
    assert limit > took
