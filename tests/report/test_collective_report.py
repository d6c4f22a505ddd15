"""Tables, plots and drawings of collectives."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from sim.errors import InputError
from sim.network import Cluster, Group, Level, LinkType
from sim.report.collective import plot, plot_html, plot_svg, render, size_text, to_json
from sim.report.topology_drawing import DrawnCollective, as_html, colour, draw_topology, shrink
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


def test_the_plot_is_valid_svg_with_a_curve_per_algorithm(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Well-formed XML; names in the legend; a page that works offline; other endings are refused."""
    found = sweep(NODES, "all_reduce", sizes_between(2**10, 2**30, 4), Group(32), "all")
    svg = plot_svg(found)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "hierarchical" in svg
    one = sweep(NODES, "all_reduce", [2.0**20], Group(32))
    ET.fromstring(plot_svg(one))
    page = plot_html(one)
    assert "https://cdn" not in page.partition("</script>")[0]
    with pytest.raises(InputError, match=r"\.svg or \.html"):
        plot(one, tmp_path / "plot.png")


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
    """Well-formed SVG with each drawn device once, with and without load."""
    small = shrink(cluster)
    assert small.devices <= 96
    for collective in (None, DrawnCollective(), DrawnCollective("all_reduce", 1e9, "ring")):
        root = ET.fromstring(draw_topology(cluster, collective))
        circles = [e for e in root.iter() if e.tag.endswith("circle")]
        assert len(circles) == small.devices
    assert as_html("<svg/>", "a<b").count("a&lt;b") == 1


def test_colours_run_from_grey_to_red() -> None:
    """Idle is light, the busiest link dark red."""
    assert colour(0.0) == "#d6dde5"
    assert colour(1.0) == "#b01820"


def test_sizes_are_written_in_binary_units() -> None:
    """1048576 B is 1 MiB."""
    assert [size_text(x) for x in (1, 1024, 1536, 2**20, 2**33)] == ["1 B", "1 KiB", "1.5 KiB", "1 MiB", "8 GiB"]
