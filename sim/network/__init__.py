"""The network: topologies, routes, fair rates, schedules and what collectives cost."""

from sim.network.communicator import Communicator
from sim.network.records import Cluster, CollectiveCost, Edge, Group, Level, LinkType
from sim.network.topology import Topology, topology

__all__ = [
    "Cluster",
    "CollectiveCost",
    "Communicator",
    "Edge",
    "Group",
    "Level",
    "LinkType",
    "Topology",
    "topology",
]
