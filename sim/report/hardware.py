"""Accelerators and clusters in the terminal and as JSON: the catalogue, and one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any, Final

from sim.device.generation import Evidence
from sim.device.records import Accelerator
from sim.files.generations import load_generation
from sim.files.hardware import AcceleratorFile, build_accelerator
from sim.network.records import Cluster, Level, LinkType, Optical
from sim.report.tables import Column, Table
from sim.report.text import duration, percent, si, table, three

SIXTEEN: Final = ("bf16", "fp16")


def accelerator_row(file: AcceleratorFile) -> dict[str, Any]:
    """One line of the catalogue; SI numbers with the unit in the key."""
    formats = file.compute.formats
    return {
        "name": file.name,
        "vendor": file.vendor,
        "status": file.status,
        "date": file.date,
        "formats": list(formats),
        "peak_fp32_flops": formats["fp32"].peak if "fp32" in formats else None,
        "peak_16bit_flops": max((formats[f].peak for f in SIXTEEN if f in formats), default=None),
        "memory_type": file.memory.type,
        "memory_capacity_bytes": file.memory.capacity,
        "memory_bandwidth_bytes_per_s": file.memory.bandwidth,
        "power_w": file.power.peak if file.power else None,
        "price_usd": file.price.purchase if file.price else None,
        "confidence": file.compute.confidence,
    }


def cluster_row(cluster: Cluster) -> dict[str, Any]:
    """One line of the list of clusters."""
    return {
        "name": cluster.name,
        "accelerator": cluster.accelerator,
        "devices": cluster.devices,
        "levels": [_level(level) for level in cluster.levels],
        "edges": len(cluster.edges),
        "optical": _optical(cluster.optical),
        "status": cluster.status,
        "source": cluster.source,
        "confidence": cluster.confidence,
    }


def _optical(optical: Optical | None) -> dict[str, Any] | None:
    if optical is None:
        return None
    return {
        "block": list(optical.block),
        "reconfigure_s": optical.reconfigure_s,
        "source": optical.source,
        "confidence": optical.confidence,
    }


def _level(level: Level) -> dict[str, Any]:
    return {
        "name": level.name,
        "topology": level.topology,
        "sizes": list(level.sizes),
        "link": level.link.name,
        "bandwidth_bytes_per_s": level.link.bandwidth,
        "nics": level.nics,
        "oversubscription": level.oversubscription,
    }


def catalogue_text(accelerators: Sequence[Mapping[str, Any]], clusters: Sequence[Mapping[str, Any]]) -> str:
    """Both lists as tables."""
    return "\n\n".join(t.text() for t in (accelerators_table(accelerators), clusters_table(clusters)) if t.rows)


def accelerators_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row per chip."""
    texts = (Column("accelerator"), Column("status"), Column("date"))
    peaks = (Column("fp32", "si", "FLOP/s"), Column("16-bit", "si", "FLOP/s"), Column("memory", "bytes"))
    keys = ("peak_fp32_flops", "peak_16bit_flops", "memory_capacity_bytes", "memory_bandwidth_bytes_per_s", "power_w")
    cells = ((r["name"], str(r["status"]), str(r["date"])[:7], *(r[key] for key in keys)) for r in rows)
    return Table((*texts, *peaks, Column("bandwidth", "si", "B/s"), Column("power", "si", "W")), tuple(cells))


def clusters_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row per cluster."""
    columns = (Column("cluster"), Column("accelerator"), Column("levels, innermost first"), Column("devices", "count"))
    return Table(columns, tuple((r["name"], r["accelerator"], _shape(r), r["devices"]) for r in rows))


LINKS = (
    Column("link"),
    Column("bandwidth", "si", "B/s"),
    Column("latency", "seconds"),
    Column("reached", "share"),
    Column("collective", "seconds"),
    Column("compute taken", "share"),
    Column("adds up"),
    Column(""),
    Column("source"),
)


def links_table(links: Sequence[LinkType]) -> Table:
    """A row per link type: per device and direction; latency of a hop; software cost of launching a collective."""
    rows = (
        (
            link.name,
            link.bandwidth,
            link.latency_s,
            link.efficiency,
            link.base_s,
            link.compute_share or None,
            "in the switch" if link.in_network_reduction else None,
            str(link.confidence),
            link.source,
        )
        for link in links
    )
    return Table(LINKS, tuple(rows))


def links_text(links: Sequence[LinkType]) -> str:
    """The table, and what its columns are."""
    notes = (
        "bandwidth: of one device in one direction, of one card for networks; latency: of a hop; reached: payload",
        "collective: software cost of launching one; sources: A vendor or measured, B secondary, C derived, D recalled",
    )
    return "\n".join([links_table(links).text(), "", *notes])


def links_json(links: Sequence[LinkType]) -> dict[str, Any]:
    """`links`: every field of each type."""
    return {"schema_version": 1, "links": [asdict(link) for link in links]}


def _shape(row: Mapping[str, Any]) -> str:
    if not row["levels"]:
        return f"graph of {row['edges']} directed links"
    return ", ".join(f"{'x'.join(map(str, v['sizes']))} {v['topology']} {v['link']}" for v in row["levels"])


def _or_dash(value: float | None, unit: str) -> str:
    return "-" if value is None else si(value, unit)


def _gib(value: float) -> str:
    return f"{three(value / 2**30)} GiB"


def accelerator_json(file: AcceleratorFile) -> dict[str, Any]:
    """One chip with every figure and its sources."""
    chip = build_accelerator(file)
    return accelerator_row(file) | {
        "generation": load_generation(file.generation).name,
        "compute": {
            name: {"peak_flops": c.peak_flops, "achievable": c.achievable, "matrix": c.matrix}
            for name, c in chip.compute.items()
        },
        "other_peaks": other_peaks(chip),
        "matrix_units": chip.matrix_unit.units if chip.matrix_unit else None,
        "kernel_overhead_s": chip.kernel_overhead_s,
        "rate_error": chip.rate_error or None,
        "memory_achievable": chip.memory.achievable,
        "memory_reserve_bytes": chip.memory.reserve_bytes,
        "memory_tiers": [
            {"name": tier.name, "bandwidth_bytes_per_s": tier.bandwidth, "capacity_bytes": tier.capacity_bytes}
            for tier in chip.memory.tiers
        ],
        "memory_near": chip.memory.near,
        "memory_near_energy": chip.memory.near_energy,
        "cache_capacity_bytes": chip.cache.capacity_bytes,
        "cache_bandwidth_bytes_per_s": chip.cache.bandwidth,
        "links": list(chip.links),
        "sparsity": chip.sparsity,
        "zero_skipping": chip.zero_skipping,
        "mtbf_s": chip.mtbf_s,
        "energy_j_per_flop": dict(chip.power.flop_j) if chip.power else None,
        "energy_j_per_memory_byte": chip.power.dram_byte_j if chip.power else None,
        "sources": {name: {"text": s.text, "confidence": s.confidence} for name, s in chip.sources.items()},
        "inherited": {name: asdict(evidence) for name, evidence in _inherited(file).items()},
    }


def other_peaks(chip: Accelerator, devices: int = 1) -> dict[str, Any]:
    """By format, what another source says so many devices have, and how far it is from what counts here."""
    return {
        name: {
            "peak_flops": devices * c.other.peak,
            "difference": c.other.peak / c.peak_flops - 1.0,
            "source": c.other.source,
        }
        for name, c in chip.compute.items()
        if c.other is not None
    }


def other_peaks_text(chip: Accelerator, devices: int = 1) -> list[str]:
    """A line for each."""
    return [
        f"by another source {name} {si(other['peak_flops'], 'FLOP/s')} ({100 * other['difference']:+.1f} %): "
        f"{other['source']}"
        for name, other in other_peaks(chip, devices).items()
    ]


def _inherited(file: AcceleratorFile) -> Mapping[str, Evidence]:
    """Evidence of the constants the file leaves to its generation."""
    known = load_generation(file.generation).sources
    left = {*build_accelerator(file).inherited, *(("matrix_unit",) if file.compute.matrix_unit else ())}
    return {name: evidence for name, evidence in known.items() if name.partition(".")[0] in left}


def accelerator_text(file: AcceleratorFile) -> str:
    """One chip: peaks with what is reached and the ridge, memory, links, power, sources."""
    chip = build_accelerator(file)
    memory = chip.memory
    lines = [
        f"{file.name}: {file.vendor or 'own design'}, {file.status} {file.date}, generation {file.generation}",
        "",
        _formats_table(chip),
        *other_peaks_text(chip),
        "",
        f"memory   {_gib(memory.capacity_bytes)} {file.memory.type}, {si(memory.bandwidth, 'B/s')} "
        f"({percent(memory.achievable)} reached), {memory.capacity_bytes / memory.bandwidth * 1e3:.3g} ms to read all",
        f"cache    {three(chip.cache.capacity_bytes / 2**20)} MiB"
        + (f", {si(chip.cache.bandwidth, 'B/s')}" if chip.cache.bandwidth else ""),
        f"kernel   {duration(chip.kernel_overhead_s)} to start and drain",
    ]
    for tier in memory.tiers:
        held = "" if tier.capacity_bytes is None else f"{_gib(tier.capacity_bytes)}, "
        lines.append(f"beside   {tier.name}: {held}{si(tier.bandwidth, 'B/s')}")
    if chip.links:
        lines.append(f"links    {', '.join(chip.links)}")
    if chip.power:
        busy = f", {chip.power.busy_w:.0f} W more while kernels run" if chip.power.busy_w else ""
        lines.append(f"power    {chip.power.peak_w:g} W, idle {chip.power.idle_w:.0f} W{busy}")
    if chip.price_usd:
        lines.append(f"price    {chip.price_usd:,.0f} USD")
    if chip.mtbf_s:
        lines.append(f"failure  every {chip.mtbf_s / 3600:,.0f} device hours")
    lines += ["", "sources (A vendor or measured, B secondary, C derived, D recalled or assumed)"]
    lines += [f"  {name:11} {s.confidence}  {s.text}" for name, s in chip.sources.items()]
    inherited = _inherited(file)
    lines += ["", f"left to generation {file.generation}"] if inherited else []
    lines += [f"  {name:11} {one.confidence}  {one.source}" for name, one in inherited.items()]
    return "\n".join(lines)


def _formats_table(chip: Accelerator) -> str:
    bandwidth = chip.memory.bandwidth * chip.memory.achievable
    rows = []
    for name, entry in chip.compute.items():
        reached = entry.peak_flops * entry.achievable
        energy = f"{chip.power.flop_j[name] * 1e12:.3g} pJ" if chip.power and name in chip.power.flop_j else "-"
        unit = "matrix" if entry.matrix else "vector"
        peak = si(entry.peak_flops, "FLOP/s")
        rows.append([name, unit, peak, percent(entry.achievable), f"{reached / bandwidth:.0f} FLOP/B", energy])
    return table(["format", "unit", "dense peak", "reached", "ridge", "per FLOP"], rows, left=2)


def together(cluster: Cluster, chip: Accelerator) -> dict[str, Any]:
    """What all devices of a cluster have: dense peaks by format, memory and its bandwidth."""
    n = cluster.devices
    return {
        "peak_flops": {name: n * entry.peak_flops for name, entry in chip.compute.items()},
        "memory_bytes": n * chip.memory.capacity_bytes,
        "memory_bandwidth_bytes_per_s": n * chip.memory.bandwidth,
        "other_peaks": other_peaks(chip, n),
    }


def cluster_json(cluster: Cluster, chip: Accelerator) -> dict[str, Any]:
    """One cluster, with what its devices have together."""
    return {"cluster": cluster_row(cluster) | {"together": together(cluster, chip)}}


def cluster_text(cluster: Cluster, chip: Accelerator) -> str:
    """One cluster, what its devices have together, and its links level by level."""
    found = together(cluster, chip)
    peaks = ", ".join(f"{name} {si(peak, 'FLOP/s')}" for name, peak in found["peak_flops"].items())
    lines = [
        f"{cluster.name}: {cluster.devices:,} x {cluster.accelerator}, {cluster.status}",
        f"together {peaks} (dense peaks); {si(found['memory_bytes'], 'B')} of memory at "
        f"{si(found['memory_bandwidth_bytes_per_s'], 'B/s')}",
        *other_peaks_text(chip, cluster.devices),
        "",
    ]
    rows = []
    block = 1
    for level in cluster.levels:
        nics = level.nics if level.nics is not None else block
        per_device = level.link.bandwidth * nics / block
        block *= prod(level.sizes)
        rows.append(
            [
                level.name,
                f"{'x'.join(map(str, level.sizes))} {level.topology}",
                level.link.name,
                f"{nics:g}",
                si(per_device, "B/s"),
                percent(level.link.efficiency),
                duration(level.link.latency_s) if level.link.latency_s else "0",
                f"{level.oversubscription:g}:1",
            ]
        )
    if rows:
        head = ["level", "members", "link", "links/member", "per device", "reached", "latency", "oversub."]
        lines.append(table(head, rows, left=3))
    else:
        lines.append(f"graph of {len(cluster.edges)} directed links")
    if cluster.optical:
        sides, wait = "x".join(map(str, cluster.optical.block)), duration(cluster.optical.reconfigure_s)
        told = f"source: {cluster.optical.source} ({cluster.optical.confidence})"
        lines += ["", f"blocks of {sides} behind optical switches, reconfigured in {wait}; {told}"]
    if cluster.source:
        lines += ["", f"source: {cluster.source} ({cluster.confidence})"]
    return "\n".join(lines)
