"""Where the area of a chip goes: A = cores + cache + memory PHYs + lanes + die-to-die + fabric + the rest + spare.

    core = width·(a_fma + a_delivery)·logic + a_control·logic + MiB·a_local·sram            [mm²]

logic = (transistors/mm² of N7) / (of the node), sram = (cell of the node) / (cell of N7); PHYs and lanes do not shrink.
Validity: held-out chips of N7 to N4P come back within the errors that `hardware new --check` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, sqrt

from sim.device.energy import BITS_PER_BYTE
from sim.device.silicon.budget import ChipBudget
from sim.device.silicon.records import Blocks, Core, Node, Process, Stack
from sim.records import dataclass

MM2 = 1e-6
MICRON2 = 1e-6  # mm²
MIB = 2.0**20


@dataclass(frozen=True, slots=True)
class Parts:
    """The records a budget names, and what follows from them before any area is divided."""

    node: Node
    base: Node  # of the dies that carry memory, links and cache: the same, or those below
    stack: Stack
    core: Core
    blocks: Blocks
    n7: Node
    area: float  # mm² of compute dies
    width: int
    local_mib: float
    dies: int
    lanes: int
    lane_rate: float  # Gb/s
    stacked: bool  # whether there are dies below

    @property
    def logic(self) -> float:
        """Area of logic relative to N7."""
        return self.n7.logic.value / self.node.logic.value

    @property
    def matrix(self) -> float:
        """Matrix unit of a core (mm²)."""
        return self.width * self.core.fma.value * MICRON2 * self.logic

    @property
    def control(self) -> float:
        """What feeds and steers a core, vector lanes included (mm²)."""
        return (self.width * self.core.delivery.value * MICRON2 + self.core.control.value) * self.logic

    @property
    def local(self) -> float:
        """Registers and first-level memory of a core (mm²)."""
        return self.local_mib * self.core.local.value * self._sram(self.node)

    @property
    def core_area(self) -> float:
        """One core (mm²)."""
        return self.matrix + self.control + self.local

    @property
    def cache(self) -> float:
        """A MiB of last-level cache (mm²)."""
        return self.core.cache.value * self._sram(self.base)

    def _sram(self, node: Node) -> float:
        return node.sram.value / self.n7.sram.value


def parts_of(budget: ChipBudget, process: Process, link_rates: Mapping[str, float]) -> Parts:
    """The records of a budget whose names are known."""
    node, blocks = process.nodes[budget.node or default_node(process, budget.year)], process.blocks
    core = process.cores[budget.core]
    rate = max(rate for year, rate in blocks.lane_rates.items() if float(year) <= budget.year)
    own = (link_rates[name] for name in budget.links if name.startswith(blocks.on_chip))
    area = budget.area / MM2
    return Parts(
        node=node,
        base=process.nodes[budget.io_node] if budget.io_node else node,
        stack=process.stacks[budget.memory or default_memory(process, budget.year)],
        core=core,
        blocks=blocks,
        n7=process.nodes["n7"],
        area=area,
        width=budget.width or core.width,
        local_mib=core.local_mib if budget.local_bytes is None else budget.local_bytes / MIB,
        dies=budget.dies or ceil(area / blocks.reticle.value * (1.0 - 1e-9)),
        lanes=sum(ceil(bandwidth * BITS_PER_BYTE / 1e9 / rate) for bandwidth in own),
        lane_rate=rate,
        stacked=bool(budget.io_node),
    )


AGE = 2.0  # years from first volume production to a flagship of the reticle's size: A100, H100, B200


def default_node(process: Process, year: float) -> str:
    """The newest node that has been in volume production for two years."""
    aged = {name: node.year for name, node in process.nodes.items() if node.year <= year - AGE}
    return max(
        aged or {min(process.nodes, key=lambda n: process.nodes[n].year): 0.0}, key=lambda n: process.nodes[n].year
    )


def default_memory(process: Process, year: float) -> str:
    """The newest generation of memory there is."""
    return max((name for name, s in process.stacks.items() if s.year <= year), key=lambda n: process.stacks[n].year)


def fixed_areas(parts: Parts, stacks: int) -> Iterator[tuple[str, float]]:
    """Blocks that follow from stacks, links and dies (mm²), on the dies that carry them."""
    yield "memory PHYs", stacks * parts.stack.area.value
    yield "link lanes", parts.lanes * parts.blocks.serdes_area.value
    if parts.dies > 1 and not parts.stacked:
        yield "die to die", parts.dies * parts.blocks.die_area.value
    yield "fabric", parts.core.fabric.value * parts.area
    yield "host, clocks and rest", parts.blocks.other.value * parts.area


def edge_need(parts: Parts, stacks: int) -> float:
    """Edge that memory, lanes and neighbouring dies take (mm)."""
    blocks = parts.blocks
    joined = 0.0 if parts.stacked else 2.0 * (parts.dies - 1) * blocks.die_edge.value
    return stacks * parts.stack.edge.value + parts.lanes * blocks.serdes_edge.value + joined


def perimeter(area: float, dies: int) -> float:
    """Edge of `dies` dies of `area` mm² together, cut as the reticle is, 26 to 33 (mm)."""
    return dies * 2.0 * (sqrt(26.0 / 33.0) + sqrt(33.0 / 26.0)) * sqrt(area / dies)
