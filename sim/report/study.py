"""The designs of a study as a table, CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.report.tables import Column, Kind, Table
from sim.study.designs import Designs
from sim.study.metrics import BANDS, METRICS
from sim.study.store import Outcome
from sim.study.sweep import Outcomes

SHOWN: Final = ("time_to_target_s", "step_s", "samples_per_s", "mfu", "memory_bytes", "devices", "global_batch")
KINDS: Final[dict[str, Kind]] = {
    "time_to_target_s": "seconds",
    "time_to_target_p05_s": "seconds",
    "time_to_target_p95_s": "seconds",
    "step_s": "seconds",
    "mfu": "share",
    "memory_bytes": "bytes",
    "devices": "count",
    "global_batch": "count",
}
_PLACE: Final = {name: place for place, name in enumerate(METRICS)}
EXPORTS: Final = (".csv", ".jsonl", ".parquet")


def as_table(found: Outcomes) -> Table:
    """One row per design: its number, its values on the axes, its figures, and why there are none."""
    bands = [m.name for m in BANDS if any(o.metrics[_PLACE[m.name]] is not None for o in found.outcomes)]
    designs = found.designs
    figures = [METRICS[name] for name in dict.fromkeys((*SHOWN, *bands, *found.objectives))]
    axes = tuple(Column(axis.path) for axis in designs.axes)
    columns = (Column("design"), *axes, *(Column(m.label, KINDS.get(m.name, "number")) for m in figures))
    rows = tuple(
        (
            str(o.number),
            *map(str, designs[o.number]),
            *(o.metrics[_PLACE[m.name]] for m in figures),
            o.reason or None,
        )
        for o in found.outcomes
    )
    return Table((*columns, Column("reason")), rows)


def render(found: Outcomes) -> str:
    """The table, how many designs it leaves out, and how many are finished where some are not."""
    total, shown = len(found.designs), len(found.outcomes)
    done = f"{found.finished:,} finished, " if found.finished is not None and found.finished < total else ""
    left = f"\n{total:,} designs, {done}{shown:,} shown" if total > shown else ""
    return as_table(found).text() + left


def record(designs: Designs, outcome: Outcome) -> dict[str, Any]:
    """One design as plain values: its number, key, axes, metrics and reason."""
    return {
        "design": outcome.number,
        "key": outcome.key.hex(),
        **designs.overrides(outcome.number),
        **dict(zip(METRICS, outcome.metrics, strict=True)),
        "reason": outcome.reason or None,
    }


def to_json(found: Outcomes) -> dict[str, Any]:
    """What the study is, and `designs`, one record each."""
    return {
        "schema_version": 1,
        "study": dict(found.identity),
        "designs": [record(found.designs, o) for o in found.outcomes],
    }


def export(path: Path, designs: Designs, outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    """The designs in the format of the file's name, piece by piece."""
    rows = (record(designs, outcome) for outcome in outcomes)
    if path.suffix == ".jsonl":
        return (json.dumps(row).encode() + b"\n" for row in rows)
    if path.suffix == ".csv":
        return _csv(rows)
    if path.suffix == ".parquet":
        return iter([_parquet(rows)])
    raise InputError(Problem(f"must end in {', '.join(EXPORTS)}", "--export", str(path)))


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row))
            writer.writeheader()
        writer.writerow(row)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _parquet(rows: Iterable[dict[str, Any]]) -> bytes:
    try:
        import pyarrow  # noqa: PLC0415  (extra `parquet`)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        hint = "pip install 'foretrain[parquet]', or export .csv or .jsonl"
        raise InputError(Problem("needs the package pyarrow", "--export", ".parquet", hint=hint)) from None
    texts = [{k: str(v) if k not in METRICS and k != "design" else v for k, v in row.items()} for row in rows]
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(texts), sink)
    return bytes(sink.getvalue())
