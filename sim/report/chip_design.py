"""The balance of a chip made from a budget: where its area, edge, power and cost go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from sim.device.silicon import ChipDesign
from sim.device.silicon.band import Band
from sim.report.tables import Column, Table
from sim.report.text import percent, si, size_text, three

UNITS: Final = {"peak": "FLOP/s", "bandwidth": "B/s", "power": "W", "cost": "USD"}


def render(made: ChipDesign, bands: Sequence[Band] = ()) -> str:
    """What it is, how sure that is, then where area, power and cost go."""
    parts = ["\n".join(chip_lines(made)), band_table(bands).text() if bands else "", area_table(made).text()]
    return "\n\n".join(filter(None, [*parts, power_table(made).text(), _cost(made)]))


def band_table(bands: Sequence[Band]) -> Table:
    """What the ranges of the coefficients do to the chip."""
    columns = (Column("figure"), Column("value"), Column("what the ranges of the coefficients leave open"))
    rows = (
        (b.name, si(b.value, UNITS[b.name]), f"{si(b.low, UNITS[b.name])} .. {si(b.high, UNITS[b.name])}")
        for b in bands
    )
    return Table(columns, tuple(rows))


def chip_lines(made: ChipDesign) -> Iterator[str]:
    """What it computes, keeps, draws and is made of, a sentence each."""
    parts, power, clock = made.parts, made.power, f"{made.clock_hz / 1e9:.2f} GHz"
    cores = f"{made.cores} of {made.cores_on_die} cores of {parts.width:,} FMA at {clock}"
    yield f"{si(made.peak, 'FLOP/s')} dense 16-bit: {cores}"
    stacks = f"{three(made.capacity_bytes / 1e9)} GB in {made.budget.stacks} stacks"
    yield f"{si(made.bandwidth, 'B/s')}, {stacks}, {size_text(made.cache_bytes)} last-level cache"
    drawn = f"{power.total_w:.0f} W of {made.budget.power_w:.0f} W"
    yield f"{drawn}: long products keep {percent(power.sustained)} of the clock"
    dies = f"{parts.dies} compute die{'s' if parts.dies > 1 else ''} of {parts.area / parts.dies:.0f} mm2"
    yield f"{dies}, edge {made.edge_need:.0f} of {made.edge_have:.0f} mm taken"


def _cost(made: ChipDesign) -> str:
    return f"{cost_table(made).text()}\n{percent(made.cost.good)} of the compute dies can be sold"


def area_table(made: ChipDesign) -> Table:
    """Blocks of the dies."""
    columns = (Column("area"), Column("mm2", "number"), Column("share", "share"), Column(""))
    rows = (
        (b.name, round(b.area, 1), b.area / made.parts.area, "on the dies below" if b.below else None)
        for b in made.blocks
    )
    return Table(columns, tuple(rows))


def power_table(made: ChipDesign) -> Table:
    """Power of a large product; links beside it."""
    power = made.power
    rows = (
        ("at rest", power.idle_w, "leakage and clocks of all dies"),
        ("memory", power.memory_w, f"{power.dram_byte_j * 1e12 / 8:.3g} pJ/bit at the bandwidth reached"),
        ("arithmetic", power.compute_w, f"{power.flop_j * 1e12:.3g} pJ/FLOP of 16 bits, on-chip movement included"),
        ("links, beside it", power.links_w, f"{power.link_byte_j * 1e12 / 8:.3g} pJ/bit where all lanes send"),
    )
    columns = (Column("power"), Column("W", "number"), Column("share", "share"), Column(""))
    return Table(columns, tuple((name, round(w, 1), w / power.total_w, note) for name, w, note in rows))


def cost_table(made: ChipDesign) -> Table:
    """What a package costs to make."""
    cost = made.cost
    pairs = (
        ("dies", cost.dies),
        ("memory", cost.memory),
        ("interposer and assembly", cost.package),
        ("test", cost.test),
    )
    rows = tuple((name, round(usd)) for name, usd in (*pairs, ("cost of making", cost.total)))
    return Table((Column("cost"), Column("USD", "count")), rows)


def to_json(made: ChipDesign, bands: Sequence[Band] = ()) -> dict[str, Any]:
    """Every figure: areas in mm², edges in mm, the rest SI."""
    power, cost = made.power, made.cost
    return {
        "schema_version": 1,
        "peak_flops": dict(made.peaks),
        "bands": {b.name: {"low": b.low, "high": b.high} for b in bands},
        "cores_on_die": made.cores_on_die,
        "cores": made.cores,
        "clock_hz": made.clock_hz,
        "bandwidth_bytes_per_s": made.bandwidth,
        "capacity_bytes": made.capacity_bytes,
        "cache_bytes": made.cache_bytes,
        "area_mm2": {block.name: block.area for block in made.blocks},
        "edge_mm": {"need": made.edge_need, "have": made.edge_have},
        "power": {**asdict(power), "total_w": power.total_w},
        "cost_usd": {**asdict(cost), "total": cost.total},
    }
