"""A model's footprint in the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sim.report.tables import Cell, Column, Table
from sim.report.text import duration, si, three
from sim.study.footprint import ModelFootprint, Variant


def footprint_json(found: ModelFootprint) -> dict[str, Any]:
    """Every variant and the training cost; what a chip cannot run is null with a note."""
    return {
        "model": found.model,
        "accelerator": found.accelerator,
        "batch": found.batch,
        "decode_context": found.decode,
        "variants": [_variant(v) for v in found.variants],
        "training": None if found.training is None else asdict(found.training),
        "training_reason": found.no_training or None,
        "queries_to_equal_training": found.queries_to_equal_training,
    }


def _variant(v: Variant) -> dict[str, Any]:
    return {
        "name": v.name,
        "format": v.format,
        "parameters": v.parameters,
        "disk_bytes": v.disk_bytes,
        "memory_bytes": v.memory_bytes,
        "batch": v.batch,
        "fits": v.fits,
        "latency_s": v.latency_s,
        "throughput_per_s": v.throughput_per_s,
        "energy_per_query_j": v.energy_j,
        "cost_per_query_usd": v.cost_usd,
        "quality": None if v.quality is None else asdict(v.quality) | {"relative": v.quality.relative},
        "best": v.best,
        "note": v.note,
    }


def footprint_text(found: ModelFootprint) -> str:
    """Variants as rows, then what training took."""
    query = "one forward pass over one sample" if found.decode is None else f"one token more, after {found.decode:,}"
    lines = [
        f"{found.model} on {found.accelerator}: a query is {query}; latency is that of one "
        f"query, memory, queries/s, energy and cost those of {found.batch} at once, or of as many as fit",
        "",
        as_table(found).text(),
        "",
        f"training: {_training(found)}",
    ]
    queries = found.queries_to_equal_training
    if queries is not None:
        lines.append(f"as much energy as {si(queries)} queries of the 16-bit variant")
    return "\n".join(lines)


def _training(found: ModelFootprint) -> str:
    training = found.training
    if training is None:
        return f"none, {found.no_training}"
    return (
        f"{si(training.samples)} samples, {si(training.flops, 'FLOP')}, {duration(training.device_s)} of one device"
        + (f", {three(training.energy_j / 3.6e6)} kWh" if training.energy_j is not None else "")
        + (f", {three(training.cost_usd)} USD" if training.cost_usd is not None else "")
    )


COLUMNS: Final = (
    Column("variant"),
    Column("weights"),
    Column("parameters", "si"),
    Column("on disk", "si", "B"),
    Column("batch", "count"),
    Column("memory", "si", "B"),
    Column("latency", "seconds"),
    Column("queries/s", "number"),
    Column("energy/query", "si", "J"),
    Column("cost/query", "si", "USD"),
    Column("quality"),
    Column("frontier"),
    Column("note"),
)


def as_table(found: ModelFootprint) -> Table:
    """A row per variant; what the chip cannot run has no times."""
    return Table(COLUMNS, tuple(map(_cells, found.variants)))


def _cells(v: Variant) -> tuple[Cell, ...]:
    note = v.note if v.fits else f"{v.note}; does not fit".lstrip("; ")
    sizes = (v.parameters, v.disk_bytes, v.batch, v.memory_bytes)
    q = v.quality
    quality = None if q is None else f"{q.value:g} of {q.baseline:g} {q.metric}"
    frontier = None if v.best is None else "yes" if v.best else "no"
    rates = (v.latency_s, v.throughput_per_s, v.energy_j, v.cost_usd)
    return (v.name, v.format, *sizes, *rates, quality, frontier, note or None)
