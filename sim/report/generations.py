"""Chips of several years beside each other, as `foretrain validate generations` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.report.text import percent, table
from sim.validation.generations import Order, Ratio


def generations(pairs: Sequence[Ratio], orders: Sequence[Order]) -> str:
    """Ratios of rates per device between chips of several years, and their ranking by time to target."""
    cells = [
        [
            pair.older.entry.benchmark,
            pair.older.entry.comparison,
            f"{pair.measured:.2f}",
            f"{pair.predicted:.2f}",
            percent(pair.error, signed=True),
        ]
        for pair in pairs
    ]
    parts = ["rate per device, newer over older", table(["", "", "MLPerf", "ours", "error"], cells, left=2)]
    for order in orders:
        told = [[f.entry.chip, f"{f.measured:.0f}", f"{f.predicted:.0f}", f.entry.row] for f in order.figures]
        parts += ["", f"{order.benchmark}: device minutes to the target, Spearman {order.correlation:.2f}"]
        parts.append(table(["", "MLPerf", "ours", "entry"], told))
    return "\n".join(parts)


def generations_json(pairs: Sequence[Ratio], orders: Sequence[Order]) -> dict[str, Any]:
    """The same, with the entries by name."""
    return {
        "schema_version": 1,
        "ratios": [
            {
                "benchmark": pair.older.entry.benchmark,
                "comparison": pair.older.entry.comparison,
                "older": pair.older.entry.row,
                "newer": pair.newer.entry.row,
                "measured": pair.measured,
                "predicted": pair.predicted,
                "error": pair.error,
            }
            for pair in pairs
        ],
        "rankings": [
            {
                "benchmark": order.benchmark,
                "spearman": order.correlation,
                "chips": [
                    {
                        "chip": figure.entry.chip,
                        "entry": figure.entry.row,
                        "measured_device_minutes": figure.measured,
                        "predicted_device_minutes": figure.predicted,
                    }
                    for figure in order.figures
                ],
            }
            for order in orders
        ],
    }
