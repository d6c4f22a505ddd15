"""What a package costs to make: dies by yield, memory, interposer, test.

    yield of what must be whole   Y = (1 + A·D0/α)^(-α)                                   negative binomial
    of the cores                  at most `spare` defects among them, Poisson of mean A_cores·D0
    gross dies of a 300 mm wafer  π·R²/A − 2π·R/√(2A), R = 147 mm (3 mm of edge), A with a scribe of 0.2 mm

Sources: LLMCompass (ISCA 2024) and Chiplet Actuary (DAC 2022) for the form; coefficients in hardware/process.
Validity: H100 and MI300X within the estimates of their bills of materials; design and masks are not part of it.
"""

from __future__ import annotations

from math import exp, factorial, pi, sqrt

from sim.device.silicon.area import Parts
from sim.device.silicon.records import Blocks, Node
from sim.records import dataclass

RADIUS_MM = 147.0
SCRIBE_MM = 0.2
MM2_PER_CM2 = 100.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a package (USD) and the share of dies that can be sold."""

    dies: float
    memory: float
    package: float
    test: float
    good: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.dies + self.memory + self.package + self.test


def gross_dies(area: float) -> float:
    """Dies of `area` mm² that fit a wafer."""
    cut = (sqrt(area) + SCRIBE_MM) ** 2
    return pi * RADIUS_MM**2 / cut - 2.0 * pi * RADIUS_MM / sqrt(2.0 * cut)


def good_share(whole: float, cores: float, spare: int, node: Node, blocks: Blocks) -> float:
    """Share of dies that can be sold: `whole` mm² without a defect, at most `spare` defects in `cores` mm²."""
    defects, alpha = node.defects.value / MM2_PER_CM2, blocks.alpha.value
    intact = (1.0 + whole * defects / alpha) ** -alpha
    mean = cores * defects
    return float(intact * exp(-mean) * sum(mean**k / factorial(k) for k in range(min(spare, 100) + 1)))


def die_cost(area: float, good: float, node: Node) -> float:
    """A good die (USD)."""
    return float(node.wafer.value / (gross_dies(area) * good))


def cost_of(parts: Parts, cores_area: float, spare_cores: int, base_area: float, stacks: int) -> Cost:
    """A package: its compute dies, those below, memory, interposer and test (USD)."""
    blocks, dies = parts.blocks, parts.dies
    each, array = parts.area / dies, cores_area / dies
    good = good_share(each - array, array, spare_cores // dies, parts.node, blocks)
    silicon = dies * die_cost(each, good, parts.node)
    if parts.stacked:
        silicon += _base_cost(base_area, parts)
    memory = stacks * parts.stack.capacity.value * parts.stack.price.value
    return Cost(silicon, memory, blocks.package.value * package_area(parts, base_area, stacks), blocks.test.value, good)


def _base_cost(area: float, parts: Parts) -> float:
    """The dies below, as many as the reticle asks for; all of each must be whole."""
    number = base_dies(parts, area)
    good = good_share(area / number, 0.0, 0, parts.base, parts.blocks)
    return number * die_cost(area / number, good, parts.base)


def base_dies(parts: Parts, area: float) -> int:
    """Dies below the compute dies: halves of the reticle, which yield."""
    return max(1, -int(-area // (0.5 * parts.blocks.reticle.value)))


def package_area(parts: Parts, base_area: float, stacks: int) -> float:
    """Silicon beside one another on the interposer (mm²)."""
    return max(parts.area, base_area) + stacks * parts.blocks.stack_footprint.value
