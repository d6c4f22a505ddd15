"""From a `Cluster` record to a checked topology, with its degraded and dead links."""

from __future__ import annotations

import numpy as np

from sim.errors import InputError
from sim.network.check import both_ways, links_problem, problems, unknown_ends, unreachable
from sim.network.composed import Composed
from sim.network.graph import GraphTopology, cut_off
from sim.network.records import Cluster, Routing
from sim.network.repair import Repaired
from sim.network.topology import Topology


def topology(cluster: Cluster) -> Topology:
    """The topology of a cluster; InputError with everything that is wrong with it.

    A link is named by its two ends and degraded or dead in both directions.
    """
    found = problems(cluster)
    if found:
        raise InputError(*found)
    if cluster.edges:
        return _from_edges(cluster)
    whole = Composed(cluster)
    if too_many := links_problem(whole.L):
        raise InputError(too_many)
    if not cluster.dead_links and not cluster.degraded_links:
        return whole
    ends = {pair: link for link, pair in whole.names().items()}
    found = unknown_ends(cluster, ends)
    if found:
        raise InputError(*found)
    for a, b, fraction in cluster.degraded_links:
        for pair in both_ways(a, b):
            if pair in ends:
                whole.degrade(ends[pair], fraction)
    dead = sorted({ends[pair] for a, b in cluster.dead_links for pair in both_ways(a, b) if pair in ends})
    if not dead:
        return whole
    repaired = Repaired(whole, np.array(dead, dtype=np.int64))
    cut = unreachable(cluster, *cut_off(repaired.alive.net, cluster.devices))
    if cut:
        raise InputError(*cut)
    return repaired


def _from_edges(cluster: Cluster) -> GraphTopology:
    dead = {pair for a, b in cluster.dead_links for pair in both_ways(a, b)}
    slow = {pair: fraction for a, b, fraction in cluster.degraded_links for pair in both_ways(a, b)}
    ends = {(e.source, e.target): 0 for e in cluster.edges}
    found = unknown_ends(cluster, ends)
    if found:
        raise InputError(*found)
    links = [
        (e.source, e.target, e.bandwidth * slow.get((e.source, e.target), 1.0), e.latency_s)
        for e in cluster.edges
        if (e.source, e.target) not in dead
    ]
    graph = GraphTopology(cluster.devices, links, ecmp=cluster.routing == Routing.ECMP)
    cut = unreachable(cluster, *cut_off(graph.net, cluster.devices))
    if cut:
        raise InputError(*cut)
    return graph
