"""Placements of an op graph side by side, and where the learned one put every layer."""

from __future__ import annotations

from typing import Any

from sim.placement import Placement
from sim.placement.place import Placed
from sim.report.text import duration, gib, percent, table


def render(placed: Placed) -> str:
    """Times first, then the best placement layer by layer: one digit per stretch, the number of its device."""
    expert = placed.placements[1]
    header = ["placement", "step", "against layers", "busy", "fits"]
    rows = [
        [
            f"{p.how} ({p.note})" if p.note else p.how,
            duration(p.time_s),
            f"{expert.time_s / p.time_s:.2f}x",
            " ".join(percent(share) for share in placed.busy(p)),
            "yes" if p.fits else "NO",
        ]
        for p in placed.placements
    ]
    head = f"{placed.model}, sub-batch {placed.sub_batch}, every layer in {placed.stretches} stretches of its sequence"
    devices = [
        f"  device {k}: {name}, {gib(held)} of {gib(room)}"
        for k, (name, held, room) in enumerate(
            zip(placed.chips, placed.held(placed.placements[0]), placed.capacities, strict=True)
        )
    ]
    where = [[layer, "".join(map(str, places))] for layer, places in placed.by_layer(placed.placements[0]).items()]
    learned = "Learned placement:\n" + "\n".join(devices) + "\n" + table(["layer", "device"], where, indent="  ")
    return f"{head}\n{table(header, rows, indent='  ')}\n\n{learned}"


def to_json(placed: Placed) -> dict[str, Any]:
    """`placements`: each with its time and the device of every stretch of every layer."""
    return {
        "schema_version": 1,
        "model": placed.model,
        "sub_batch": placed.sub_batch,
        "stretches": placed.stretches,
        "devices": list(placed.chips),
        "placements": [_placement(placed, p) for p in placed.placements],
    }


def _placement(placed: Placed, placement: Placement) -> dict[str, Any]:
    return {
        "how": placement.how,
        "note": placement.note,
        "time_s": placement.time_s,
        "fits": placement.fits,
        "busy": placed.busy(placement),
        "held_bytes": placed.held(placement),
        "layers": {layer: list(places) for layer, places in placed.by_layer(placement).items()},
    }
