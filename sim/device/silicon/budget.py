"""The budget of a chip that is still to be made, as its maker states it."""

from __future__ import annotations

from dataclasses import field

from sim.fields import Record, about
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class ChipBudget(Record):
    """Area, power and stacks of memory, and how the area is divided. Of `matrix_share` and `cache_share` one that is
    left empty takes what the rest leaves; with both empty the cache has the usual share.
    """

    area: float = field(metadata=about("of all compute dies together", dimension="area", gt=0))
    power_w: float = field(
        metadata=about("of the board; the clock of long products gives way", dimension="watts", gt=0)
    )
    stacks: int = field(metadata=about("stacks of memory", ge=1, le=64))
    year: float = field(
        default=2026.0, metadata=about("when it ships: what node, memory and lanes there are", ge=2016, le=2035)
    )
    node: str = field(default="", metadata=about("process node; empty: the newest that is two years old"))
    memory: str = field(default="", metadata=about("generation of memory; empty: the newest"))
    core: str = field(default="simt", metadata=about("kind of core: simt or systolic"))
    matrix_share: float | None = field(
        default=None, metadata=about("of the area for matrix units; empty: what is left", gt=0, lt=1)
    )
    cache_share: float | None = field(
        default=None,
        metadata=about(
            "of the area for last-level cache (below it with `io_node`); empty: what is left, or the usual", ge=0, le=4
        ),
    )
    width: int | None = field(
        default=None, metadata=about("16-bit multiply-adds of a core a clock; empty: the kind's", ge=16, le=2**20)
    )
    local_bytes: float | None = field(
        default=None, metadata=about("registers and first-level memory of a core; empty: the kind's", gt=0)
    )
    dies: int | None = field(
        default=None, metadata=about("compute dies; empty: as few as the reticle allows", ge=1, le=64)
    )
    io_node: str = field(
        default="", metadata=about("node of dies below that carry memory, links, fabric and cache; empty: none")
    )
    enabled: float | None = field(
        default=None, metadata=about("share of the cores that is sold; empty: the usual", gt=0, le=1)
    )
    links: tuple[str, ...] = field(default=(), metadata=about("types of links it carries"))
    margin: float = field(default=1.0, metadata=about("price over the cost of making", ge=1, le=1000))
