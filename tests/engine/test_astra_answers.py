"""ASTRA-sim's recorded answers: unaware to the nanosecond, aware (one dimension) message by message."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sim.engine.astra import AstraDimension, AstraSystem, aware_all_reduce, unaware_ns
from sim.engine.messages import simulate_schedule
from sim.errors import InputError
from sim.network import Cluster, Level, LinkType, schedule, solve, topology

DATA = Path(__file__).parents[1] / "data" / "astra_collectives.csv"
SYSTEMS = {
    "exact": AstraSystem(endpoint_delay_ns=1),
    "ex4": AstraSystem(endpoint_delay_ns=1, splits=4),
    "par4": AstraSystem(endpoint_delay_ns=1, splits=4, active=4),
    "def": AstraSystem(endpoint_delay_ns=10, splits=4, local_mem_gb=1600.0),
}


def rows(backend: str) -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8") as stream:
        table = csv.DictReader(line for line in stream if not line.startswith("#"))
        return [r for r in table if r["backend"] == backend and "Tree" not in r["algorithms"]]


def case(row: dict[str, str]) -> tuple[tuple[AstraDimension, ...], AstraSystem, int]:
    parts = zip(row["topology"].split("x"), row["npus"].split("x"), row["bandwidth_gib"].split("/"), strict=True)
    dims = tuple(AstraDimension(t, int(n), float(b), 500.0) for t, n, b in parts)
    base = SYSTEMS[row["system"]]
    system = AstraSystem(
        {"all_reduce": tuple(row["algorithms"].split("/"))},
        base.endpoint_delay_ns,
        base.local_mem_gb,
        base.splits,
        base.active,
    )
    return dims, system, int(row["size_mib"]) << 20


def test_unaware_answers_to_the_nanosecond() -> None:
    """Every recorded row of ring, direct and halving-doubling, one and several dimensions, all four systems."""
    found = rows("unaware")
    assert len(found) > 150
    wrong = [(r, got) for r in found if (got := unaware_ns(*case(r)[:2], "all_reduce", case(r)[2])) != int(r["ns"])]
    assert wrong == []


def test_aware_answers_message_by_message() -> None:
    """Store-and-forward links with chunks: all recorded rows up to 8 ranks, and 64 ranks at 64 MiB, to 1e-6."""
    found = [
        r
        for r in rows("aware")
        if r["system"] != "def" and (r["npus"] == "8" or (r["npus"], r["size_mib"]) == ("64", "64"))
    ]
    assert len(found) > 40
    for row in found:
        dims, system, nbytes = case(row)
        assert aware_all_reduce(dims[0], system, nbytes).time == pytest.approx(int(row["ns"]), rel=1e-6), row


@pytest.mark.slow
def test_aware_answers_of_every_row_up_to_64() -> None:
    """As above, every recorded row of at most 64 ranks."""
    for row in rows("aware"):
        if row["system"] != "def" and int(row["npus"]) <= 64:
            dims, system, nbytes = case(row)
            assert aware_all_reduce(dims[0], system, nbytes).time == pytest.approx(int(row["ns"]), rel=1e-6), row


def test_how_far_the_phase_model_is_from_store_and_forward() -> None:
    """Cut-through phases against store-and-forward with 4 chunks at once, ring of 8 over a switch, 64 MiB: the phase
    model pays one serialisation per hop where store-and-forward pays 1 + 1/4 of one at the last step only (< 3 %)."""
    row = next(r for r in rows("aware") if r["algorithms"] == "ring" and r["topology"] == "Switch" and r["npus"] == "8"
               and r["size_mib"] == "64" and r["system"] == "par4")  # fmt: skip
    link = LinkType("astra", 50 * 2.0**30, 500e-9)
    topo = topology(Cluster("s8", "", 8, (Level("l", "switch", (8,), link),)))
    plan = schedule("ring", "all_reduce", 8, 64 * 2.0**20)
    phase_ns = solve(plan, topo) * 1e9
    assert phase_ns == pytest.approx(int(row["ns"]), rel=0.03)
    whole = simulate_schedule(plan, topo, forwarding="store_and_forward").time * 1e9
    assert whole == pytest.approx(2 * phase_ns, rel=0.02)  # without chunks a switch serialises twice


def test_unknown_algorithm_is_refused() -> None:
    """Only what is known to the nanosecond is answered."""
    with pytest.raises(InputError, match="doubleBinaryTree"):
        unaware_ns(
            (AstraDimension("Switch", 8, 50.0, 500.0),),
            AstraSystem({"all_reduce": ("doubleBinaryTree",)}),
            "all_reduce",
            1 << 20,
        )
