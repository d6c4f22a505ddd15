"""Searches that need the engine: the fastest plan, and where to place the ops of a graph."""

from sim.search.placement import Device, Graph, Node, Placement, evaluate, greedy, layer_wise, learn
from sim.search.plans import Found, Ranked, limits_of, search
from sim.search.unrolled import unrolled

__all__ = [
    "Device",
    "Found",
    "Graph",
    "Node",
    "Placement",
    "Ranked",
    "evaluate",
    "greedy",
    "layer_wise",
    "learn",
    "limits_of",
    "search",
    "unrolled",
]
