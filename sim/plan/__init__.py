"""How a model is laid over a cluster: checked, weighed in bytes, priced in seconds; closed form only."""

from sim.plan.check import check_given, check_plan
from sim.plan.feasible import fullest, infeasible
from sim.plan.groups import Groups, groups_of, slow_stages
from sim.plan.memory import device_memory
from sim.plan.prepare import prepare
from sim.plan.records import DeviceMemory, Plan, Sharding
from sim.plan.step_record import Block, Chunk, Stage, StepRecord, Transfer, Work, slowed

__all__ = [
    "Block",
    "Chunk",
    "DeviceMemory",
    "Groups",
    "Plan",
    "Sharding",
    "Stage",
    "StepRecord",
    "Transfer",
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
