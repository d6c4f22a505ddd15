"""Speed of campaigns, as a ratio to a bare SimPy loop of as many events, with `pytest -m speed`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import simpy

from sim.engine.campaign.failures.exponential import Exponential
from sim.engine.campaign.records import Blast, Phase, Source, Tier, Work
from sim.engine.campaign.recovery.replace import Replace
from sim.engine.campaign.run import simulate_campaign
from sim.engine.campaign.vector import simulate_campaigns
from tests.benchmarks.conftest import cpu

EVENTS = 1400


def ninety_days() -> Work:
    """16,384 devices of 50,700 h, copies of 30 s every 13 minutes, steps of 10 s."""
    devices = Source("device", Exponential(), 16_384, 50_700 * 3600.0, 1, Blast.DEVICE)
    tier = Tier("storage", 80.0, 30.0, 0.0, 30.0, Blast.CLUSTER)
    return Work((Phase("all", 684_000.0, 10.0, (tier,)),), Replace(), (devices,), nodes=2048, restart_s=600.0)


def bare_loop() -> None:
    env = simpy.Environment()

    def process() -> Iterator[simpy.Event]:
        for _ in range(EVENTS):
            yield env.timeout(1.5)

    env.process(process())
    env.run()


@pytest.mark.speed
def test_a_campaign_costs_twice_its_bare_events() -> None:
    """1.79 to 1.99 times in eight processes of their own when written (the goal is 2); a little more in pytest."""
    work = ninety_days()
    ratios = [cpu(lambda: simulate_campaign(work), 15) / cpu(bare_loop, 15) for _ in range(5)]
    assert min(ratios) < 2.3


@pytest.mark.speed
def test_a_thousand_campaigns_cost_less_than_two_hundred_one_by_one() -> None:
    """In numpy: 0.17 s when written, 1.7 ms a campaign in SimPy."""
    work = ninety_days()
    assert cpu(lambda: simulate_campaigns(work, 1000)) < 200 * cpu(lambda: simulate_campaign(work))
