"""An accelerator file that states a budget instead of a chip: the chip it buys takes its place at the border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from functools import partial
from typing import Any, Final

from sim.device.records import Accelerator
from sim.device.silicon import ChipBudget, ChipDesign, Process, design
from sim.device.silicon.band import Band, bands
from sim.errors import InputError, Problem
from sim.fields import Confidence, Record, Status, about, same_as, short_name
from sim.files.accelerator_file import (
    AcceleratorFile,
    CacheGroup,
    ComputeGroup,
    FormatGroup,
    LinksGroup,
    MatrixGroup,
    MemoryGroup,
    PowerGroup,
    PriceGroup,
    ReliabilityGroup,
    Unit,
)
from sim.files.clusters import load_links
from sim.files.fields import at_deepest, read
from sim.files.generations import list_generations, load_generation
from sim.files.loader import Mark, Node
from sim.files.merge import ACCELERATOR, override
from sim.files.process import load_process
from sim.network.records import Cluster
from sim.records import dataclass

SOURCE: Final = "from a budget (foretrain hardware new)"


@dataclass(frozen=True, slots=True)
class BudgetFile(Record):
    """A chip that is still to be made: its name, its budget, and whose constants fill what no budget decides."""

    name: str = field(metadata=same_as(AcceleratorFile, "name"))
    budget: ChipBudget = field(metadata=about("what it may take, and how that is divided"))
    generation: str = field(
        default="",
        metadata=about("whose calibrated constants fill what is left out; empty: those of its kind of core")
        | {"choices": lambda: ("", *list_generations())},
    )
    reliability: ReliabilityGroup | None = field(default=None, metadata=same_as(AcceleratorFile, "reliability"))


def read_file(node: Node, path: str = "") -> AcceleratorFile:
    """An accelerator file as it stands, or the one its budget buys."""
    return read(AcceleratorFile, node, path) if node.at("budget") is None else read_budget(node, path)


def read_budget(node: Node, path: str = "") -> AcceleratorFile:
    """The accelerator file a budget stands for; what does not fit is told at the line that states it."""
    keys = node.value if isinstance(node.value, dict) else {}
    decided = [
        key for key in keys if key in ("compute", "memory", "cache", "links", "power", "price", "date", "status")
    ]
    if decided:
        hint = "a chip with a `budget` and a `name` of its own stands alone"
        raise InputError(
            *(keys[k].problem("is decided by the budget", f"{path}.{k}".strip("."), hint=hint) for k in decided)
        )
    file = read(BudgetFile, node, path)
    try:
        return accelerator_of(file, chip_of(file))
    except InputError as error:
        there = node.at("budget") or node
        found = (at_deepest(there, _called(problem, there), f"{path}.budget".strip(".")) for problem in error.problems)
        raise InputError(*found) from None


def _called(problem: Problem, budget: Node) -> Problem:
    """A problem of a field under the name its line has, with or without the unit."""
    short = short_name(problem.path)
    return replace(problem, path=short) if short and budget.at(short) is not None else problem


def lanes_missing(root: Node, cluster: Cluster | None, chip: Accelerator | None) -> list[Problem]:
    """Links of a scenario's cluster that the budget of its chip pays no lanes for."""
    there = root.at(*ACCELERATOR, "budget")
    if there is None or cluster is None or chip is None:
        return []
    own = load_process().blocks.on_chip
    used = dict.fromkeys([*(level.link.name for level in cluster.levels), *(edge.link for edge in cluster.edges)])
    missing = [name for name in used if name.startswith(own) and name not in chip.links]
    if not missing:
        return []
    rule = f"has no lanes for {' and '.join(missing)}, which the cluster joins its devices with"
    stated = there.at("links") or there
    return [stated.problem(rule, ".".join((*ACCELERATOR, "budget", "links")), hint=f"links: [{', '.join(missing)}]")]


def chip_of(file: BudgetFile, sustained: float | None = None) -> ChipDesign:
    """The chip a budget buys."""
    return _designed(file, file.budget, load_process(), sustained)


def bands_of(file: BudgetFile, sustained: float | None = None) -> tuple[Band, ...]:
    """How far the ranges of the coefficients move that chip."""
    return bands(chip_of(file, sustained), load_process(), partial(_designed, file, sustained=sustained))


def _designed(file: BudgetFile, budget: ChipBudget, process: Process, sustained: float | None = None) -> ChipDesign:
    rates = {name: link.bandwidth for name, link in load_links().items()}
    return design(budget, process, rates, load_generation(generation_of(file)), sustained)


def budget_of_texts(name: str, stated: Sequence[str]) -> BudgetFile:
    """A budget from `FIELD=VALUE` texts, as a file or `--set` would state them; problems name fields and no file."""
    root = Node({"name": Node(name, Mark("name")), "budget": Node({}, Mark("budget"))}, Mark("budget"))
    problems: list[Problem] = []
    stated_over = override(root, [f"budget.{text}" for text in stated], problems)
    try:
        if problems:
            raise InputError(*problems)
        return read(BudgetFile, stated_over)
    except InputError as error:
        raise InputError(*(replace(problem, file="") for problem in error.problems)) from None


def generation_of(file: BudgetFile) -> str:
    """Whose constants fill what no budget decides."""
    cores = load_process().cores
    return file.generation or (cores[file.budget.core].generation if file.budget.core in cores else "hypothetical")


def accelerator_of(file: BudgetFile, made: ChipDesign) -> AcceleratorFile:
    """The chip as an accelerator file says one."""
    budget, power, year = file.budget, made.power, int(file.budget.year)
    units = {name: Unit.VECTOR if name == "fp32" else Unit.MATRIX for name in made.peaks}
    formats = {name: FormatGroup(peak, unit=units[name]) for name, peak in made.peaks.items()}
    memory = budget.memory or _memory_name(made)
    whole = AcceleratorFile(
        name=file.name,
        compute=ComputeGroup(formats, matrix_unit=MatrixGroup(made.cores), sustained=power.sustained),
        memory=MemoryGroup(made.capacity_bytes, made.bandwidth, memory, exact=True),
        cache=CacheGroup(made.cache_bytes),
        status=Status.HYPOTHETICAL,
        date=f"{year}-{int((budget.year - year) * 12) + 1:02d}",
        generation=generation_of(file),
        links=LinksGroup(budget.links),
        power=PowerGroup(
            power.total_w, idle=power.idle_w, arithmetic=power.compute_w, dram=power.dram_byte_j, link=power.link_byte_j
        ),
        price=PriceGroup(made.cost.total * budget.margin),
        reliability=file.reliability,
    )
    sourced: dict[str, Any] = {
        name: replace(getattr(whole, name), source=f"{SOURCE}: {text}", confidence=Confidence.D)
        for name, text in _sources(made).items()
    }
    return replace(whole, **sourced)


def _sources(made: ChipDesign) -> dict[str, str]:
    """What each group rests on most."""
    core, node, stack, blocks = made.parts.core, made.parts.node, made.parts.stack, made.parts.blocks
    figures = {
        "compute": (core.fma, core.delivery, node.logic, node.speed),
        "memory": (stack.rate, stack.capacity),
        "cache": (core.cache, node.sram),
        "links": (blocks.serdes_area,),
        "power": (core.energy, node.energy, stack.energy, blocks.idle),
        "price": (node.wafer, node.defects, stack.price, blocks.package, blocks.test),
    }
    return {group: "; ".join(dict.fromkeys(figure.source for figure in found)) for group, found in figures.items()}


def _memory_name(made: ChipDesign) -> str:
    return next(name for name, stack in load_process().stacks.items() if stack is made.parts.stack)
