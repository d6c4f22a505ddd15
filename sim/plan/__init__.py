"""How a model is laid over a cluster: checked, weighed in bytes, priced in seconds; closed form only."""

from sim.plan.check import check_given, check_plan
from sim.plan.costs import Block, Chunk, Message, Prepared, Stage, Work
from sim.plan.feasible import fullest, infeasible
from sim.plan.groups import Groups, groups_of, slow_stages
from sim.plan.memory import device_memory
from sim.plan.prepare import prepare, slowed
from sim.plan.records import DeviceMemory, Plan, Sharding

__all__ = [
    "Block",
    "Chunk",
    "DeviceMemory",
    "Groups",
    "Message",
    "Plan",
    "Prepared",
    "Sharding",
    "Stage",
    "Work",
    "check_given",
    "check_plan",
    "device_memory",
    "fullest",
    "groups_of",
    "infeasible",
    "prepare",
    "slow_stages",
    "slowed",
]
