"""What is known of making chips: process nodes, memory stacks, kinds of cores and what stands beside them.

Areas are in mm², edges in mm, capacities of memories on the chip in MiB, as their sources print them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from sim.errors import Problem
from sim.fields import FILLED, Confidence, Record, about, problem
from sim.ops import Format
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Figure(Record):
    """A coefficient, the range its sources span, and where it comes from."""

    value: float = field(metadata=about("what the model takes", ge=0))
    low: float = field(metadata=about("least of the sources", ge=0))
    high: float = field(metadata=about("most of the sources", ge=0))
    source: str = field(metadata=about("publication, measurement, or `recalled`, `assumed`", pattern=FILLED))
    confidence: Confidence = field(metadata=about("A vendor or measured … D recalled or assumed"))

    def contradictions(self) -> Iterator[Problem]:
        if not self.low <= self.value <= self.high:
            yield problem("value", f"must lie in the range of its sources, {self.low:g} to {self.high:g}", self.value)


@dataclass(frozen=True, slots=True)
class Node(Record):
    """A process node; ratios are to N7."""

    year: float = field(metadata=about("first volume production"))
    logic: Figure = field(metadata=about("transistors of logic", "million/mm²"))
    sram: Figure = field(metadata=about("area of a memory cell", "µm²"))
    energy: Figure = field(metadata=about("of a switched operation, relative to N7"))
    speed: Figure = field(metadata=about("clock at the same power, relative to N7"))
    wafer: Figure = field(metadata=about("price of a 300 mm wafer", "USD"))
    defects: Figure = field(metadata=about("defects", "per cm²"))


@dataclass(frozen=True, slots=True)
class Stack(Record):
    """A generation of stacked memory: figures of one stack."""

    year: float = field(metadata=about("first chips"))
    rate: Figure = field(metadata=about("as shipped chips run it", "GB/s"))
    capacity: Figure = field(metadata=about("capacity", "GB"))
    energy: Figure = field(metadata=about("of the stack", "pJ/bit"))
    area: Figure = field(metadata=about("PHY and controller on the chip", "mm²"))
    edge: Figure = field(metadata=about("of the die its PHY takes", "mm"))
    price: Figure = field(metadata=about("price", "USD/GB"))


@dataclass(frozen=True, slots=True)
class Core(Record):
    """A kind of core: areas at N7, and what it takes and gives."""

    generation: str = field(metadata=about("whose measured constants a chip of such cores takes"))
    width: int = field(metadata=about("16-bit multiply-adds of a core a clock", ge=1))
    lanes: int = field(metadata=about("fp32 multiply-adds of its vector unit a clock", ge=1))
    local_mib: float = field(metadata=about("registers, shared memory, first-level cache of a core", "MiB", gt=0))
    rates: Mapping[Format, float] = field(metadata=about("rate of a format, relative to 16 bits", gt=0))
    since: Mapping[Format, int] = field(metadata=about("year of the first chip with a format; others always", ge=1990))
    fma: Figure = field(metadata=about("a 16-bit multiply-add a clock", "µm²"))
    delivery: Figure = field(metadata=about("what feeds one", "µm²"))
    control: Figure = field(metadata=about("of a core, whatever its width", "mm²"))
    local: Figure = field(metadata=about("registers, shared memory, first-level cache", "mm²/MiB"))
    cache: Figure = field(metadata=about("last-level cache, tags and slices included", "mm²/MiB"))
    fabric: Figure = field(metadata=about("share of the die for crossbars"))
    energy: Figure = field(metadata=about("of a FLOP in a large 16-bit product at N7", "pJ"))
    clock: Figure = field(metadata=about("at N7", "GHz"))


@dataclass(frozen=True, slots=True)
class Blocks(Record):
    """What every chip has beside its cores, and what makes it a package."""

    reticle: Figure = field(metadata=about("largest die", "mm²"))
    other: Figure = field(metadata=about("share of the die for host, clocks, seal ring, test"))
    phy_energy: Figure = field(metadata=about("of a memory PHY", "pJ/bit"))
    serdes_area: Figure = field(metadata=about("a lane of a link", "mm²"))
    serdes_edge: Figure = field(metadata=about("a lane of a link", "mm"))
    serdes_energy: Figure = field(metadata=about("a lane of a link", "pJ/bit"))
    die_area: Figure = field(metadata=about("what joins a die to the next", "mm²"))
    die_edge: Figure = field(metadata=about("what joins a die to the next", "mm"))
    idle: Figure = field(metadata=about("power at rest, leakage and clocks", "W/mm²"))
    enabled: Figure = field(metadata=about("share of the cores that is sold"))
    sustained: Figure = field(metadata=about("most of the clock a long product keeps"))
    cache_share: Figure = field(metadata=about("of the die, where nothing else is known"))
    alpha: Figure = field(metadata=about("clustering of defects"))
    package: Figure = field(metadata=about("interposer and assembly", "USD/mm²"))
    test: Figure = field(metadata=about("test of a package", "USD"))
    stack_footprint: Figure = field(metadata=about("of a memory stack beside the die", "mm²"))
    interposer: Figure = field(metadata=about("largest interposer", "reticles"))
    lane_rates: Mapping[str, float] = field(metadata=about("rate of a lane by the year it came", "Gb/s", gt=0))
    on_chip: tuple[str, ...] = field(metadata=about("how types of links begin whose lanes are on the chip"))


@dataclass(frozen=True, slots=True)
class Process(Record):
    """All of it, by name."""

    nodes: Mapping[str, Node] = field(metadata=about("process nodes"))
    stacks: Mapping[str, Stack] = field(metadata=about("generations of stacked memory"))
    cores: Mapping[str, Core] = field(metadata=about("kinds of cores"))
    blocks: Blocks = field(metadata=about("what stands beside them"))
