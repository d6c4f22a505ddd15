"""The network: topologies, routes, fair rates, schedules and what collectives cost.

Communicator(cluster)        prices collectives: time, times, choose, costs, send, p2p, link_loads, schedule
topology(cluster)            N, L, cap, lat, routes(src, dst), graph()
schedule(algorithm, kind, …) phases of messages with the pieces they carry
solve(schedule, topology)    the phase solver
maxmin, fluid                exact fair rates and finish times
"""

from sim.network.algorithms import ALGORITHMS
from sim.network.build import topology
from sim.network.communicator import Communicator, communicator_of, schedule, wider
from sim.network.graph import from_graph
from sim.network.layout import level_of
from sim.network.phases import link_bytes, phase_routes, phase_time, solve
from sim.network.rates import fluid, maxmin
from sim.network.records import Cluster, CollectiveCost, Edge, Group, Level, LinkType, Optical
from sim.network.resize import resize
from sim.network.schedule import Phase, Schedule, all_to_all_unequal
from sim.network.topologies import TOPOLOGIES
from sim.network.topology import Topology

__all__ = [
    "ALGORITHMS",
    "TOPOLOGIES",
    "Cluster",
    "CollectiveCost",
    "Communicator",
    "Edge",
    "Group",
    "Level",
    "LinkType",
    "Optical",
    "Phase",
    "Schedule",
    "Topology",
    "all_to_all_unequal",
    "communicator_of",
    "fluid",
    "from_graph",
    "level_of",
    "link_bytes",
    "maxmin",
    "phase_routes",
    "phase_time",
    "resize",
    "schedule",
    "solve",
    "topology",
    "wider",
]
