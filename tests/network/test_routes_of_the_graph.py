"""Routes by index arithmetic are routes of the networkx graph: drawn clusters of every topology in the library."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from clusters import link
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import TOPOLOGIES, Cluster, Level, topology
from sim.network.composed import Composed
from sim.network.topologies.dragonfly import Dragonfly

JOINT = 100  # weight of the joint between a device and a card it shares: no way leads through more than it must


def sizes(*least_and_most: tuple[int, int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*(st.integers(*bounds) for bounds in least_and_most))


GRIDS = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple).filter(lambda dims: 2 <= math.prod(dims) <= 32)
DRAWN: dict[str, st.SearchStrategy[tuple[int, ...]]] = {
    "switch": sizes((2, 9)),
    "fully_connected": sizes((2, 7)),
    "ring": sizes((2, 9)),
    "torus": GRIDS,
    "twisted_torus": st.sampled_from([(2, 4), (6, 3), (2, 2, 4), (4, 2, 2), (2, 4, 4), (3, 3, 6), (4, 2, 4)]),
    "mesh": GRIDS,
    "hybrid_cube_mesh": st.just((8,)),
    "fat_tree": sizes((2, 16)),
    "rail": sizes((2, 12)),
    "dragonfly": sizes((1, 2), (1, 3), (2, 6)),
    "hyperx": st.one_of(sizes((1, 3), (2, 4)), sizes((1, 2), (1, 3), (2, 3)), sizes((1, 1), (2, 2), (2, 2), (2, 3))),
}


@st.composite
def clusters(draw: st.DrawFn, kind: str) -> Cluster:
    """One level, or nodes of 2 or 4 devices with a card each or one for two; trunks of several widths."""
    dims = draw(DRAWN[kind])
    options: dict[str, float] = {}
    if kind in ("fat_tree", "rail"):
        leaf = draw(st.integers(1, dims[0]))
        options = {
            "leaf": leaf,
            **draw(st.sampled_from([{}, {"tiers": 3, "pod": leaf}, {"tiers": 3, "pod": 2 * leaf}])),
        }
    if kind == "rail":
        options["pxn"] = draw(st.integers(0, 1))
    over = draw(st.sampled_from([1.0, 2.0, 3.0])) if TOPOLOGIES[kind].trunks else 1.0
    g = draw(st.sampled_from([1, 2, 4]))
    nics = draw(st.sampled_from([None, g / 2])) if g > 1 else None
    net = Level("net", kind, dims, link(bandwidth=8e9, latency_s=4e-6), nics, over, options)
    node = (Level("node", "switch", (g,), link()),) if g > 1 else ()
    return Cluster("drawn", "test", g * math.prod(dims), (*node, net))


def walked(names: dict[int, tuple[Any, Any]], row: list[int], start: int, end: int) -> list[Any]:
    """The nodes a route visits, joints to shared cards between."""
    path: list[Any] = [start]
    for hop in row:
        a, b = names[hop]
        path += [b] if path[-1] == a else [a, b]
    return path if path[-1] == end else [*path, end]


def allowed(net: Composed, graph: nx.DiGraph[Any], source: int, target: int) -> nx.DiGraph[Any]:
    """A minimal route of a dragonfly stays in the groups of its two ends."""
    router = net.routers[-1]
    if not isinstance(router, Dragonfly):
        return graph
    per_group = router.p * router.a * router.shape.block
    groups = {source // per_group, target // per_group}
    group = {v: int(v.partition("/router")[2].partition(".")[0]) for v in graph if "/router" in str(v)}
    near = [v for v in graph if group.get(v, source // per_group) in groups]
    return graph.subgraph(near)


def stops(net: Composed, source: int, target: int) -> list[int]:
    """Source, the device of its member whose port leads to the target where a level has planes, and target."""
    router, block = net.routers[-1], net.widths[-2]
    ports = router.shape.port(np.array([source, target]))
    if not router.planar or source // block == target // block or ports[0] == ports[1]:
        return [source, target]
    return [source, source // block * block + target % block, target]


@pytest.mark.parametrize("kind", sorted(DRAWN))
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_index_arithmetic_routes_on_the_graph(kind: str, data: st.DataObject) -> None:
    """Link by link on the graph, with its capacity and latency; as short as networkx finds; the very path that networkx
    finds where there is a single shortest one. By hash too."""
    cluster = data.draw(clusters(kind))
    net = topology(cluster)
    assert isinstance(net, Composed)
    graph, names = net.graph(), net.names()
    for a, b, edge in graph.edges(data=True):
        edge["weight"] = 1 if edge["link"] >= 0 else JOINT
        if edge["link"] >= 0:
            assert names[edge["link"]] == (a, b)
            assert (edge["capacity"], edge["latency"]) == (net.cap[edge["link"]], net.lat[edge["link"]])
    for source in data.draw(st.lists(st.integers(0, net.N - 1), min_size=1, max_size=2, unique=True)):
        others = np.array([d for d in range(net.N) if d != source], dtype=np.int64)
        for seed in (None, 3):
            routes = net.routes(np.full(len(others), source), others, seed)
            for target, row in zip(others.tolist(), routes.tolist(), strict=True):
                path = walked(names, [hop for hop in row if hop >= 0], source, target)
                assert nx.is_path(graph, path)
                near, way = allowed(net, graph, source, target), stops(net, source, target)
                legs = [nx.shortest_path(near, a, b, weight="weight") for a, b in pairwise(way)]
                length = sum(nx.path_weight(graph, leg, "weight") for leg in legs)
                assert nx.path_weight(graph, path, "weight") == length
                if seed is None and all(single(near, leg) for leg in legs):
                    assert path == [way[0], *(node for leg in legs for node in leg[1:])]


def single(graph: nx.DiGraph[Any], path: list[Any]) -> bool:
    """No other path is as short."""
    ways = nx.all_shortest_paths(graph, path[0], path[-1], weight="weight")
    return next(ways) is not None and next(ways, None) is None


def test_every_topology_is_drawn() -> None:
    """A new one says here which sizes it takes."""
    assert {TOPOLOGIES[kind] for kind in DRAWN} == set(TOPOLOGIES.values())
