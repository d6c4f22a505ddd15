"""Many campaigns in one record: means, bands, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sim.engine.campaign.records import CampaignResult, Outcome, Period, Work
from sim.engine.campaign.run import simulate_campaign
from sim.engine.campaign.vector import simulate_campaigns, vectorised
from sim.errors import InputError, Problem

MOST_EVENTS: Final = 1_000_000
MOST_FAILURES: Final = 30_000_000
"""Of all seeds together, in SimPy and in numpy: some 10 s of computing."""


def run_campaigns(work: Work, seeds: int, seed: int = 0, spans: bool = False) -> CampaignResult:
    """`seeds` campaigns: in SimPy, or in numpy where there are many and it serves the policies."""
    first = simulate_campaign(work, seed, trace=True)
    if not work.sources:  # nothing is drawn: one is all
        result = _summary([first], "simpy", 1)
    elif seeds > 64 and vectorised(work):
        _bounded(seeds, first.failures, MOST_FAILURES, "failures")
        result = _from_numpy(work, seeds, seed)
    else:
        _bounded(seeds, first.events, MOST_EVENTS, "events")
        rest = [simulate_campaign(work, seed + n) for n in range(1, seeds)]
        result = _summary([first, *rest], "simpy", seeds)
    return replace(
        result,
        events=first.events,
        tiers=work.phases[0].tiers,
        calendar=_calendar(first, work),
        spans=first.spans if spans else (),
    )


def _bounded(seeds: int, each: int, most: int, what: str) -> None:
    """InputError where so many campaigns take minutes."""
    if seeds * each > most:
        rule = f"at most {most:,} {what} are simulated in all, one campaign has {each:,}"
        raise InputError(Problem(rule, "campaign.seeds", str(seeds), hint=f"at most {max(1, most // each)}"))


def _summary(outcomes: Sequence[Outcome], engine: str, seeds: int) -> CampaignResult:
    def mean(name: str) -> float:
        return float(sum(getattr(o, name) for o in outcomes)) / len(outcomes)

    walls, rates = sorted(o.wall_s for o in outcomes), sorted(o.goodput for o in outcomes)
    return CampaignResult(
        wall_s=mean("wall_s"),
        ideal_s=outcomes[0].ideal_s,
        goodput=mean("goodput"),
        goodput_p05=quantile(rates, 0.05),
        goodput_p95=quantile(rates, 0.95),
        failures=mean("failures"),
        startup_s=mean("startup_s"),
        checkpoint_s=mean("checkpoint_s"),
        evaluation_s=mean("evaluation_s"),
        rework_s=mean("rework_s"),
        restart_s=mean("restart_s"),
        spare_wait_s=mean("spare_wait_s"),
        degraded_s=mean("degraded_s"),
        maintenance_s=mean("maintenance_s"),
        p05_s=quantile(walls, 0.05),
        p50_s=quantile(walls, 0.5),
        p95_s=quantile(walls, 0.95),
        seeds=seeds,
        engine=engine,
        events=outcomes[0].events,
    )


def _from_numpy(work: Work, seeds: int, seed: int) -> CampaignResult:
    many = simulate_campaigns(work, seeds, seed)
    walls, rates = sorted(many.wall_s.tolist()), sorted(many.goodput.tolist())
    wall, written, read = (float(x.mean()) for x in (many.wall_s, many.checkpoint_s, many.restart_s))
    evaluated = float(many.evaluation_s.mean())
    return CampaignResult(
        wall_s=wall,
        ideal_s=many.ideal_s,
        goodput=float(many.goodput.mean()),
        goodput_p05=quantile(rates, 0.05),
        goodput_p95=quantile(rates, 0.95),
        failures=float(many.failures.mean()),
        startup_s=work.startup_s,
        checkpoint_s=written,
        evaluation_s=evaluated,
        rework_s=max(0.0, wall - many.ideal_s - work.startup_s - written - read - evaluated),
        restart_s=read,
        spare_wait_s=0.0,
        degraded_s=0.0,
        maintenance_s=0.0,
        p05_s=quantile(walls, 0.05),
        p50_s=quantile(walls, 0.5),
        p95_s=quantile(walls, 0.95),
        seeds=seeds,
        engine="numpy",
        events=0,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between order statistics (the default of numpy)."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _calendar(outcome: Outcome, work: Work, rows: int = 10) -> tuple[Period, ...]:
    """The first campaign cut into equal stretches; steps are done evenly between the moments that are known."""
    known = [(0.0, 0.0, 0, 0), *outcome.marks, (outcome.wall_s, work.ideal_s, 0, 0)]
    periods: list[Period] = []
    failures = stops = 0
    for row in range(rows):
        end = outcome.wall_s if row == rows - 1 else outcome.wall_s * (row + 1) / rows  # the last to the very end
        last = max(k for k, mark in enumerate(known[:-1]) if mark[0] <= end or (row == rows - 1))
        (t0, d0, failed, stopped), (t1, d1, _, _) = known[last], known[last + 1]
        done = d1 if end >= t1 else d0 + (d1 - d0) * (end - t0) / (t1 - t0)
        share = done / work.ideal_s if work.ideal_s else 1.0
        periods.append(Period(outcome.wall_s * row / rows, end, share, failed - failures, stopped - stops))
        failures, stops = failed, stopped
    return tuple(periods)
