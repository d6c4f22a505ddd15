"""ASTRA-sim's recorded answers, congestion-unaware and (one dimension) congestion-aware, to the nanosecond."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from sim.engine.astra import AstraDimension, AstraSystem
from sim.engine.astra_links import collective_ns, steps_ns, steps_of, tree_levels
from sim.errors import InputError
from sim.files.astra import to_cluster
from sim.network import schedule, solve, topology

DATA = Path(__file__).parents[1] / "data" / "astra_collectives.csv"
SYSTEMS = {
    # 10⁹ GB/s: no reduction time but one ns per 10⁹ bytes, which only the whole GiB of an unsplit tree shows
    "exact": AstraSystem(endpoint_delay_ns=1, local_mem_gb=1e9),
    "ex4": AstraSystem(endpoint_delay_ns=1, splits=4),
    "par4": AstraSystem(endpoint_delay_ns=1, splits=4, active=4),
    "def": AstraSystem(endpoint_delay_ns=10, splits=4, local_mem_gb=1600.0),
}


def rows(backend: str) -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8") as stream:
        table = csv.DictReader(line for line in stream if not line.startswith("#"))
        return [r for r in table if r["backend"] == backend]


def case(row: dict[str, str]) -> tuple[tuple[AstraDimension, ...], AstraSystem, int]:
    parts = zip(row["topology"].split("x"), row["npus"].split("x"), row["bandwidth_gib"].split("/"), strict=True)
    dims = tuple(AstraDimension(t, int(n), float(b), 500.0) for t, n, b in parts)
    system = replace(SYSTEMS[row["system"]], algorithms={"all_reduce": tuple(row["algorithms"].split("/"))})
    return dims, system, int(row["size_mib"]) << 20


@pytest.mark.parametrize("backend", ["unaware", "aware"])
def test_every_recorded_answer_to_the_nanosecond(backend: str) -> None:
    """Ring, direct, halving-doubling and double binary tree, one and several dimensions, all four systems, 8 to 512
    ranks and more: 200 unaware and 142 aware rows."""
    found = rows(backend)
    assert len(found) == {"unaware": 200, "aware": 142}[backend]
    answers = [collective_ns(*case(r)[:2], "all_reduce", case(r)[2], backend == "aware") for r in found]
    assert [(r, got) for r, got in zip(found, answers, strict=True) if got != int(r["ns"])] == []


@pytest.mark.parametrize(
    ("topology", "algorithm"),
    [
        *(
            (topology, algorithm)
            for topology in ("Ring", "Switch", "FullyConnected")
            for algorithm in ("ring", "direct")
        ),
        *((topology, "halvingDoubling") for topology in ("Switch", "FullyConnected")),
    ],
)
def test_one_rank_stands_for_all_where_all_send_alike(topology: str, algorithm: str) -> None:
    """The folded run equals the one that follows every rank (sizes that no number divides, chunks one by one and
    together)."""
    dim = AstraDimension(topology, 8, 50.0, 500.0)
    for base in SYSTEMS.values():
        system = replace(base, algorithms={"all_reduce": (algorithm,)})
        steps = steps_of(dim, system, algorithm, "all_reduce", 1_234_567)
        assert steps_ns(dim, system, steps, alike=True) == steps_ns(dim, system, steps, alike=False)


def test_an_alone_chunk_goes_up_and_down_the_tree() -> None:
    """By hand: 2·log2 N messages of the whole buffer, 2·log2 N + 1 endpoint delays, and the two trees share no inner
    node (Sanders, Speck, Träff 2009)."""
    system = AstraSystem({"all_reduce": ("doubleBinaryTree",)}, endpoint_delay_ns=3)
    dim = AstraDimension("Switch", 16, 50.0, 500.0)
    assert collective_ns((dim,), system, "all_reduce", 10**6) == 8 * dim.message_ns(10**6, 1) + 9 * 3
    inner = [{parent for level in tree_levels(16, mirrored) for _, parent in level} for mirrored in (False, True)]
    assert all(len(nodes) == 8 for nodes in inner)
    assert inner[0] & inner[1] == set()


def test_an_all_gather_and_a_reduce_scatter_are_the_halves_of_an_all_reduce() -> None:
    """Without memory time and endpoint delay, one chunk, sizes that divide: aware as unaware semantics say."""
    for algorithm in ("ring", "direct", "halvingDoubling"):
        system = AstraSystem({"all_reduce": (algorithm,)}, endpoint_delay_ns=0)
        dims = (AstraDimension("Switch", 8, 50.0, 500.0),)
        whole = collective_ns(dims, system, "all_reduce", 8 << 20, congestion=True)
        parts = (
            collective_ns(dims, system, "reduce_scatter", 8 << 20, congestion=True),
            collective_ns(dims, system, "all_gather", 1 << 20, congestion=True),
        )
        assert sum(parts) == whole


OURS = {"ring": "ring", "direct": "direct", "halvingDoubling": "halving_doubling"}
TABLE = DATA.with_name("astra_phase_difference.csv")


def phase_rows() -> list[tuple[str, ...]]:
    """Recorded `aware` answers (ex4, par4, N ≤ 64) and how far the phase model is from each, in percent."""
    table = []
    for row in rows("aware"):
        if row["system"] not in ("ex4", "par4") or int(row["npus"]) > 64 or row["algorithms"] not in OURS:
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


@pytest.mark.parametrize(
    ("algorithm", "sizes", "congestion", "words"),
    [
        ("tree", (8,), False, "are known for one of ring, direct, halvingDoubling, doubleBinaryTree"),
        ("doubleBinaryTree", (8, 8), False, "all-reduce over one dimension"),
        ("doubleBinaryTree", (12,), False, "power of two ranks, not 12"),
        ("halvingDoubling", (12,), True, "power of two ranks, not 12"),
        ("ring", (8, 8), True, "--congestion: is known for one dimension"),
        ("ring", (2_000_000,), True, "passages over links"),
    ],
)
def test_what_is_not_known_is_refused(algorithm: str, sizes: tuple[int, ...], congestion: bool, words: str) -> None:
    """Only what is known to the nanosecond is answered."""
    dims = tuple(AstraDimension("Switch", n, 50.0, 500.0) for n in sizes)
    with pytest.raises(InputError, match=words):
        collective_ns(dims, AstraSystem({"all_reduce": (algorithm,) * len(dims)}), "all_reduce", 1 << 20, congestion)
