"""From a step to the campaign: simulated, and taken apart into where the time goes."""

from __future__ import annotations

from dataclasses import replace

from sim.engine.campaign.records import CampaignResult
from sim.engine.records import Step
from sim.plan.records import Plan
from sim.result import TimeToTarget
from sim.scenario import Scenario
from sim.simulation.campaign_work import work_of
from sim.simulation.goal import DAY
from sim.workload.records import Model


def campaign_of(
    scenario: Scenario, model: Model, plan: Plan, step: Step, step_s: float, goal: TimeToTarget | None,
    *, seed: int = 0, spans: bool = False,
) -> CampaignResult | None:  # fmt: skip
    """The campaign to the target with steps of `step_s`; None where the scenario names no target."""
    if goal is None:
        return None
    if scenario.campaign.empty:
        return _plain(scenario, step, step_s, goal)
    work, notes, intervals = work_of(scenario, model, plan, step, step_s, goal)
    from sim.engine.campaign.summary import run_campaigns  # noqa: PLC0415  (numpy: only where something happens)

    result = run_campaigns(work, scenario.campaign.seeds, seed, spans)
    return replace(
        result,
        waterfall=waterfall(result, step, step_s, goal),
        input_stall_s=_stalls(scenario, step, goal),
        intervals=intervals,
        notes=notes,
        not_modelled=not_modelled(scenario),
    )


def with_campaign(goal: TimeToTarget | None, campaign: CampaignResult | None) -> TimeToTarget | None:
    """The time to the target with all that happened on the way; unchanged where nothing does."""
    if goal is None or campaign is None or campaign.seeds == 0:
        return goal
    return replace(goal, seconds=campaign.wall_s, p05_s=campaign.p05_s, p50_s=campaign.p50_s, p95_s=campaign.p95_s)


def _plain(scenario: Scenario, step: Step, step_s: float, goal: TimeToTarget) -> CampaignResult:
    """Nothing but steps: step time × steps."""
    wall = goal.steps * step_s
    result = CampaignResult(wall_s=wall, ideal_s=wall, p05_s=wall, p50_s=wall, p95_s=wall)
    return replace(
        result,
        waterfall=waterfall(result, step, step_s, goal),
        input_stall_s=_stalls(scenario, step, goal),
        not_modelled=not_modelled(scenario),
    )


def not_modelled(scenario: Scenario) -> tuple[str, ...]:
    """What the scenario leaves out of the campaign."""
    campaign = scenario.campaign
    parts = {
        "failures": campaign.failures,
        "checkpoints": campaign.checkpoints,
        "evaluation": campaign.evaluation,
        "maintenance": campaign.maintenance,
        "start-up": campaign.startup_s,
        "input pipeline": scenario.training.input,
    }
    return tuple(name for name, given in parts.items() if not given)


def _stalls(scenario: Scenario, step: Step, goal: TimeToTarget) -> float | None:
    return goal.steps * step.input_stall_s if scenario.training.input is not None else None


# -- where the time goes ---------------------------------------------------------------------------------------------


def waterfall(result: CampaignResult, step: Step, step_s: float, goal: TimeToTarget) -> tuple[tuple[str, float], ...]:
    """From the ideal (nothing but arithmetic and memory traffic, at a small batch) to the wall time; s, in this order.

    Batch inefficiency: samples beyond the passes over the data a small batch needs. Parts of the step count for every
    step; phases of other sizes than the scenario's own appear as `other phases`.
    """
    steps_s = goal.steps * step_s
    least = goal.passes * goal.days_per_epoch * DAY / steps_s if goal.passes and steps_s else 1.0
    useful = min(1.0, least)
    computing = goal.steps * step.compute_s
    rows = [
        ("ideal", useful * computing),
        ("batch inefficiency", (1.0 - useful) * computing),
        ("communication", goal.steps * step.exposed_communication_s),
        ("bubbles", goal.steps * step.bubble_s),
        ("input", goal.steps * step.input_stall_s),
        ("stragglers", goal.steps * (step_s - step.time_s) + result.degraded_s),
        ("other phases", result.ideal_s - goal.steps * step_s),
        ("failures", result.rework_s + result.restart_s + result.spare_wait_s),
        ("checkpoints", result.checkpoint_s),
        ("evaluation", result.evaluation_s),
        ("maintenance", result.maintenance_s),
        ("start-up", result.startup_s),
    ]
    return tuple(rows)
