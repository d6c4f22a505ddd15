"""The campaign against arithmetic (scripted failures), renewal theory and order statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import exp, inf, sqrt
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from sim.engine.campaign import renewal
from sim.engine.campaign.checkpoints import CopyTimes, Failing
from sim.engine.campaign.checkpoints.asynchronous import Asynchronous
from sim.engine.campaign.checkpoints.in_memory import InMemory
from sim.engine.campaign.checkpoints.synchronous import Synchronous
from sim.engine.campaign.failures.exponential import Exponential
from sim.engine.campaign.failures.infant_mortality import InfantMortality
from sim.engine.campaign.failures.weibull import Weibull
from sim.engine.campaign.progress import Pace
from sim.engine.campaign.records import Blast, Phase, Source, Tier, Work
from sim.engine.campaign.recovery.replace import Replace
from sim.engine.campaign.recovery.shrink import Shrink
from sim.engine.campaign.run import MOST_KNOWN, failures_of, simulate_campaign
from sim.engine.campaign.summary import run_campaigns
from sim.engine.campaign.vector import simulate_campaigns, vectorised

HOUR, DAY = 3600.0, 86400.0
DEVICE_MTBF_S = 50_676 * HOUR  # Llama 3: 419 unexpected interruptions in 54 days on 16,384 devices (arXiv 2407.21783)


@dataclass(frozen=True)
class Scripted:
    """Failures at given times."""

    at: tuple[float, ...]
    name: ClassVar[str] = "scripted"
    memoryless: ClassVar[bool] = False

    def arrivals(self, draw: np.random.Generator, count: int, mtbf_s: float) -> Iterator[float]:
        yield from self.at
        yield inf


def failing(*at: float, blast: Blast = Blast.DEVICE, slows: bool = False) -> Source:
    return Source("scripted", Scripted(at), 1, 1.0, 1, blast, slows)


def storage(every: float, pause: float, lag: float = 0.0, restore: float = 0.0) -> Tier:
    return Tier("storage", every, pause, lag, restore, Blast.CLUSTER)


def ten_second_steps(steps: float, *tiers: Tier, **more: object) -> Work:
    return Work((Phase("all", steps, 10.0, tiers),), Replace(), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("step_s", [1.913, 3.513])
def test_the_calendar_ends_with_the_campaign(step_s: float) -> None:
    """10 tenths of these lengths are less than one of them in binary; the last row ends there and nothing is left."""
    assert step_s * 10 / 10 < step_s
    last = run_campaigns(Work((Phase("all", 1, step_s, (), (25, 8.0)),), Replace()), 1, 0).calendar[-1]
    assert (last.end_s, last.done) == (step_s, 1.0)


# -- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1.0, 777_601.0, 1234.56])
def test_without_anything_else_the_campaign_is_step_time_times_steps(steps: float) -> None:
    """Exactly, not nearly."""
    out = simulate_campaign(Work((Phase("all", steps, 10.123456789),), Replace()))
    assert out.wall_s == steps * 10.123456789
    assert out.goodput == 1.0


def test_a_failure_costs_what_was_done_since_the_last_copy_and_the_restart() -> None:
    """Copies after 100 s of steps, each 5 s; failure 20 s into the third stretch: 20 s of rework, 60 s of restart."""
    work = ten_second_steps(40, storage(10, 5.0, restore=7.0), sources=(failing(230.0),), restart_s=50.0, detect_s=3.0)
    out = simulate_campaign(work)
    assert out.wall_s == pytest.approx(400 + 4 * 5 + 20 + 60)
    assert (out.rework_s, out.restart_s, out.checkpoint_s) == pytest.approx((20, 60, 20))
    assert out.failures == 1


def test_a_failure_before_the_first_copy_starts_over_without_reading_one() -> None:
    work = ten_second_steps(40, storage(10, 5.0, restore=7.0), sources=(failing(95.0),), restart_s=50.0)
    assert simulate_campaign(work).wall_s == pytest.approx(95 + 50 + 400 + 4 * 5)


def test_a_failure_during_a_restart_restarts_it() -> None:
    work = ten_second_steps(40, storage(10, 5.0), sources=(failing(230.0, 250.0),), restart_s=50.0)
    out = simulate_campaign(work)
    assert out.wall_s == pytest.approx(400 + 4 * 5 + 20 + 20 + 50)
    assert out.failures == 2


def test_a_copy_written_behind_counts_only_once_it_is_written() -> None:
    """Copies at 100 and 205 s take 60 s to write: a failure at 230 s falls back to the first."""
    early = ten_second_steps(40, storage(10, 5.0, lag=60.0), sources=(failing(230.0),), restart_s=50.0)
    assert simulate_campaign(early).wall_s == pytest.approx(230 + 50 + 300 + 3 * 5)
    late = replace(early, sources=(failing(275.0),))
    assert simulate_campaign(late).wall_s == pytest.approx(275 + 50 + 200 + 2 * 5)


def test_the_wider_failure_falls_back_to_the_safer_tier() -> None:
    tiers = (Tier("memory", 5, 1.0, 0.0, 2.0, Blast.NODE), storage(20, 3.0, restore=30.0))
    node = ten_second_steps(40, *tiers, sources=(failing(330.0, blast=Blast.NODE),), restart_s=50.0)
    # 330 s: 30 steps, 6 copies in memory and one in storage take 309 s; 2 more steps are lost with a part of a third
    assert simulate_campaign(node).wall_s == pytest.approx(330 + 52 + 100 + 2 * 1 + 3)
    rack = replace(node, sources=(failing(330.0, blast=Blast.RACK),))
    assert simulate_campaign(rack).wall_s == pytest.approx(330 + 80 + 200 + 4 * 1 + 3)


def test_evaluations_pause_all_devices() -> None:
    work = Work((Phase("all", 100, 10.0, (), (25, 8.0)),), Replace())
    out = simulate_campaign(work)
    assert (out.wall_s, out.evaluation_s) == (1000 + 4 * 8, 4 * 8)


def test_maintenance_waits_for_the_step_saves_and_loses_nothing() -> None:
    work = ten_second_steps(40, storage(1000, 5.0, restore=4.0), maintenance=(295.0, 100.0), restart_s=50.0)
    out = simulate_campaign(work)  # stops at 300 s and has 100 s of steps left, which end before the next one
    assert (out.maintenance_s, out.rework_s) == (100, 0)
    assert out.wall_s == pytest.approx(400 + 5 + 100 + 54)


def test_training_waits_for_a_repair_when_no_node_is_spare() -> None:
    work = ten_second_steps(
        40, storage(10, 0.0), sources=(failing(100.0, 250.0),), nodes=4, spares=1, repair_s=500.0, restart_s=50.0
    )
    out = simulate_campaign(work)
    assert out.spare_wait_s == pytest.approx(600 - 250)  # the first node is back 500 s after 100 s
    assert out.wall_s == pytest.approx(100 + 50 + 100 + 350 + 50 + 200)


def test_elastic_training_shrinks_and_grows_again() -> None:
    """Half the nodes take twice as long: 100 s on both, 50 s restart, then 200 s on one until the other is back."""
    work = Work(
        (Phase("all", 40, 10.0, (storage(10, 0.0),)),),
        Shrink(),
        (failing(100.0),),
        nodes=2,
        spares=0,
        repair_s=250.0,
        restart_s=50.0,
        price=lambda nodes: 2.0 / nodes,
    )
    out = simulate_campaign(work)
    assert out.degraded_s == pytest.approx(100.0)  # ten steps on one node
    assert out.wall_s == pytest.approx(100 + 50 + 200 + 50 + 200)


def test_a_slow_node_slows_every_step_until_it_is_found() -> None:
    work = ten_second_steps(
        40,
        storage(1000, 5.0),
        sources=(failing(100.0, slows=True),),
        slow_factor=1.5,
        slow_found_s=145.0,
        restart_s=20.0,
    )
    out = simulate_campaign(work)
    # slow from 100 s, found at 245 s, stopped at the end of the tenth slow step at 250 s
    assert out.degraded_s == pytest.approx(50.0)
    assert out.wall_s == pytest.approx(100 + 150 + 5 + 20 + 200)


@given(
    every=st.integers(1, 50),
    pauses=st.lists(st.tuples(st.integers(1, 40).map(float), st.floats(0.0, 90.0)), max_size=3),
    a=st.integers(0, 200),
    seconds=st.floats(0.0, 5e3),
)
def test_the_jump_lands_where_counting_does(
    every: int, pauses: list[tuple[float, float]], a: int, seconds: float
) -> None:
    """Against a walk, step by step and pause by pause."""
    pace, now, step, copy = Pace(7.0, tuple(pauses)), 0.0, float(a), float(a)
    while True:
        now += 7.0 + sum(s for e, s in pauses if (step + 1) % e == 0)
        if now > seconds + 1e-9:
            break
        step += 1
        copy = step if step % every == 0 else copy
    assert max(pace.last_multiple(float(a), seconds + 1e-9, float(every)), float(a)) == copy
    assert pace.wall(a, pace.next_step(float(a), seconds)) >= seconds


@given(st.lists(st.floats(0.0, 2000.0), max_size=6), st.integers(1, 30), st.floats(0.0, 40.0), st.floats(0.0, 80.0))
def test_the_parts_add_up_to_the_wall_time(at: list[float], every: int, lag: float, restart: float) -> None:
    work = Work(
        (Phase("first", 60, 10.0, (storage(every, 3.0, lag, 5.0),), (15, 9.0)), Phase("second", 30, 25.0)),
        Replace(),
        (failing(*sorted(at)),),
        restart_s=restart,
        startup_s=11.0,
    )
    out = simulate_campaign(work)
    parts = (
        out.ideal_s, out.startup_s, out.checkpoint_s, out.evaluation_s, out.rework_s, out.restart_s,
        out.spare_wait_s, out.degraded_s, out.maintenance_s,
    )  # fmt: skip
    assert sum(parts) == pytest.approx(out.wall_s)
    assert min(parts) >= 0.0


# -- renewal theory --------------------------------------------------------------------------------------------------


def llama(interval_s: float, days: float = 10.0, checkpoint_s: float = 30.0) -> Work:
    """16,384 devices at the published rate; whole intervals, so that the closed form holds without a remainder."""
    every = max(1, round(interval_s / 10.0))
    steps = round(days * DAY / 10.0 / every) * every
    devices = Source("device", Exponential(), 16_384, DEVICE_MTBF_S, 1, Blast.DEVICE)
    return ten_second_steps(steps, storage(every, checkpoint_s), sources=(devices,), nodes=2048, restart_s=600.0)


def expected_wall_s(work: Work) -> float:
    phase = work.phases[0]
    interval = phase.tiers[0].every * phase.step_s
    return (
        phase.steps
        / phase.tiers[0].every
        * renewal.segment_s(work.rate, interval, phase.tiers[0].pause_s, work.restart_s)
    )


def test_goodput_agrees_with_the_renewal_formula_at_a_thousand_seeds() -> None:
    """E[ideal/wall] = ideal/E[wall]·(1 + Var[wall]/E[wall]²): the correction for a finite campaign."""
    work = llama(820.0)
    out = simulate_campaigns(work, 1000)
    mean = expected_wall_s(work)
    assert abs(out.wall_s.mean() - mean) < 3 * out.wall_s.std() / sqrt(1000)
    finite = work.ideal_s / mean * (1.0 + out.wall_s.var() / mean**2)
    assert abs(out.goodput.mean() - finite) < 3 * out.goodput.std() / sqrt(1000)


def test_simpy_and_numpy_give_the_same_distribution() -> None:
    """Two-sample Kolmogorov-Smirnov on wall time and failures, with evaluations and copies written behind."""
    work = llama(600.0, 3.0)
    phase = replace(work.phases[0], tiers=(storage(60, 10.0, lag=400.0, restore=80.0),), evaluation=(500.0, 60.0))
    work = replace(work, phases=(phase,), detect_s=120.0, startup_s=60.0)
    one = [simulate_campaign(work, seed) for seed in range(400)]
    many = simulate_campaigns(work, 1000, seed=7)
    assert ks_2samp([o.wall_s for o in one], many.wall_s).pvalue > 0.01
    assert ks_2samp([o.failures for o in one], many.failures).pvalue > 0.01
    assert ks_2samp([o.restart_s for o in one], many.restart_s).pvalue > 0.01
    assert ks_2samp([o.checkpoint_s for o in one], many.checkpoint_s).pvalue > 0.01


def test_numpy_serves_only_the_policies_it_knows() -> None:
    work = llama(600.0)
    assert vectorised(work)
    assert not vectorised(replace(work, spares=3))
    assert not vectorised(replace(work, maintenance=(DAY, HOUR)))
    assert not vectorised(replace(work, sources=(replace(work.sources[0], process=Weibull(0.7)),)))


def test_the_simulated_optimum_is_that_of_the_formula() -> None:
    """Common random numbers, a parabola through goodput against log(interval): within 5 %."""
    checkpoint = 120.0
    best = renewal.optimal_interval_s(llama(600.0).rate, checkpoint)
    factors = np.geomspace(0.5, 2.0, 9)
    works = [llama(best * f, 40.0, checkpoint) for f in factors]
    rates = [simulate_campaigns(w, 1000, seed=3).goodput.mean() for w in works]
    x = np.log([w.phases[0].tiers[0].every * 10.0 / best for w in works])
    cubic = np.polyfit(x, rates, 3)
    roots = np.roots(np.polyder(cubic))
    top = min((r.real for r in roots if abs(r.imag) < 1e-9), key=abs)
    assert abs(exp(top) - 1.0) < 0.05


@pytest.mark.parametrize(("rate", "checkpoint"), [(1e-4, 30.0), (1e-3, 300.0), (1e-6, 5.0), (1e-2, 200.0)])
def test_the_optimal_interval_maximises_the_renewal_goodput(rate: float, checkpoint: float) -> None:
    """Against a fine grid; Young and Daly are near it while a checkpoint is short beside the time between failures."""
    best = renewal.optimal_interval_s(rate, checkpoint)
    grid = best * np.geomspace(0.25, 4.0, 4001)
    rates = [renewal.goodput(rate, t, checkpoint, 0.0) for t in grid]
    assert grid[int(np.argmax(rates))] == pytest.approx(best, rel=2e-3)
    if rate * checkpoint < 0.01:
        assert renewal.daly_interval_s(rate, checkpoint) == pytest.approx(best, rel=1e-3)
        assert renewal.young_interval_s(rate, checkpoint) == pytest.approx(best, rel=0.05)


def test_the_first_order_ratio_of_kokolis_is_the_limit_of_rare_failures() -> None:
    """Beside the exact renewal form the difference falls with the square of the rate."""

    def difference(rate: float) -> float:
        exact = renewal.goodput(rate, 1200.0, 300.0, 300.0)
        lost_in_writes = rate * 300.0 / 2 / (1 + 300.0 / 1200.0)  # half a write per failure, which they leave out
        return renewal.expected_effective_ratio(1, rate, 300.0, 1200.0, 300.0) - lost_in_writes - exact

    assert abs(difference(1e-6)) < 2e-6
    assert difference(1e-5) / difference(1e-6) == pytest.approx(100.0, rel=0.1)


# -- how failures arrive ---------------------------------------------------------------------------------------------


def count_until(process: object, horizon: float, count: int, mtbf: float, seed: int) -> int:
    n = 0
    for t in process.arrivals(np.random.default_rng(seed), count, mtbf):  # type: ignore[attr-defined]
        if t > horizon:
            return n
        n += 1
    return n


def test_infant_mortality_integrates_its_hazard() -> None:
    """E[failures to t] = count/mtbf·(t + (factor - 1)·b·(1 - e^(-t/b)))."""
    process = InfantMortality(early_factor=5.0, burn_in_s=10.0)
    counts = [count_until(process, 30.0, 100, 50.0, seed) for seed in range(400)]
    expected = 100 / 50.0 * (30.0 + 4.0 * 10.0 * (1.0 - exp(-3.0)))
    assert abs(np.mean(counts) - expected) < 3 * sqrt(expected / 400)


def test_weibull_of_shape_one_is_exponential_and_every_shape_keeps_its_mean() -> None:
    one = [count_until(Weibull(1.0), 100.0, 50, 40.0, seed) for seed in range(300)]
    assert abs(np.mean(one) - 125.0) < 3 * sqrt(125.0 / 300)
    old = [count_until(Weibull(3.0), 4000.0, 5, 40.0, seed) for seed in range(40)]
    assert np.mean(old) == pytest.approx(5 * 4000.0 / 40.0, rel=0.02)  # elementary renewal theorem


def test_weibull_below_one_fails_early() -> None:
    """Before its mean a falling hazard has more failures: 1 - exp(-(t/scale)^k) of first lives."""
    early = [count_until(Weibull(0.5), 1.0, 1000, 100.0, seed) for seed in range(50)]
    first = 1000 * (1.0 - exp(-((1.0 / (100.0 / 2.0)) ** 0.5)))
    assert np.mean(early) > first > 1000 * 1.0 / 100.0


# -- policies --------------------------------------------------------------------------------------------------------


def test_policies_price_what_keeps_the_devices_waiting() -> None:
    times = CopyTimes(write_s=40.0, read_s=30.0, to_host_s=2.0, to_peer_s=4.0, interference=0.1)
    rates = Failing(narrow=1e-4, wide=1e-6)
    (blocking,) = Synchronous().tiers(times, 10.0, rates, 600.0)
    assert (blocking.every, blocking.pause_s, blocking.lag_s, blocking.restore_s) == (60, 40.0, 0.0, 30.0)
    (behind,) = Asynchronous().tiers(times, 10.0, rates, 20.0)
    assert (behind.every, behind.pause_s, behind.lag_s) == (4, pytest.approx(2 + 4), 40.0)  # no faster than it writes
    near, far = InMemory().tiers(times, 10.0, rates, None)
    assert (near.survives, far.survives) == (Blast.NODE, Blast.CLUSTER)
    assert near.every * 10.0 == pytest.approx(renewal.optimal_interval_s(rates.rate, 2.4), abs=5.0)
    assert far.every * 10.0 == pytest.approx(renewal.optimal_interval_s(1e-6, 6.0), abs=5.0)


# -- size ------------------------------------------------------------------------------------------------------------


def test_ninety_days_on_16384_devices_stay_within_2500_events() -> None:
    out = simulate_campaign(llama(800.0, 79.0))
    assert out.wall_s > 89 * DAY
    assert out.failures > 600
    assert out.events <= 2500


def test_remembered_failures_are_those_that_numpy_draws() -> None:
    """Of campaigns that differ in their steps, beyond what is remembered: sums of numpy's own exponential gaps."""
    source, many = Source("node", Exponential(), 64, 5e7, 1, Blast.NODE), MOST_KNOWN + 1000
    draw = np.random.default_rng(np.random.SeedSequence(7).spawn(1)[0])
    whole = np.cumsum(draw.standard_exponential(many) * (5e7 / 64)) + 30.0
    for steps in (10, 20, 30):
        work = Work((Phase("training", steps, 1.0),), Replace(), (source,), startup_s=30.0)
        assert [when for when, _, _ in islice(failures_of(work, 7), many)] == pytest.approx(whole.tolist(), rel=1e-12)


def test_the_same_seed_gives_the_same_campaign() -> None:
    work = llama(800.0, 5.0)
    assert simulate_campaign(work, 3) == simulate_campaign(work, 3)
    assert simulate_campaign(work, 3) != simulate_campaign(work, 4)
