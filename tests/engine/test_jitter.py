"""Jitter and slow devices: exact order statistics, and barriers that wait for the slowest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prepared import data_parallel, pipeline

from sim.engine import simulate_step
from sim.engine.jitter import jittered_steps, largest_of, spread
from sim.errors import InputError
from sim.files import document_of
from sim.files.scenario import build
from sim.plan import slowed
from sim.simulation.planning import choose_plan, model_of
from sim.simulation.stepping import record_of


@pytest.mark.parametrize("ranks", [1, 8, 1024])
def test_the_largest_of_many_draws_is_drawn_exactly(ranks: int) -> None:
    """Mean of the maximum of N standard normals against brute force (20,000 draws of each)."""
    draw = np.random.default_rng(1)
    brute = np.array([draw.standard_normal(ranks).max() for _ in range(20_000)])
    exact = largest_of(ranks, 1.0 - draw.random(200_000))
    assert exact.mean() == pytest.approx(brute.mean(), abs=4 * brute.std() / np.sqrt(len(brute)))
    assert exact.std() == pytest.approx(brute.std(), rel=0.03)


def test_the_mean_maximum_of_16384_normals_matches_quadrature() -> None:
    """3.9714 by numerical integration of x·N·φ(x)·Φ(x)^(N−1)."""
    exact = largest_of(16_384, 1.0 - np.random.default_rng(2).random(400_000))
    assert exact.mean() == pytest.approx(3.9714, abs=0.002)


def test_without_jitter_the_step_is_the_step() -> None:
    """σ = 0 gives the deterministic time, every time."""
    prepared = pipeline([(1.0, 2.0)] * 3, 6)
    times = jittered_steps(prepared, 0.0, steps=3)
    assert times.seconds == pytest.approx([simulate_step(prepared).time_s] * 3)
    assert times.std_s == pytest.approx(0.0)


def test_contention_is_in_the_steps_under_jitter() -> None:
    """Gradients that slow the kernels beside them: σ = 0 gives their step, not that of free links, and σ adds to it."""
    shared = {"extends": "dgx-a100-superpod", "devices": 64}
    asked = {"workload": "bert-large", "cluster": shared, "plan": {"sub_batch": 4}, "target": {"steps": 1}}
    scenario = build(document_of(asked, "s"))
    model = model_of(scenario, None)
    record = record_of(scenario, model, choose_plan(scenario, model)[0])
    step_s = simulate_step(record).time_s
    assert record.steals
    assert step_s > 1.002 * simulate_step(replace(record, steals=False)).time_s
    assert jittered_steps(record, 0.0, steps=1).seconds[0] == pytest.approx(step_s, rel=1e-12)
    assert jittered_steps(record, 0.05, steps=4).mean_s > step_s


def test_jitter_costs_more_the_more_ranks_meet_at_a_barrier() -> None:
    """1,024 replicas that reduce every gradient together wait for the slowest; the same seed gives the same steps."""
    prepared = data_parallel(20, 1e-3, 2e-3, 0.5e-3)
    times = jittered_steps(prepared, 0.05, steps=8, seed=3)
    assert times.mean_s > 1.05 * simulate_step(prepared).time_s
    assert times == jittered_steps(prepared, 0.05, steps=8, seed=3)


def test_a_slow_stage_sets_the_pace_of_the_pipeline() -> None:
    """One stage 1.5 times slower: in steady state every micro-batch takes its 4.5 s."""
    step = simulate_step(slowed(pipeline([(1.0, 2.0)] * 4, 64), {2: 1.5}))
    fill, drain = 2 * 1.0, 2 * 2.0  # the two stages before it
    first = 3.0 - 1.5  # its first backward pass waits for the last stage, less its second forward pass meanwhile
    assert step.time_s == pytest.approx(fill + first + 64 * 4.5 + drain)


def test_many_micro_batches_are_as_few_of_them_drawn_out() -> None:
    """320 of a pipeline of two: mean within 0.5 %, deviation within a third, of all of them drawn."""
    many = pipeline([(1.0, 2.0)] * 2, 320)
    whole, short = jittered_steps(many, 0.1, steps=32, seed=1), spread(many, simulate_step(many).time_s, 0.1, seed=2)
    assert short.mean_s == pytest.approx(whole.mean_s, rel=0.005)
    assert short.std_s == pytest.approx(whole.std_s, rel=0.33)
    assert short.p05_s < short.p50_s < short.p95_s


def test_jitter_must_be_a_fraction() -> None:
    """A negative or complete spread is refused."""
    with pytest.raises(InputError, match="must lie in"):
        jittered_steps(pipeline([(1.0, 2.0)], 1), -0.1)
