"""Failure rates carried from one site to another, and the share of effective time they leave.

With r failures per node and second, N nodes are interrupted every 1/(r·N) s on average.  A rate is an input of a site:
what the rows show is how far another site's rate leads astray.
"""

from __future__ import annotations

import math
from typing import Final

from sim.engine.campaign import renewal
from sim.engine.campaign.failures.exponential import Exponential
from sim.engine.campaign.records import Blast, Phase, Source, Tier, Work
from sim.engine.campaign.recovery.replace import Replace
from sim.engine.campaign.request import RecoveryRequest
from sim.simulation.campaign_work import START_NODE_S, START_S
from sim.validation.validation import Outcome, Request, Row, ValidationSet

HOUR: Final = 3600.0
NODE_DAY: Final = 86400.0
STEP_S: Final = 10.0
DAYS: Final = 54.0  # length of the run simulated, as Llama 3's
SEEDS: Final = 500


def simulate_row(request: Request) -> Outcome | str:
    """Time between interruptions of one row, and where a copy of the state is given the effective share of time."""
    row = request.row
    nodes, rate = int(row["nodes"]), float(row["rate_per_1000_node_days"]) / 1000.0 / NODE_DAY
    fields = {"mttf_h": 1.0 / (rate * nodes) / HOUR}
    if row["checkpoint_bytes"]:
        write_s = float(row["checkpoint_bytes"]) / float(row["write_bytes_per_s"])
        fields["effective_pct"] = 100.0 * effective_share(nodes, rate, write_s)
    return Outcome(fields=fields, accelerator=row["rate_from"], ideal_s=1.0, compute_share=1.0, fits=True)


def work_of(nodes: int, rate: float, write_s: float, restart_s: float, interval_s: float) -> Work:
    """A job of some weeks on `nodes` that fail at `rate` each, with blocking copies."""
    every = max(1, round(interval_s / STEP_S))
    steps = round(DAYS * NODE_DAY / STEP_S / every) * every
    tier = Tier("storage", every, write_s, 0.0, write_s, Blast.CLUSTER)
    source = Source("node", Exponential(), nodes, 1.0 / rate, 1, Blast.NODE)
    return Work((Phase("all", steps, STEP_S, (tier,)),), Replace(), (source,), nodes=nodes, restart_s=restart_s)


def effective_share(nodes: int, rate: float, write_s: float) -> float:
    """Mean goodput with the best interval and the default detection and restart, many seeds."""
    from sim.engine.campaign.vector import simulate_campaigns  # noqa: PLC0415  (numpy: only here)

    restart_s = RecoveryRequest().detect_s + START_S + START_NODE_S * nodes
    interval = renewal.optimal_interval_s(rate * nodes, write_s)
    return float(simulate_campaigns(work_of(nodes, rate, write_s, restart_s, interval), SEEDS).goodput.mean())


def notes(spec: ValidationSet) -> tuple[str, ...]:
    """The published closed form of the expected effective ratio beside the exact one and the simulation."""
    from sim.engine.campaign.vector import simulate_campaigns  # noqa: PLC0415  (numpy: only here)

    told = _pairs(spec)
    for row in spec.rows:
        if row.get("applied_to") != "rsc1" or not row["rate_from"].startswith("rsc") or not _readable(row):
            continue
        nodes, rate = int(row["nodes"]), float(row["rate_per_1000_node_days"]) / 1000.0 / NODE_DAY
        interval = round(renewal.young_interval_s(rate * nodes, 300.0) / STEP_S) * STEP_S
        work = work_of(nodes, rate, 300.0, 0.0, interval)  # with the 300 s of reading: 5 min to restart, 5 min to write
        published = renewal.expected_effective_ratio(nodes, rate, 300.0, interval, 300.0)
        exact = renewal.goodput(rate * nodes, interval, 300.0, 300.0)
        simulated = float(simulate_campaigns(work, SEEDS).goodput.mean())
        told.append(
            f"{nodes} nodes at the rate of {row['rate_from']}, 5 min to write and to restart, copies every "
            f"{interval / 60:.0f} min: effective ratio {published:.4f} by the closed form of Kokolis et al., "
            f"{exact:.4f} by renewal, {simulated:.4f} simulated"
        )
    return tuple(told)


def _readable(row: Row) -> bool:
    """Whether a row holds the numbers of a pair; one that does not is told where it is simulated."""
    try:
        numbers = int(row["nodes"]), float(row["rate_per_1000_node_days"]), float(row["mttf_h"])
        return all(0.0 < number < math.inf for number in numbers) and {"rate_from", "applied_to", "own"} <= row.keys()
    except (KeyError, ValueError):
        return False


def _pairs(spec: ValidationSet) -> list[str]:
    """Every rate at every site: hours between interruptions predicted, seen, and the error."""
    lines: dict[str, list[str]] = {}
    for row in spec.rows:
        if not _readable(row):
            continue
        nodes, seen = int(row["nodes"]), float(row["mttf_h"])
        hours = 24.0 * 1000.0 / (float(row["rate_per_1000_node_days"]) * nodes)
        error = "own rate, an input" if row["own"] == "yes" else f"{100 * (hours / seen - 1):+.0f} %"
        lines.setdefault(row["rate_from"], []).append(f"{row['applied_to']} {hours:.3g} h for {seen:.3g} h ({error})")
    return [f"rate of {site}: {', '.join(found)}" for site, found in lines.items()]
