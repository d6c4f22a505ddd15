"""How sure a chip from a budget is: what the ranges of the coefficients do to it.

    band of ln y = ± √(Σ (Δ ln y)²),  Δ ln y: one coefficient at an end of the range of its sources, the others kept

Up and down apart, the power at most its limit; the cache keeps its area, the cores take what is left. Coefficients are
taken as independent, as their sources are; where an end leaves no chip, that end counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from math import exp, inf, log, sqrt
from typing import Any, TypeVar

from sim.device.silicon.area import default_memory, default_node
from sim.device.silicon.budget import ChipBudget
from sim.device.silicon.design import ChipDesign
from sim.device.silicon.records import Figure, Process
from sim.errors import InputError
from sim.records import dataclass

R = TypeVar("R")
Made = Callable[[ChipBudget, Process], ChipDesign]
FIGURES: Mapping[str, Callable[[ChipDesign], float]] = {
    "peak": lambda made: made.peak,
    "bandwidth": lambda made: made.bandwidth,
    "power": lambda made: made.power.total_w,
    "cost": lambda made: made.cost.total,
}


@dataclass(frozen=True, slots=True)
class Band:
    """A figure of a chip (SI, USD) and how far the ranges of the coefficients move it."""

    name: str
    value: float
    low: float
    high: float


def bands(made: ChipDesign, process: Process, make: Made) -> tuple[Band, ...]:
    """Bands of peak, bandwidth, power and cost; `make` designs a budget with other coefficients."""
    cache = next(block.area for block in made.blocks if block.name == "last-level cache")
    budget = replace(made.budget, matrix_share=None, cache_share=cache / made.parts.area, dies=made.parts.dies)
    base = make(budget, process)
    others = [found for other in _ends(budget, process) if (found := _design(make, budget, other)) is not None]
    return tuple(_band(name, of, made, base, others) for name, of in FIGURES.items())


def _band(
    name: str, of: Callable[[ChipDesign], float], made: ChipDesign, base: ChipDesign, others: list[ChipDesign]
) -> Band:
    moves = [log(of(other) / of(base)) for other in others]
    up = sqrt(sum(move**2 for move in moves if move > 0.0))
    down = sqrt(sum(move**2 for move in moves if move < 0.0))
    most = made.budget.power_w if name == "power" else inf
    return Band(name, of(made), of(made) * exp(-down), min(of(made) * exp(up), most))


def _design(make: Made, budget: ChipBudget, process: Process) -> ChipDesign | None:
    try:
        return make(budget, process)
    except InputError:
        return None


def _ends(budget: ChipBudget, process: Process) -> Iterator[Process]:
    """The process with one coefficient that the chip rests on at either end of its range."""
    node = budget.node or default_node(process, budget.year)
    memory = budget.memory or default_memory(process, budget.year)
    for other in _ends_of(process.nodes[node]):
        yield replace(process, nodes={**process.nodes, node: other})
    for stack in _ends_of(process.stacks[memory]):
        yield replace(process, stacks={**process.stacks, memory: stack})
    for core in _ends_of(process.cores[budget.core]):
        yield replace(process, cores={**process.cores, budget.core: core})
    for blocks in _ends_of(process.blocks):
        yield replace(process, blocks=blocks)


def _ends_of(record: R) -> Iterator[R]:
    """A record with one of its figures at either end."""
    whole: Any = record
    for each in fields(whole):
        figure = getattr(whole, each.name)
        if isinstance(figure, Figure):
            for end in (figure.low, figure.high):
                if end != figure.value:
                    yield replace(whole, **{each.name: replace(figure, value=end)})
