"""ASTRA-sim files: read, refused with reasons, written and read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.engine.astra import AstraDimension
from sim.errors import InputError
from sim.files.astra import from_cluster, is_network, network_yaml, read_network, read_system, to_cluster
from sim.network import Cluster, Communicator, Edge, Group, Level, LinkType

NETWORK = "topology: [Ring, Switch]\nnpus_count: [4, 8]\nbandwidth: [300.0, 50]\nlatency: [500, 700.5]\n"
DIMS = (AstraDimension("Ring", 4, 300.0, 500.0), AstraDimension("Switch", 8, 50.0, 700.5))


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_network_file_is_read_in_its_own_units(tmp_path: Path) -> None:
    """Dimensions innermost first; 1 GB/s there is 2^30 B/s."""
    path = write(tmp_path, "network.yml", NETWORK)
    assert is_network(path)
    assert read_network(path) == DIMS
    assert DIMS[1].bytes_per_ns == pytest.approx(50 * 2**30 / 1e9)


def test_a_network_is_written_and_read_back(tmp_path: Path) -> None:
    """Writing loses nothing."""
    assert read_network(write(tmp_path, "network.yml", network_yaml(DIMS))) == DIMS


def test_a_cluster_goes_out_and_comes_back() -> None:
    """Our cluster of its dimensions has those dimensions."""
    back = from_cluster(to_cluster(DIMS))
    assert [(d.topology, d.npus) for d in back] == [("Ring", 4), ("Switch", 8)]
    assert [d.bandwidth_gib for d in back] == pytest.approx([300.0, 50.0])
    assert [d.latency_ns for d in back] == pytest.approx([500.0, 700.5])


def test_the_cluster_costs_what_the_dimension_says() -> None:
    """A ring all-reduce over their switch: 2(N-1)·(2L + S/N/B)."""
    cluster = to_cluster((AstraDimension("Switch", 8, 50.0, 500.0),))
    seconds = Communicator(cluster).time("all_reduce", 2.0**30, Group(8), "ring")
    assert seconds == pytest.approx(14 * (1000e-9 + 2**30 / 8 / (50 * 2**30)), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topology: [Ring]\nnpus_count: [8, 8]\nbandwidth: [50]\nlatency: [500]\n", "one entry per dimension"),
        ("topology: [Mesh]\nnpus_count: [8]\nbandwidth: [50]\nlatency: [500]\n", "must be one of Ring"),
        ("topology: [Ring]\nnpus_count: [1]\nbandwidth: [50]\nlatency: [500]\n", "above 1"),
        ("topology: [Ring]\nnpus_count: [8]\nbandwidth: [0]\nlatency: [-1]\n", "must be positive"),
        ("topology: [Ring]\nnpus_count: [8]\nbandwidth: [50]\n", "latency: is required"),
        ("topology: Ring\nnpus_count: [8]\nbandwidth: [50]\nlatency: [500]\n", "must be a list"),
    ],
)
def test_a_wrong_network_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    """Every rule of the format, with the place."""
    with pytest.raises(InputError, match=message):
        read_network(write(tmp_path, "network.yml", text))


def test_a_system_file_gives_the_modelled_parts(tmp_path: Path) -> None:
    """Known keys are read, others ignored."""
    raw = {
        "scheduling-policy": "FIFO",
        "endpoint-delay": 1,
        "active-chunks-per-dimension": 4,
        "preferred-dataset-splits": 4,
        "local-mem-bw": 1600,
        "all-reduce-implementation": ["ring", "halvingDoubling"],
        "boost-mode": 0,
    }
    system = read_system(write(tmp_path, "system.json", json.dumps(raw)))
    assert system.algorithms["all_reduce"] == ("ring", "halvingDoubling")
    assert (system.endpoint_delay_ns, system.splits, system.active, system.local_mem_gb) == (1, 4, 4, 1600.0)


@pytest.mark.parametrize("text", ["{", "[]", '{"endpoint-delay": -1}', '{"all-reduce-implementation": "ring"}'])
def test_a_wrong_system_file_is_refused(tmp_path: Path, text: str) -> None:
    """Bad JSON, wrong shape, wrong values."""
    with pytest.raises(InputError):
        read_system(write(tmp_path, "system.json", text))


def test_what_cannot_be_expressed_is_said() -> None:
    """Graphs, oversubscription and other topologies have no dimensions there."""
    link = LinkType("l", 1e9, 1e-6)
    with pytest.raises(InputError, match="cannot be written"):
        from_cluster(Cluster("g", "", 2, edges=(Edge(0, 1, 1e9, 1e-6),)))
    with pytest.raises(InputError, match="hybrid_cube_mesh"):
        from_cluster(Cluster("h", "", 8, (Level("n", "hybrid_cube_mesh", (8,), link),)))
    with pytest.raises(InputError, match="fat_tree"):
        from_cluster(Cluster("f", "", 8, (Level("n", "fat_tree", (8,), link, oversubscription=2.0),)))
