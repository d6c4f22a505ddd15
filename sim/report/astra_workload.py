"""The answer of `foretrain collective --workload`: a Chakra trace on an ASTRA-sim network."""

from __future__ import annotations

from sim.engine.astra_trace import TraceRun
from sim.records import dataclass
from sim.report.tables import Column, Table

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Workload:
    """What ran where."""

    trace: str
    network: str
    devices: int
    run: TraceRun


def as_table(ran: Workload) -> Table:
    """One row: the end, both streams' work, and the time without computation."""
    columns = [Column(name, "seconds") for name in ("time", "computation", "collectives", "exposed")]
    run = ran.run
    times = (run.time_ns * _NS, run.compute_ns * _NS, run.communication_ns * _NS, run.exposed_ns * _NS)
    return Table((*columns, Column("how many")), ((*times, run.collectives),))


def render(ran: Workload) -> str:
    """Terminal table."""
    return f"{ran.trace} on {ran.network}, {ran.devices:,} devices\n\n{as_table(ran).text()}"


def to_json(ran: Workload) -> dict[str, object]:
    """Whole nanoseconds, as ASTRA-sim counts them."""
    run = ran.run
    return {
        "trace": ran.trace,
        "cluster": ran.network,
        "devices": ran.devices,
        "time_ns": run.time_ns,
        "compute_ns": run.compute_ns,
        "communication_ns": run.communication_ns,
        "exposed_ns": run.exposed_ns,
        "collectives": run.collectives,
    }
