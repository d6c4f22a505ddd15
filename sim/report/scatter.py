"""Predicted against measured, every row a point: one offline HTML page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from sim.validate.sets import Report


def scatter_page(reports: Sequence[Report]) -> str:
    """The page; points on the diagonal are exact, the dotted lines are 10 % off."""
    return str(figure(reports).to_html(include_plotlyjs=True, full_html=True, div_id="scatter"))


def figure(reports: Sequence[Report]) -> go.Figure:
    """Log-log scatter, a colour per published set."""
    drawn = go.Figure()
    values = []
    for report in reports:
        for summary in report.summaries:
            rows = [row for row in summary.rows if math.isfinite(row.error) and row.status == "ok"]
            if not rows:
                continue
            values += [v for row in rows for v in (row.measured, row.predicted)]
            drawn.add_scatter(
                x=[row.measured for row in rows],
                y=[row.predicted for row in rows],
                text=[f"{row.id}: {100 * row.error:+.1f} % in time" for row in rows],
                hovertemplate="%{text}<br>measured %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
                mode="markers",
                name=f"{summary.name} ({len(rows)}, mean {100 * summary.mean_abs_error:.1f} %)",
            )
    low, high = (min(values), max(values)) if values else (0.1, 10.0)
    for factor, dash in ((1.0, "solid"), (1.1, "dot"), (1 / 1.1, "dot")):
        drawn.add_scatter(
            x=[low, high],
            y=[low * factor, high * factor],
            mode="lines",
            line={"dash": dash, "color": "grey", "width": 1},
            showlegend=False,
            hoverinfo="skip",
        )
    drawn.update_xaxes(type="log", title="measured (in the unit of its source)")
    drawn.update_yaxes(type="log", title="predicted")
    drawn.update_layout(title="Predicted against measured", template="simple_white", height=800)
    return drawn
