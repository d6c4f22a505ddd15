"""Any networkx graph is a cluster: what it costs is what the same wiring costs as levels."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from clusters import ALPHA, BANDWIDTH, flat, link

from sim import from_graph, load_scenario, simulate
from sim.errors import InputError
from sim.network import Cluster, Communicator, Group, topology
from sim.ops import CollectiveKind

SAME = [
    flat("switch", 8),
    flat("ring", 5),
    flat("ring", 6),
    flat("fully_connected", 5),
    flat("fat_tree", 16, options={"leaf": 4}),
]


def as_graph(cluster: Cluster) -> Cluster:
    return from_graph(topology(cluster).graph(), cluster.accelerator)


@pytest.mark.parametrize("kind", ["all_reduce", "all_to_all", "broadcast"])
@pytest.mark.parametrize("cluster", SAME, ids=lambda c: f"{c.levels[0].topology}{c.devices}")
def test_the_graph_of_a_cluster_costs_what_the_cluster_costs(cluster: Cluster, kind: CollectiveKind) -> None:
    """Routes searched on networkx's graph against index arithmetic, by every algorithm that uses the same links
    (rings on a full mesh know the wiring; equal paths are chosen by other keys)."""
    one, two, group = Communicator(cluster), Communicator(as_graph(cluster)), Group(cluster.devices)
    equal_paths = cluster.levels[0].topology in ("fat_tree", "ring")  # chosen by other keys
    spread = cluster.levels[0].topology == "fully_connected"
    able = {c.algorithm for c in one.costs(kind, group, every=True)}
    names = {"ring", "direct", "pairwise", "halving_doubling", "recursive_doubling"} & able
    names -= {"ring"} if spread else set()
    for name in names - ({"direct", "pairwise"} if equal_paths else set()):
        a, b = one.cost(kind, group, name), two.cost(kind, group, name)
        assert (b.fixed_s, b.per_byte_s) == pytest.approx((a.fixed_s, a.per_byte_s), rel=1e-9), name


def star(n: int) -> nx.Graph:
    graph = nx.star_graph(n)
    graph = nx.relabel_nodes(graph, {0: "hub"} | {i: i - 1 for i in range(1, n + 1)})
    nx.set_edge_attributes(graph, {pair: {"capacity": BANDWIDTH, "latency": ALPHA} for pair in graph.edges})
    return graph


def test_a_graph_trains_as_the_switch_it_is() -> None:
    """`simulate` on a star of 8 given from networkx: the step of eight devices on one switch."""
    scenario = load_scenario("paper/word-lm")
    plan = replace(scenario.plan, data=8, sub_batch=128)
    given = replace(scenario, cluster=from_graph(star(8), scenario.accelerator.name), plan=plan)
    switch = replace(flat("switch", 8), accelerator=scenario.accelerator.name)
    levels = replace(switch.levels[0], link=link(in_network_reduction=False))
    known = replace(scenario, cluster=replace(switch, levels=(levels,)), plan=plan)
    one, two = simulate(given), simulate(known)
    assert one.step.time_s == pytest.approx(two.step.time_s, rel=1e-9)
    slow = star(8)
    slow.edges["hub", 3]["capacity"] /= 4  # one wire sets the pace of the ring
    assert simulate(replace(given, cluster=from_graph(slow))).step.time_s > one.step.time_s


def test_wires_of_half_the_rate_double_what_they_carry() -> None:
    """`simulate` on the Petersen graph, ten devices without a switch, its wires slow and free of latency: what a step
    waits for them is inverse to their capacity; routes have the two hops of its diameter."""
    scenario = load_scenario("paper/word-lm")
    plan = replace(scenario.plan, data=10, sub_batch=128, global_batch=1280)
    waits = []
    for capacity in (1e7, 5e6):
        graph = nx.petersen_graph()
        nx.set_edge_attributes(graph, capacity, "capacity")
        cluster = from_graph(graph, scenario.accelerator.name)
        result = simulate(replace(scenario, cluster=cluster, plan=plan))
        waits.append(result.step.time_s - result.step.compute_s)
        routes = topology(cluster).routes(*(x.ravel() for x in np.indices((10, 10))))
        assert (routes >= 0).sum(axis=1).max() == 2
    assert waits[1] == pytest.approx(2 * waits[0], rel=1e-3)


def test_what_a_graph_must_say() -> None:
    """Devices without gaps, capacities as numbers; everything wrong at once."""
    graph = star(4)
    graph.remove_node(1)
    graph.add_edge(0, ("a", 1), capacity=1e9)
    graph.edges["hub", 2]["capacity"] = "fast"
    with pytest.raises(InputError) as wrong:
        from_graph(graph)
    assert [p.rule.split(",")[0] for p in wrong.value.problems] == [
        "nodes of a graph are device numbers or names of switches",
        "devices are numbered 0",
        "every edge needs a number `capacity` in B/s",
    ]
    with pytest.raises(InputError, match="cut"):
        topology(from_graph(nx.empty_graph(0).__class__([(0, 1, {"capacity": 1e9}), (2, 3, {"capacity": 1e9})])))
