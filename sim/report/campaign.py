"""The campaign of a run: its calendar, and the waterfall from ideal to real time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.engine.campaign.records import CampaignResult
from sim.report.tables import in_one_unit
from sim.report.text import bar, duration, percent, table, three

HIDDEN = 1e-12  # shares below this are rounding


def campaign_text(campaign: CampaignResult | None) -> str:
    """Head, waterfall, calendar, intervals between checkpoints, and what was left out."""
    if campaign is None or campaign.wall_s <= 0.0:
        return ""
    parts = [_head(campaign), *_waterfall(campaign), *_intervals(campaign), *_calendar(campaign)]
    parts += [f"  taken: {note}" for note in campaign.notes]
    if campaign.not_modelled:
        parts.append(f"  not modelled: {', '.join(campaign.not_modelled)}")
    return "\n".join(parts)


def _head(campaign: CampaignResult) -> str:
    if campaign.seeds == 0:
        return f"Campaign {duration(campaign.wall_s)}: nothing but steps"
    text = f"Campaign {duration(campaign.wall_s)}, goodput {percent(campaign.goodput)}"
    if campaign.seeds > 1:
        text += (
            f"; 5th to 95th percentile of {campaign.seeds} seeds {duration(campaign.p05_s)} to "
            f"{duration(campaign.p95_s)} ({percent(campaign.goodput_p05)} to {percent(campaign.goodput_p95)})"
        )
    return text + f", {three(campaign.failures)} failures"


def _waterfall(campaign: CampaignResult) -> list[str]:
    """What is there, from ideal to real."""
    parts = [(n, s) for n, s in campaign.waterfall if n == "ideal" or abs(s / campaign.wall_s) > HIDDEN]
    times = in_one_unit([abs(seconds) for _, seconds in parts])
    return [
        f"  {name:<26} {time:>10} {percent(seconds / campaign.wall_s):>7}  {bar(seconds / campaign.wall_s)}"
        for (name, seconds), time in zip(parts, times, strict=True)
    ]


def _intervals(campaign: CampaignResult) -> list[str]:
    if not campaign.intervals:
        return []
    shown = ", ".join(f"{name} {duration(seconds)}" for name, seconds in campaign.intervals)
    return [f"  steps between checkpoints: {shown}"]


def _calendar(campaign: CampaignResult) -> list[str]:
    """One campaign (that of the first seed) in stretches."""
    if not campaign.calendar or not (campaign.failures or any(p.stops for p in campaign.calendar)):
        return []
    rows = [
        [
            f"{duration(p.start_s) if p.start_s else '0'} to {duration(p.end_s)}",
            percent(p.done),
            str(p.failures),
            str(p.stops),
        ]
        for p in campaign.calendar
    ]
    return [
        "  calendar of the first seed:",
        table(["time", "steps done", "failures", "planned stops"], rows, indent="    "),
    ]


def campaign_json(campaign: CampaignResult | None) -> dict[str, Any] | None:
    """The `campaign` key: SI numbers, null with a reason where nothing is modelled."""
    if campaign is None:
        return None
    body = asdict(campaign)
    body.pop("spans")
    body["waterfall"] = [{"name": name, "seconds": seconds} for name, seconds in campaign.waterfall]
    body["intervals"] = [{"name": name, "seconds": seconds} for name, seconds in campaign.intervals]
    body["tiers"] = [asdict(tier) | {"survives": tier.survives.name.lower()} for tier in campaign.tiers]
    if campaign.input_stall_s is None:
        body["input_stall_s_reason"] = "the scenario gives no training.input: devices never wait for data"
    return body
