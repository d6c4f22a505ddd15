"""Calibrated constants with intervals, what the rows could not tell, and the residuals by kind."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from sim.files.clusters import ClusterFile
from sim.files.timings import KINDS, TimingKind
from sim.ops import Attention, Collective, Gemm
from sim.report.tables import Column, Table
from sim.report.text import duration, percent, size_text, table
from sim.study.calibrate import Calibrated, Calibration, Residual


def render(found: Calibration) -> str:
    """Warnings, constants, what stays as it was, residuals by kind, outliers."""
    lines = [f"WARNING: {text}" for text in found.warnings]
    lines.append(
        f"{found.file.name}: {found.base} with {len(found.constants)} constants from {len(found.residuals)} timings"
    )
    lines.append(
        table(
            ["constant", "base", "fitted", "5 %", "95 %", "kernels"], [_texts(c) for c in found.constants], indent="  "
        )
    )
    lines += [f"  {u.name} stays {u.base}: {u.reason}" for u in found.unidentified]
    rows = [_of_kind(kind, found.residuals) for kind in KINDS]
    heads = ["kind", "rows", "median |error|", "bias", "rms"]
    lines.append(table(heads, [row for row in rows if row], indent="  "))
    lines += [f"  outlier, line {r.timing.line}: {_outlier(r)}" for r in found.residuals if r.outlier]
    lines += [f"  left out, line {t.line}: {size_text(t.op.bytes_read)} fit the cache" for t in found.cached]
    return "\n".join(lines)


def _texts(found: Calibrated) -> list[str]:
    values = (found.base, found.value, found.low, found.high)
    return [found.constant.name, *map(found.constant.text, values), str(found.kernels)]


def _of_kind(kind: TimingKind, residuals: tuple[Residual, ...]) -> list[str]:
    """Rows kept of one kind: how far the calibrated chip is off."""
    kept = [r.ln for r in residuals if r.timing.kind == kind and not r.outlier]
    if not kept:
        return []
    rms = math.sqrt(sum(v * v for v in kept) / len(kept))
    bias = sum(kept) / len(kept)
    return [kind, str(len(kept)), percent(median(map(abs, kept))), percent(bias, signed=True), percent(rms)]


def _outlier(row: Residual) -> str:
    measured, predicted = duration(row.timing.seconds), duration(row.predicted_s)
    return f"{what(row)} measured {measured}, calibrated {predicted} ({percent(math.expm1(row.ln), signed=True)})"


def what(row: Residual) -> str:
    """The kernel of a row: `gemm bf16 4096 x 4096 x 128`."""
    op = row.timing.op
    if isinstance(op, Gemm):
        batch = f" x {op.batch} products" if op.batch > 1 else ""
        return f"gemm {op.format} {op.m} x {op.n} x {op.k}{batch}"
    if isinstance(op, Attention):
        direction = "backward" if op.backward else "forward"
        return f"attention {op.format} {direction} {op.batch} x {op.heads} heads of {op.head_dim}, sequence {op.q_len}"
    if isinstance(op, Collective):
        return f"{op.kind} {size_text(op.bytes)} on {row.timing.devices} devices"
    return f"memory {size_text(op.bytes_read)}"


def as_table(found: Calibration) -> Table:
    """Every row with its residual."""
    columns = (
        Column("line", "count"),
        Column("kind"),
        Column("measured", "seconds"),
        Column("predicted", "seconds"),
        Column("ln_error", "number"),
    )
    rows = tuple((r.timing.line, r.timing.kind, r.timing.seconds, r.predicted_s, r.ln) for r in found.residuals)
    return Table(columns, rows)


def to_json(found: Calibration) -> dict[str, Any]:
    """Constants with intervals, what stays the base's, and every residual; shares as numbers, times in seconds."""
    return {
        "schema_version": 1,
        "file": found.csv,
        "base": found.base,
        "cluster" if isinstance(found.file, ClusterFile) else "accelerator": found.file.name,
        "warnings": list(found.warnings),
        "constants": [
            {
                "name": c.constant.name + ("_s" if c.constant.time else ""),
                "base": c.base,
                "fitted": c.value,
                "p05": c.low,
                "p95": c.high,
                "kernels": c.kernels,
            }
            for c in found.constants
        ],
        "unidentified": [{"name": u.name, "base": u.base, "reason": u.reason} for u in found.unidentified],
        "residuals": [
            {
                "line": r.timing.line,
                "kind": r.timing.kind,
                "measured_s": r.timing.seconds,
                "predicted_s": r.predicted_s,
                "ln_error": r.ln,
                "outlier": r.outlier,
            }
            for r in found.residuals
        ],
        "left_out": [{"line": t.line, "reason": "fits the cache"} for t in found.cached],
    }
