"""A chip from a budget of area, power and memory stacks: area, edge, power, yield and cost, from data of processes."""

from sim.device.silicon.budget import ChipBudget
from sim.device.silicon.design import Block, ChipDesign, design
from sim.device.silicon.records import Blocks, Core, Figure, Node, Process, Stack

__all__ = ["Block", "Blocks", "ChipBudget", "ChipDesign", "Core", "Figure", "Node", "Process", "Stack", "design"]
