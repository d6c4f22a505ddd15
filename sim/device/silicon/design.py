"""A budget made into a chip: how its area, edge, power and cost are divided, or why nothing fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import floor

from sim.device.generation import Generation
from sim.device.silicon.area import MIB, Parts, edge_need, fixed_areas, parts_of, perimeter
from sim.device.silicon.budget import ChipBudget
from sim.device.silicon.cost import Cost, base_dies, cost_of, package_area
from sim.device.silicon.power import GIGA, PowerSplit, power_of
from sim.device.silicon.records import Process
from sim.errors import InputError, Problem
from sim.fields import did_you_mean, problem
from sim.ops import Format
from sim.records import dataclass

SLACK = 1e-9  # of the area, for sums of floating point
LEAST_CLOCK = 0.1  # of the full clock, as the simulator's power limit has it


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the die: its area (mm²), on the compute dies or below them."""

    name: str
    area: float
    below: bool = False


@dataclass(frozen=True, slots=True)
class ChipDesign:
    """What a budget buys. SI, but areas in mm² and edges in mm."""

    budget: ChipBudget
    parts: Parts
    blocks: tuple[Block, ...]
    base_area: float
    cores_on_die: int
    cores: int
    clock_hz: float
    peak: float  # dense 16-bit FLOP/s
    peaks: Mapping[Format, float]
    bandwidth: float
    capacity_bytes: float
    cache_bytes: float
    power: PowerSplit
    cost: Cost
    edge_need: float
    edge_have: float


def design(
    budget: ChipBudget,
    process: Process,
    link_rates: Mapping[str, float],
    generation: Generation,
    sustained: float | None = None,
) -> ChipDesign:
    """The chip of a budget, its gaps filled with `generation`; InputError with what binds where nothing fits.

    `sustained`: the clock long products keep, where it is known instead of following from the power.
    """
    unknown = list(_unknown(budget, process, link_rates))
    if unknown:
        raise InputError(*unknown)
    parts = parts_of(budget, process, link_rates)
    blocks, cores_on_die, cache, spare, base_area = _placed(budget, parts)
    cores = max(1, floor(cores_on_die * (budget.enabled or parts.blocks.enabled.value) + SLACK))
    clock = parts.core.clock.value * parts.node.speed.value * GIGA
    peaks = _peaks(parts, cores, clock, budget.year)
    sixteen = 2.0 * cores * parts.width * clock
    bandwidth = budget.stacks * parts.stack.rate.value * GIGA
    rate, reached = sixteen * generation.achievable["bf16"], bandwidth * generation.memory_achievable
    power = power_of(parts, parts.area + base_area, reached, rate, budget.power_w, sustained)
    if power.sustained < LEAST_CLOCK:
        raise InputError(_too_hot(budget, power))
    edge_have = (
        perimeter(base_area, base_dies(parts, base_area)) if parts.stacked else perimeter(parts.area, parts.dies)
    )
    return ChipDesign(
        budget=budget,
        parts=parts,
        blocks=(*blocks, Block("spare", max(0.0, spare))),
        base_area=base_area,
        cores_on_die=cores_on_die,
        cores=cores,
        clock_hz=clock,
        peak=sixteen,
        peaks=peaks,
        bandwidth=bandwidth,
        capacity_bytes=budget.stacks * parts.stack.capacity.value * GIGA,
        cache_bytes=float(floor(cache / parts.cache * MIB)),
        power=power,
        cost=cost_of(parts, cores_on_die * parts.core_area, cores_on_die - cores, base_area, budget.stacks),
        edge_need=edge_need(parts, budget.stacks),
        edge_have=edge_have,
    )


def _placed(budget: ChipBudget, parts: Parts) -> tuple[tuple[Block, ...], int, float, float, float]:
    """Blocks, cores on the die, mm² of cache, spare mm², mm² of the base dies; InputError with what does not fit."""
    below = tuple(Block(name, area, parts.stacked) for name, area in fixed_areas(parts, budget.stacks))
    on_die = parts.area - sum(block.area for block in below if not block.below)
    cores, cache = _divided(budget, parts, on_die)
    blocks = (*_core_blocks(parts, cores), Block("last-level cache", cache, parts.stacked), *below)
    spare = parts.area - sum(block.area for block in blocks if not block.below)
    base_area = max(parts.area, sum(b.area for b in blocks if b.below)) if parts.stacked else 0.0
    wrong = list(_too_large(budget, parts, blocks, cores, spare, base_area))
    if wrong:
        raise InputError(*wrong)
    return blocks, cores, cache, spare, base_area


def _unknown(budget: ChipBudget, process: Process, link_rates: Mapping[str, float]) -> Iterator[Problem]:
    """Names of the budget that no record has."""
    named = (
        ("node", budget.node, process.nodes),
        ("io_node", budget.io_node, process.nodes),
        ("memory", budget.memory, process.stacks),
        ("core", budget.core, process.cores),
        *((f"links.{i}", name, link_rates) for i, name in enumerate(budget.links)),
    )
    for path, name, known in named:
        if name and name not in known:
            yield problem(path, "is not known", name, did_you_mean(name, known) or f"one of {', '.join(known)}")


def _divided(budget: ChipBudget, parts: Parts, on_die: float) -> tuple[int, float]:
    """(cores on the compute dies, mm² of last-level cache)."""
    share, cores_area = budget.cache_share, None
    if budget.matrix_share is not None:
        cores_area = floor(budget.matrix_share * parts.area / parts.matrix + SLACK) * parts.core_area
    if share is None and (cores_area is None or parts.stacked):
        share = parts.blocks.cache_share.value
    if share is None and cores_area is not None:
        return floor(cores_area / parts.core_area + 0.5), max(0.0, on_die - cores_area)
    cache = (share or 0.0) * parts.area
    left = on_die - (0.0 if parts.stacked else cache)
    return max(0, floor((left if cores_area is None else cores_area) / parts.core_area + SLACK)), cache


def _core_blocks(parts: Parts, cores: int) -> Iterator[Block]:
    yield Block("matrix units", cores * parts.matrix)
    yield Block("control and vector lanes", cores * parts.control)
    yield Block("registers and first level", cores * parts.local)


def _too_large(
    budget: ChipBudget, parts: Parts, blocks: tuple[Block, ...], cores: int, spare: float, base_area: float
) -> Iterator[Problem]:
    """What does not fit: area, reticle, edge, interposer."""
    if cores < 1 or spare < -SLACK * parts.area:
        takes = ", ".join(f"{b.name} {b.area:.0f}" for b in blocks if not b.below and b.area >= 0.5)
        need = parts.area - min(spare, 0.0) + (parts.core_area if cores < 1 else 0.0)
        rule = f"does not hold its blocks, which take {need:.0f} mm2 ({takes})"
        hint = "a smaller matrix_share or cache_share, fewer stacks or links, a newer node, io_node for dies below"
        yield problem("area", rule, f"{parts.area:.0f} mm2", hint)
    each = parts.area / parts.dies
    if each > parts.blocks.reticle.value * (1.0 + SLACK):
        rule = f"makes dies of {each:.0f} mm2, the reticle ends at {parts.blocks.reticle.value:g} mm2"
        yield problem("dies", rule, parts.dies, "more dies")
    have = perimeter(base_area, base_dies(parts, base_area)) if parts.stacked else perimeter(parts.area, parts.dies)
    need = edge_need(parts, budget.stacks)
    if need > have:
        rule = f"need {need:.0f} mm of edge with the {parts.lanes} lanes beside them, the dies have {have:.0f} mm"
        yield problem("stacks", rule, budget.stacks, "fewer stacks or links, more dies or area, io_node for dies below")
    package, most = package_area(parts, base_area, budget.stacks), parts.blocks.interposer.value
    if package > most * parts.blocks.reticle.value:
        rule = f"make a package of {package:.0f} mm2, interposers end at {most * parts.blocks.reticle.value:.0f} mm2"
        yield problem("stacks", rule, budget.stacks, "fewer stacks or a smaller area")


def _too_hot(budget: ChipBudget, power: PowerSplit) -> Problem:
    """Nothing left for arithmetic."""
    least = power.idle_w + power.memory_w + LEAST_CLOCK * power.full_w
    rule = (
        f"leaves {power.compute_w:.0f} W for arithmetic beside {power.idle_w:.0f} W at rest "
        f"and {power.memory_w:.0f} W of memory"
    )
    hint = f"at least {least:.0f} W, fewer stacks, a smaller area or a newer node"
    return problem("power_w", rule, f"{budget.power_w:g} W", hint)


def _peaks(parts: Parts, cores: int, clock: float, year: float) -> dict[Format, float]:
    """Dense FLOP/s by format: two a multiply-add."""
    peak, core = 2.0 * cores * parts.width * clock, parts.core
    found: dict[Format, float] = {"fp32": 2.0 * cores * core.lanes * clock}
    return found | {name: share * peak for name, share in core.rates.items() if core.since.get(name, 0) <= year}
