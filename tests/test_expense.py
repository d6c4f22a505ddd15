"""Money, energy and carbon: arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError
from sim.files import document_of
from sim.files.scenario import build
from sim.plan import Plan
from sim.plan.expense import KWH, YEAR, Prices, expenses, site_of
from sim.simulation import simulate
from sim.simulation.uncertainty import drawn_costs

SMALL = {
    "target": {"steps": 1.0e6},
    "workload": "bert-large",
    "cluster": {"extends": "dgx-h100", "accelerator": "h100-sxm5-80gb"},
    "plan": {"sub_batch": 16},
}


def run(campaign: dict[str, object]):
    return simulate(build(document_of({**SMALL, "campaign": campaign}, "s")), levers=False)


def test_the_site_burns_what_its_parts_do() -> None:
    """100 kWh of steps, 10 devices idling at 50 W for 10 h, hosts half as much again, building a fifth."""
    prices = Prices(host_power=0.5, pue=1.2, carbon=0.5 / KWH)
    site = site_of(prices, 100 * KWH, 50.0, 10, 36_000.0)
    assert site.waiting_j == pytest.approx(5 * KWH)
    assert site.site_j == pytest.approx(105 * 1.5 * 1.2 * KWH)
    assert site.carbon_kg == pytest.approx(105 * 1.5 * 1.2 * 0.5)


def test_a_purchase_is_written_off_over_its_life() -> None:
    """Half a year of four: an eighth of 1,000 USD; servers half as much, network a quarter, upkeep 5 % a year."""
    kinds = expenses(Prices(electricity=0.1 / KWH), 100.0, 10, YEAR / 2, 10 * KWH)
    assert kinds["devices"] == pytest.approx(125.0)
    assert (kinds["servers"], kinds["network"]) == pytest.approx((62.5, 31.25))
    assert kinds["upkeep"] == pytest.approx(218.75 * 0.05 * 4)
    assert kinds["electricity"] == pytest.approx(1.0)


def test_a_rent_is_hours_times_its_price() -> None:
    result = run({"prices": {"device_hour": "2.5 USD/h"}})
    assert result.cost.total_usd == pytest.approx(2.5 * result.cost.device_hours)
    assert result.cost.device_hours == pytest.approx(8 * result.time_to_target.seconds / 3600)


def test_waiting_costs_energy_and_money() -> None:
    """Evaluations of an hour each: more energy by idle power alone, more of everything else by the wall time."""
    plain, paused = run({}), run({"evaluation": {"every_samples": 1.28e7, "lasts": "1 h"}})
    wait = paused.campaign.evaluation_s
    assert wait > 0
    idle = paused.site.waiting_j / wait
    assert paused.site.device_j - plain.site.device_j == pytest.approx(idle * wait)
    assert paused.site.waiting_j / wait / 8 < 200.0  # below half of the board's power
    ratio = paused.time_to_target.seconds / plain.time_to_target.seconds
    assert paused.cost.by_kind["devices"] == pytest.approx(ratio * plain.cost.by_kind["devices"])


def test_power_stays_below_the_limit_of_the_board() -> None:
    result = run({})
    assert result.site.device_j / result.time_to_target.seconds / 8 <= 700.0


def test_rent_and_purchase_exclude_each_other() -> None:
    with pytest.raises(InputError, match="rent holds everything"):
        Prices(device_hour=1e-3, upkeep=0.1)


def test_drawn_costs_are_those_of_every_draw() -> None:
    """Columns of draws at once, and each draw by itself: `site_of` and `expenses` with its prices."""
    scenario = build(document_of({**SMALL, "campaign": {"prices": {"upkeep": 0.04}}}, "s"))
    rng, prices, plan = np.random.default_rng(5), scenario.campaign.prices, Plan(sub_batch=16, global_batch=128, data=8)
    seconds, joules, device, server, pue = rng.uniform(1.0, 2.0, (5, 20)) * [[1e6], [1e12], [2e4], [1.5], [0.8]]
    drawn = {"prices.device": device, "prices.server_factor": server, "prices.pue": pue, "step": seconds}
    found = drawn_costs(scenario, plan, seconds, joules, drawn)
    for k, usd in enumerate(found):
        now = replace(prices, server_factor=float(server[k]), pue=max(1.0, float(pue[k])))
        site = site_of(now, float(joules[k]), 0.0, plan.devices, 0.0).site_j
        assert usd == sum(expenses(now, float(device[k]), plan.devices, float(seconds[k]), site).values())
