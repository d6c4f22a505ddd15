"""Units told in runs against every flow routed, on clusters and groups drawn at random: the oracle is the long way."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from clusters import link
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import Cluster, Communicator, Group, Level
from sim.network.algorithms.channels import hops
from sim.network.algorithms.double_binary_tree import double_tree, rooted_trees
from sim.ops import CollectiveKind

KINDS: tuple[CollectiveKind, ...] = ("all_reduce", "all_to_all", "broadcast", "reduce", "barrier")
MODULES = ("sim.network.topology", "sim.network.composed")


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """One to three levels, mostly of switches: leaves, pods and planes of all sizes, evenly filled or not."""
    levels, inside = list[Level](), 1
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(("switch", "fat_tree", "rail", "fat_tree", "rail", "torus", "ring", "mesh")))
        size, options = draw(st.integers(2, 12)), dict[str, float]()
        if kind in ("fat_tree", "rail"):
            options = {"leaf": draw(st.integers(1, 4))}
            if draw(st.booleans()):
                options |= {"tiers": 3, "pod": options["leaf"] * draw(st.integers(1, 3))}
        if inside * size <= 150:
            nics = draw(st.sampled_from((None, 1, inside, 2 * inside))) if inside > 1 else None
            over = draw(st.sampled_from((1.0, 2.0, 3.0))) if options else 1.0
            levels.append(Level(f"level{number}", kind, (size,), link(), nics, over, options))
            inside *= size
    return Cluster("drawn", "test", inside, tuple(levels))


@settings(max_examples=25, deadline=None)
@given(clusters(), st.data())
def test_runs_of_alike_units_stand_for_all_flows(cluster: Cluster, data: st.DataObject) -> None:
    """Price, and load of every link, of groups of any size and stride, and of a hop of a pipeline."""
    n = cluster.devices
    size = data.draw(st.integers(2, n))
    group, hop = Group(size, data.draw(st.integers(1, n // size))), data.draw(st.integers(1, n - 1))
    short, fine = data.draw(st.sampled_from((0, 4, 50))), data.draw(st.sampled_from((1, 4)))

    def answers() -> list[tuple[float, float, list[float]]]:
        communicator = Communicator(cluster)
        found = [communicator.hop(hop)]
        rows = [(found[0].fixed_s, found[0].per_byte_s, [])]
        for kind in KINDS:
            for cost in communicator.costs(kind, group):
                loads = communicator.link_loads(kind, 1.0, group, cost.algorithm)
                rows.append((cost.fixed_s, cost.per_byte_s, loads.tolist()))
        return rows

    routed = answers()
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(sys.modules[module], "FEW", 0)
        patch.setattr(sys.modules["sim.network.flows"], "SHORT", short)
        patch.setattr(sys.modules["sim.network.algorithms.double_binary_tree"], "FINE", fine)
        told = answers()
    for one, other in zip(told, routed, strict=True):
        assert one[:2] == pytest.approx(other[:2], rel=1e-12, abs=1e-25)
        assert one[2] == pytest.approx(other[2], rel=1e-12, abs=1e-13)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5000), st.booleans(), st.sampled_from((1, 2, 4)))
def test_trees_told_by_arithmetic_are_those_written_out(n: int, rooted: bool, fine: int) -> None:
    """Who is above whom, and the depth, of a tree told in two parts and block by block; every block but one is below
    another, and the twins have the same root or are mirrored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["sim.network.algorithms.double_binary_tree"], "FINE", fine)
        for tree in rooted_trees(n) if rooted else double_tree(n):
            above, told = tree.above(np.arange(n)), np.full(n, -1)
            for sends in tree.sends:
                source, to = sends.led(np.arange(n))
                assert (told[source] == -1).all()
                told[source] = to
            assert (told == above).all()
            assert (above < 0).sum() == 1
            assert tree.depth == hops(above).max()


@pytest.mark.parametrize(("devices", "group"), [(1 << 20, Group(999_983)), (1 << 22, Group(7, 3))])
def test_odd_groups_of_millions_are_not_written_out(devices: int, group: Group) -> None:
    """Every device a message of its own would be 8 to 34 MB an array; the links looked at are some thousand."""
    node = Level("node", "switch", (8,), link())
    net = Level("net", "rail", (devices // 8,), link(), options={"leaf": 32})
    communicator = Communicator(Cluster("many", "test", devices, (node, net)))
    looked_at = 0
    count = sys.modules["sim.network.composed"].count  # type: ignore[attr-defined]

    def counted(blocks: object, routes: np.ndarray, *rest: object) -> object:
        nonlocal looked_at
        looked_at += routes.size
        return count(blocks, routes, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["sim.network.composed"], "count", counted)
        for kind in ("all_reduce", "barrier", "all_to_all"):
            communicator.costs(kind, group)  # type: ignore[arg-type]
    assert 0 < looked_at < 1_000_000


def test_an_exchange_of_odd_groups_is_bound_by_ports() -> None:
    """Groups of 7 of stride 3: every device sends 6/7 of the buffer over its own port of the net, none more."""
    net = Level("net", "rail", (1 << 13,), link(bandwidth=1e9), options={"leaf": 32})
    communicator = Communicator(Cluster("many", "test", 1 << 16, (Level("node", "switch", (8,), link()), net)))
    (cost,) = communicator.costs("all_to_all", Group(7, 3))
    assert cost.per_byte_s == pytest.approx(6 / 7 / 1e9 / net.link.efficiency, rel=1e-12)
