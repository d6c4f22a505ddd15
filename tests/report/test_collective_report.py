"""Tables, plots and drawings of collectives."""

from __future__ import annotations

import math

import pytest

from sim.errors import InputError
from sim.network import Cluster, Group, Level, LinkType
from sim.report.collective import render, to_json
from sim.report.figures.curves import bus_bandwidth
from sim.report.figures.topology import DrawnCollective, colour, shrink, topology
from sim.report.text import size_text
from sim.study.collective_sweep import sizes_between, sweep

NVLINK = LinkType("nvlink", 300e9, 1e-6)
CARD = LinkType("card", 25e9, 5e-6)
NODES = Cluster("nodes", "", 32, (Level("node", "switch", (8,), NVLINK), Level("fabric", "fat_tree", (4,), CARD, 4)))
TORUS = Cluster("torus", "", 4096, (Level("pod", "torus", (16, 16, 16), NVLINK),))


def test_sizes_go_up_by_a_factor_and_stop_at_the_end() -> None:
    """1 KiB to 8 GiB in factors of two is 24 sizes, both ends included."""
    sizes = sizes_between(2**10, 8 * 2**30)
    assert len(sizes) == 24
    assert (sizes[0], sizes[-1]) == (2**10, 8 * 2**30)
    with pytest.raises(InputError):
        sizes_between(10, 1)


def test_busbw_is_what_nccl_tests_call_it() -> None:
    """busbw = algbw · 2(N-1)/N for an all-reduce, algbw = bytes / time; the ring approaches its link's rate."""
    cluster = Cluster("one", "", 8, (Level("node", "switch", (8,), NVLINK),))
    found = sweep(cluster, "all_reduce", [2.0**36], Group(8), "ring")
    row = found.rows[0]
    assert row.algbw_bytes_per_s == pytest.approx(2.0**36 / row.time_s)
    assert row.busbw_bytes_per_s == pytest.approx(row.algbw_bytes_per_s * 14 / 8)
    assert row.busbw_bytes_per_s == pytest.approx(300e9, rel=1e-3)


def test_all_names_a_winner_that_is_the_cheapest() -> None:
    """With every algorithm the winner has the smallest of the times reported."""
    found = sweep(NODES, "all_reduce", sizes_between(2**10, 2**30, 8), Group(32), "all")
    for row in found.rows:
        assert row.time_s == min(row.times_s.values())
        assert row.algorithm in {name.partition("/")[0] for name in row.times_s}
    assert len({row.algorithm for row in found.rows}) > 1


def test_busiest_links_are_the_cards_when_cards_are_slow() -> None:
    """Four 25 GB/s cards per node limit a ring over nodes: they are named first and are nearly always busy."""
    found = sweep(NODES, "all_reduce", [2.0**34], Group(32), "ring")
    first = found.busiest[0]
    assert "fabric" in first.source + first.target
    assert first.busy == pytest.approx(1.0, abs=0.02)


def test_text_and_json_say_the_same() -> None:
    """The table has a line per size, JSON the same rows with SI names."""
    found = sweep(NODES, "all_reduce", [2.0**20, 2.0**21], Group(32))
    text, data = render(found), to_json(found)
    assert "1 MiB" in text
    assert "2 MiB" in text
    rows = data["rows"]
    assert isinstance(rows, list)
    keys = {"bytes", "time_s", "algorithm", "algbw_bytes_per_s", "busbw_bytes_per_s"}
    assert all(keys <= set(row) for row in rows)
    assert [row["bytes"] for row in rows] == [2**20, 2**21]


def test_the_plot_has_a_curve_per_algorithm_and_none_is_above_the_winner() -> None:
    """The winner has the largest bus bandwidth at every size; a barrier has none."""
    found = sweep(NODES, "all_reduce", sizes_between(2**10, 2**30, 4), Group(32), "all")
    curves = {trace["name"]: trace for trace in bus_bandwidth(found).traces}
    assert "hierarchical" in curves
    best = dict(zip(curves["winner"]["x"], curves["winner"]["y"], strict=True))
    for curve in curves.values():
        assert all(y <= best[x] * (1 + 1e-12) for x, y in zip(curve["x"], curve["y"], strict=True))
    with pytest.raises(InputError, match="no bytes to draw"):
        bus_bandwidth(sweep(NODES, "barrier", [0.0], Group(32)))


@pytest.mark.parametrize(
    "cluster",
    [
        NODES,
        TORUS,
        Cluster("mesh", "", 64, (Level("m", "torus", (8, 8), NVLINK),)),
        Cluster("full", "", 8, (Level("n", "fully_connected", (8,), NVLINK),)),
        Cluster("cube", "", 16, (Level("n", "hybrid_cube_mesh", (8,), NVLINK), Level("f", "switch", (2,), CARD, 4))),
        Cluster("rail", "", 1024, (Level("n", "switch", (8,), NVLINK), Level("f", "rail", (128,), CARD, 8))),
    ],
)
def test_every_kind_of_cluster_is_drawn(cluster: Cluster) -> None:
    """Each drawn device once, on a place of its own; a link's two ends are where its nodes stand."""
    small = shrink(cluster)
    assert small.devices <= 96
    for collective in (None, DrawnCollective(), DrawnCollective("all_reduce", 1e9, "ring")):
        traces = topology(cluster, collective).traces
        switches, devices = traces[-2:]
        places = [*zip(devices["x"], devices["y"], strict=True), *zip(switches["x"], switches["y"], strict=True)]
        assert devices["text"] == [str(n) for n in range(small.devices)]
        assert len(set(places)) == len(places)
        for links in (trace for trace in traces if trace["mode"] == "lines"):
            path = list(zip(links["x"], links["y"], strict=True))
            gaps = [-1, *(i for i, (x, _) in enumerate(path) if x is None)]
            ends = [path[a + 1] for a in gaps[:-1]] + [path[b - 1] for b in gaps[1:]]
            assert all(min(math.dist(end, place) for place in places) < 1e-6 for end in ends)


def test_colours_run_from_grey_to_red() -> None:
    """Idle is light, the busiest link dark red."""
    assert colour(0.0) == "#d6dde5"
    assert colour(1.0) == "#b01820"


def test_sizes_are_written_in_binary_units() -> None:
    """1048576 B is 1 MiB."""
    assert [size_text(x) for x in (1, 1024, 1536, 2**20, 2**33)] == ["1 B", "1 KiB", "1.5 KiB", "1 MiB", "8 GiB"]
