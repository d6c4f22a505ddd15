"""The recommended chip of a study over a budget: the front, its balance, and what each line of the budget is worth."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sim.report.chip_design import area_table, chip_lines, cost_table, power_table
from sim.report.tables import Column, Kind, Table
from sim.report.text import percent
from sim.study.chip_balance import NEAR, Balance
from sim.study.explore import figure
from sim.study.metrics import METRICS
from sim.study.sweep import Outcomes

KINDS: dict[str, Kind] = {"time_to_target_s": "seconds", "step_s": "seconds"}
MOST_ROWS = 40


def section(found: Outcomes, balance: Balance) -> str:
    """Front, recommended balance and elasticities, in this order."""
    return "\n".join(_parts(found, balance))


def _parts(found: Outcomes, balance: Balance) -> Iterator[str]:
    names = ", ".join(metric.label for metric in balance.objectives)
    yield "<h2>Front</h2>"
    more = f" The first {MOST_ROWS}." if len(balance.front) > MOST_ROWS else ""
    yield front_table(found, balance).html(f"Designs that none beats in {names}.{more}")
    chosen = ", ".join(f"{path.rpartition('.')[2]} = {value}" for path, value in balance.overrides.items())
    yield "<h2>Recommended balance</h2>"
    yield f"<p><strong>Design {balance.outcome.number}: {escape(chosen)}.</strong> {escape(why(balance))}</p>"
    yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in chip_lines(balance.made))}</ul>"
    yield area_table(balance.made).html("Where the area goes.")
    yield power_table(balance.made).html("Where the power of a large product goes.")
    yield cost_table(balance.made).html(
        f"What it costs to make; {percent(balance.made.cost.good)} of its dies can be sold."
    )
    yield "<h2>What more of each line is worth</h2>"
    caption = "Elasticity at the recommended balance: percent more of the figure for a percent more of the line."
    yield worth_table(balance).html(caption)


def why(balance: Balance) -> str:
    """The rule it was chosen by."""
    timed = balance.objectives[0].label
    return f"The cheapest device among the designs within {percent(NEAR)} of the least {timed}."


def front_table(found: Outcomes, balance: Balance) -> Table:
    """The designs that nothing beats, with their objectives."""
    axes = found.designs.axes
    columns = (Column("design"), *(Column(axis.path.rpartition(".")[2]) for axis in axes))
    figures = tuple(Column(m.label, KINDS.get(m.name, "si"), _unit(m.name)) for m in balance.objectives)
    rows = tuple(
        (str(o.number), *map(str, found.designs[o.number]), *(figure(o, m) for m in balance.objectives))
        for o in balance.front[:MOST_ROWS]
    )
    return Table((*columns, *figures), rows)


def _unit(name: str) -> str:
    return {"energy_j": "J", "devices_usd": "USD"}.get(name, "")


def worth_table(balance: Balance) -> Table:
    """Elasticities by line; why one side has no result."""
    metrics = [METRICS[metric.name] for metric in balance.objectives]
    columns = (Column("line"), Column("value"), *(Column(metric.label) for metric in metrics), Column("beyond"))
    rows = tuple(
        (w.name, w.value, *(f"{w.elasticities[m.name]:+.3f}" if m.name in w.elasticities else None for m in metrics),
         w.reason or None)
        for w in balance.worth
    )  # fmt: skip
    return Table(columns, rows)
