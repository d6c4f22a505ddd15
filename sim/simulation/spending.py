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


def with_expenses(
    scenario: Scenario, plan: Plan, cost: Cost | None, why: str, goal: TimeToTarget | None, site: Site | None
) -> tuple[Cost | None, str]:
    """The cost with all its kinds; a rent needs no price of a device."""
    if goal is None:
        return cost, why
    prices = scenario.campaign.prices
    if cost is None and prices.device_hour is None:
        return None, why
    hours = goal.seconds / 3600.0 * plan.devices
    price = scenario.accelerator.price_usd
    kinds = expenses(prices, price, plan.devices, goal.seconds, site.site_j if site else None)
    bare = cost or Cost(None, hours)
    return replace(bare, device_hours=hours, total_usd=sum(kinds.values()), by_kind=kinds), ""
