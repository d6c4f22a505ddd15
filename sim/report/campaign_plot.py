"""The campaign as a picture: the waterfall from ideal to real time, and progress over the calendar."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sim.engine.campaign.records import CampaignResult
from sim.report.text import DAY


def figure(name: str, campaign: CampaignResult) -> go.Figure:
    """One offline page: parts in days on the left, share of steps done against time on the right."""
    rows = [(part, seconds / DAY) for part, seconds in campaign.waterfall if seconds]
    drawn = make_subplots(rows=1, cols=2, subplot_titles=("where the time goes", "steps done (first seed)"))
    drawn.add_trace(
        go.Waterfall(
            x=[part for part, _ in rows] + ["wall time"],
            y=[days for _, days in rows] + [0.0],
            measure=["relative"] * len(rows) + ["total"],
            showlegend=False,
        ),
        row=1,
        col=1,
    )
    calendar = campaign.calendar
    drawn.add_trace(
        go.Scatter(
            x=[0.0, *(period.end_s / DAY for period in calendar)],
            y=[0.0, *(100 * period.done for period in calendar)],
            text=["", *(f"{period.failures} failures" for period in calendar)],
            mode="lines+markers",
            showlegend=False,
        ),
        row=1,
        col=2,
    )
    drawn.update_yaxes(title="days", row=1, col=1)
    drawn.update_yaxes(title="% of steps", row=1, col=2)
    drawn.update_xaxes(title="days", row=1, col=2)
    title = f"{name}: {campaign.wall_s / DAY:.3g} days, goodput {100 * campaign.goodput:.1f} %"
    drawn.update_layout(title=title, template="simple_white", height=600)
    return drawn
