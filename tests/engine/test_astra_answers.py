"""ASTRA-sim's recorded answers: unaware to the nanosecond, aware (one dimension) message by message."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sim.engine.astra import AstraDimension, AstraSystem, aware_all_reduce, unaware_ns
from sim.errors import InputError
from sim.files.astra import to_cluster
from sim.network import schedule, solve, topology

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


OURS = {"ring": "ring", "direct": "direct", "halvingDoubling": "halving_doubling"}
TABLE = DATA.with_name("astra_phase_difference.csv")


def phase_rows() -> list[tuple[str, ...]]:
    """Recorded `aware` answers (ex4, par4, N ≤ 64) and how far the phase model is from each, in percent."""
    table = []
    for row in rows("aware"):
        if row["system"] not in ("ex4", "par4") or int(row["npus"]) > 64:
            continue
        dims, _, nbytes = case(row)
        cluster = to_cluster(dims)
        plan = schedule(OURS[row["algorithms"]], "all_reduce", dims[0].npus, float(nbytes))
        off = solve(plan, topology(cluster)) * 1e9 / int(row["ns"]) - 1
        keys = ("topology", "npus", "algorithms", "bandwidth_gib", "size_mib", "system", "ns")
        table.append((*(row[k] for k in keys), f"{100 * off:+.1f}"))
    return table


def test_how_far_the_phase_model_is_from_store_and_forward_is_tabulated() -> None:
    """The table holds every row. Cut-through phases take half of store-and-forward through a switch without chunks in
    flight (ex4, large messages), and come within 3 % of a ring with four chunks in flight from 64 MiB on."""
    with TABLE.open(encoding="utf-8") as stream:
        kept = [tuple(line) for line in csv.reader(stream) if line and not line[0].startswith("#")][1:]
    found = phase_rows()
    assert [row[:-1] for row in kept] == [row[:-1] for row in found]
    for row, now in zip(kept, found, strict=True):
        assert float(row[-1]) == pytest.approx(float(now[-1]), abs=0.11), row
        if row[0] == "Switch" and row[2] != "direct" and row[4] != "1" and row[5] == "ex4":
            assert float(row[-1]) == pytest.approx(-50, abs=1)
        if row[2] == "ring" and row[4] != "1" and row[5] == "par4":
            assert abs(float(row[-1])) < 3


def test_unknown_algorithm_is_refused() -> None:
    """Only what is known to the nanosecond is answered."""
    with pytest.raises(InputError, match="doubleBinaryTree"):
        unaware_ns(
            (AstraDimension("Switch", 8, 50.0, 500.0),),
            AstraSystem({"all_reduce": ("doubleBinaryTree",)}),
            "all_reduce",
            1 << 20,
        )
