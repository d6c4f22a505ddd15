"""What a training costs and burns, from the timeline of its campaign."""

from __future__ import annotations

from dataclasses import replace

from sim.engine.campaign.records import CampaignResult
from sim.plan.energy import Energy
from sim.plan.expense import Site, expenses, site_of
from sim.plan.records import Plan
from sim.result import Cost, TimeToTarget
from sim.scenario import Scenario


def with_waiting(
    scenario: Scenario, plan: Plan, energy: Energy | None, goal: TimeToTarget | None, campaign: CampaignResult | None
) -> tuple[Energy | None, Site | None]:
    """Energy to the target with idle power while nothing runs, and what hosts, building and grid make of it.

    Steps lost to failures are steps: their energy is that of steps.
    """
    power = scenario.accelerator.power
    if energy is None or energy.target_j is None or power is None or goal is None or campaign is None:
        return energy, None
    lost = campaign.rework_s / campaign.ideal_s if campaign.ideal_s else 0.0
    waiting = max(0.0, campaign.wall_s - campaign.ideal_s - campaign.rework_s - campaign.degraded_s)
    site = site_of(scenario.campaign.prices, energy.target_j * (1.0 + lost), power.idle_w, plan.devices, waiting)
    return replace(energy, target_j=site.device_j), site


def cost_of(scenario: Scenario, plan: Plan, goal: TimeToTarget | None, site: Site | None) -> tuple[Cost | None, str]:
    """The price of the devices and, with a target, device hours and all expenses; a rent needs no price of a device."""
    price, prices = scenario.accelerator.price_usd, scenario.campaign.prices
    if price is None and (goal is None or prices.device_hour is None):
        return None, f"the accelerator {scenario.accelerator.name} has no price"
    bare = Cost(None if price is None else price * plan.devices, None)
    if goal is None:
        return bare, ""
    kinds = expenses(prices, price, plan.devices, goal.seconds, site.site_j if site else None)
    hours = goal.seconds / 3600.0 * plan.devices
    return replace(bare, device_hours=hours, total_usd=sum(kinds.values()), by_kind=kinds), ""
