"""Where to place the ops of a graph on a few unequal devices."""

from sim.placement.placement import Device, Graph, Node, Placement, alone, evaluate, greedy, layer_wise, learn
from sim.placement.unrolled import unrolled

__all__ = ["Device", "Graph", "Node", "Placement", "alone", "evaluate", "greedy", "layer_wise", "learn", "unrolled"]
