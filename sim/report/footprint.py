"""A model's footprint in the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.report.text import duration, si, table, three
from sim.study.footprint import ModelFootprint, Variant


def footprint_json(found: ModelFootprint) -> dict[str, Any]:
    """Every variant and the training cost; what a chip cannot run is null with a note."""
    return {
        "model": found.model,
        "accelerator": found.accelerator,
        "batch": found.batch,
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
        "note": v.note,
    }


def footprint_text(found: ModelFootprint) -> str:
    """Variants as rows, then what training took."""
    head = ["variant", "weights", "parameters", "on disk", "batch", "memory", "latency", "queries/s"]
    rows = [_cells(v) for v in found.variants]
    lines = [
        f"{found.model} on {found.accelerator}: a query is one forward pass over one sample; latency is that of one "
        f"query, memory, queries/s and energy those of {found.batch} at once, or of as many as fit",
        "",
        table([*head, "energy/query", ""], rows, left=2),
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
        + (f", {three(training.written_off_usd)} USD written off" if training.written_off_usd is not None else "")
    )


def _cells(v: Variant) -> list[str]:
    times = ["-", "-"]
    if v.latency_s is not None and v.throughput_per_s is not None:
        times = [duration(v.latency_s), three(v.throughput_per_s)]
    energy = si_energy(v.energy_j) if v.energy_j is not None else "-"
    memory = f"{si(v.memory_bytes, 'B')}{'' if v.fits else ' (too much)'}"
    return [v.name, v.format, si(v.parameters), si(v.disk_bytes, "B"), str(v.batch), memory, *times, energy, v.note]


def si_energy(joules: float) -> str:
    """Joules, or millijoules below one."""
    return si(joules, "J") if joules >= 1.0 else f"{three(joules * 1e3)} mJ"
