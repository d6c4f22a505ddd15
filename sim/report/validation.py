"""Validation reports: predicted against measured per set, beside the null model; and the paper's tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sim.report.tables import Column, Table
from sim.report.text import gib, percent, table
from sim.validation.constants import constants
from sim.validation.paper import Line
from sim.validation.sensitivity import FACTOR, Moved, names
from sim.validation.sets import Overall, Report
from sim.validation.validation import Comparison, Summary


def render(report: Report) -> str:
    """Per published set: rows, errors, null model, skill, worst row; then all together and what was left out."""
    header = ["set", "rows", "mean", "median", "p90", "bias", "null", "skill", "left out", "worst"]
    rows = [_row(summary, report) for summary in report.summaries if summary.rows]
    parts = [f"{report.name}: {report.description}".rstrip(": "), table(header, rows)]
    parts += [_overall(part) for part in report.overall]
    if report.by:
        parts.append(table(header, [_row(summary, report) for summary in report.by]))
    parts += [_memory(report), _misjudged(report), _out_of_memory(report), _in_sample(report)]
    parts += [f"{name} is not in the averages: {why}" for name, why in report.excluded.items()]
    parts += [*report.notes, _skipped(report)]
    return "\n".join(part for part in parts if part)


def _row(summary: Summary, report: Report) -> list[str]:
    left = report.left_out.get(summary.name)
    errors = (summary.mean_abs_error, summary.median_abs_error, summary.p90_abs_error)
    return [
        summary.name,
        str(sum(math.isfinite(row.error) and row.status == "ok" for row in summary.rows)),
        *[_share(value) for value in errors],
        _share(summary.bias, signed=True),
        _share(summary.null_mean_abs_error),
        "-" if summary.skill is None else f"{summary.skill:.2f}",
        "-" if left is None else percent(left),
        summary.worst,
    ]


def _share(value: float, signed: bool = False) -> str:
    return percent(value, signed) if math.isfinite(value) else "-"


def _overall(part: Overall) -> str:
    s = part.rows
    left, over_sets = (
        "" if error is None else f", {percent(error)} with each set left out"
        for error in (part.left_out, part.left_out_over_sets)
    )
    skill = "-" if s.skill is None else f"{s.skill:.2f}"
    timed = sum(math.isfinite(row.error) and row.status == "ok" for row in s.rows)
    return (
        f"{part.name}: {timed} rows, mean {_share(s.mean_abs_error)}{left}, median {_share(s.median_abs_error)}, "
        f"bias {_share(s.bias, signed=True)}; null {_share(s.null_mean_abs_error)}, skill {skill}; "
        f"mean over sets {percent(part.mean_over_sets)}{over_sets}"
    )


def _memory(report: Report) -> str:
    rows = [row for summary in report.summaries for row in summary.rows if row.memory_measured and row.memory_predicted]
    if not rows:
        return ""
    errors = [abs(_memory_error(row)) for row in rows]
    return f"memory: {len(rows)} measured rows, mean {percent(sum(errors) / len(errors))}"


def _misjudged(report: Report) -> str:
    """Rows that ran and are judged not to fit: most often something that saves memory was not told."""
    ran = [row for summary in report.summaries for row in summary.rows if row.status == "ok"]
    misjudged = sum(not row.fits for row in ran)
    if report.no_memory and ran:
        return f"{len(ran)} rows judge no memory ({misjudged} would not fit): {report.no_memory}"
    if not misjudged:
        return ""
    return (
        f"{misjudged} of {len(ran)} rows that ran are judged not to fit: recomputation, sharding or offload not stated?"
    )


def _in_sample(report: Report) -> str:
    """Constants that were set with rows of these sets in sight."""
    sets = {report.name, *(summary.name for summary in report.summaries)}
    names = [one.name for one in constants() if sets & {rows.partition(" ")[0] for rows in one.rows}]
    return f"in-sample for {', '.join(dict.fromkeys(names))}" if names else ""


def sensitivity(name: str, moved: Sequence[Moved]) -> str:
    """By how many points the mean error of every set moves with each property of the hardware."""
    header = ["set", "rows", "bias", *names()]
    rows = [
        [m.group, str(m.rows), percent(m.bias, True), *(f"{100 * m.change[key]:+.1f}" for key in names())]
        for m in moved
    ]
    told = f"{name}: change of the bias in points where a property is {percent(FACTOR - 1)} larger"
    return told + "\n" + table(header, rows)


def sensitivity_json(name: str, moved: Sequence[Moved]) -> dict[str, Any]:
    """`sensitivity`: per set its bias and the change by property."""
    return {"schema_version": 1, "from": name, "factor": FACTOR, "sensitivity": [asdict(m) for m in moved]}


def _memory_error(row: Comparison) -> float:
    return (row.memory_predicted or math.nan) / (row.memory_measured or math.nan) - 1.0


def _out_of_memory(report: Report) -> str:
    """Rows the source saw run out of memory, one by one."""
    rows = [row for summary in report.summaries for row in summary.rows if row.status == "OOM"]
    lines = [
        f"out of memory {row.id} ({row.group}): {gib(row.memory_predicted or 0)}, "
        + ("judged to fit, wrongly" if row.fits else "judged not to fit, rightly")
        for row in rows
    ]
    return "\n".join(lines)


def _skipped(report: Report) -> str:
    counted = Counter((s.group, s.reason) for summary in report.summaries for s in summary.skipped)
    return "\n".join(f"not expressed: {n} of {group}: {reason}" for (group, reason), n in counted.items())


def as_table(report: Report) -> Table:
    """Every row that was simulated: measured and predicted in the unit of its source."""
    columns = (Column("set"), Column("row"), *(Column(name, "number") for name in ("measured", "predicted", "error")))
    rows = (
        (summary.name, row.id, _finite(row.measured), _finite(row.predicted), _finite(row.error))
        for summary in report.summaries
        for row in summary.rows
    )
    return Table(columns, tuple(rows))


def to_json(report: Report) -> dict[str, Any]:
    """One set alone, as `merged`."""
    return merged((report,))


def merged(reports: Sequence[Report]) -> dict[str, Any]:
    """`sets`: per published set its errors and `rows`, each with `id, measured, predicted`."""
    return {
        "schema_version": 1,
        "sets": [_set_json(summary, report) for report in reports for summary in report.summaries],
        "overall": [_overall_json(part, report) for report in reports for part in report.overall],
        "excluded": {name: why for report in reports for name, why in report.excluded.items()},
        "no_memory": {report.name: report.no_memory for report in reports if report.no_memory},
        "notes": {report.name: list(report.notes) for report in reports if report.notes},
        "by": [{"name": s.name, "from": r.name, **_errors(s), "row_count": len(s.rows)} for r in reports for s in r.by],
    }


def _set_json(summary: Summary, report: Report) -> dict[str, Any]:
    return {
        "name": summary.name,
        "from": report.name,
        "quantity": report.quantity,
        **_errors(summary),
        "left_out_mean_abs_error": report.left_out.get(summary.name),
        "worst": summary.worst,
        "row_count": len(summary.rows),
        "rows": [_row_json(row) for row in summary.rows],
        "skipped": [{"id": s.id, "reason": s.reason} for s in summary.skipped],
    }


def _errors(summary: Summary) -> dict[str, Any]:
    return {
        "mean_abs_error": _finite(summary.mean_abs_error),
        "median_abs_error": _finite(summary.median_abs_error),
        "p90_abs_error": _finite(summary.p90_abs_error),
        "bias": _finite(summary.bias),
        "null_mean_abs_error": _finite(summary.null_mean_abs_error),
        "skill": summary.skill,
    }


def _row_json(row: Comparison) -> dict[str, Any]:
    return {
        "id": row.id,
        "measured": _finite(row.measured),
        "predicted": _finite(row.predicted),
        "error": _finite(row.error),
        "assumptions": list(row.assumptions),
        "status": row.status,
        "fits": row.fits,
        "memory_measured_bytes": row.memory_measured,
        "memory_predicted_bytes": row.memory_predicted,
        "time_parts_s": dict(row.time_parts_s),
        "memory_bytes_by_kind": dict(row.memory_bytes),
    }


def _overall_json(part: Overall, report: Report) -> dict[str, Any]:
    return {
        "name": part.name,
        "from": report.name,
        "row_count": len(part.rows.rows),
        **_errors(part.rows),
        "left_out_mean_abs_error": part.left_out,
        "mean_over_sets": part.mean_over_sets,
        "left_out_over_sets": part.left_out_over_sets,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def paper(lines: Sequence[Line]) -> str:
    """Ours beside the paper's, per table, with the verdict and what is known to be wrong in print."""
    parts = []
    for name in dict.fromkeys(line.table for line in lines):
        rows = [
            [
                line.what,
                f"{line.ours:.5g}",
                f"{line.paper:.5g}",
                line.unit,
                _difference(line),
                _allowed(line),
                line.verdict,
            ]
            for line in lines
            if line.table == name
        ]
        parts.append(f"{name}\n" + table(["", "ours", "paper", "unit", "diff", "allowed", ""], rows, indent="  "))
        told = dict.fromkeys(
            text for line in lines if line.table == name for text in (line.mismatch, line.remark, line.given) if text
        )
        parts[-1] += "".join(f"\n  note: {text}" for text in told)
    count = Counter(line.verdict for line in lines)
    parts.append(", ".join(f"{n} {verdict}" for verdict, n in count.items()))
    return "\n\n".join(parts)


def _difference(line: Line) -> str:
    return f"{line.difference:+.2f} pt" if line.absolute else percent(line.difference, signed=True)


def _allowed(line: Line) -> str:
    if line.tolerance is None:
        return "-"
    return f"{line.tolerance:g} pt" if line.absolute else percent(line.tolerance)


def paper_json(lines: Sequence[Line]) -> dict[str, Any]:
    """`tables`: one entry per line."""
    return {
        "schema_version": 1,
        "tables": [
            {
                "table": line.table,
                "what": line.what,
                "ours": line.ours,
                "paper": line.paper,
                "unit": line.unit,
                "difference": line.difference,
                "tolerance": line.tolerance,
                "verdict": line.verdict,
                "mismatch": line.mismatch,
                "expected": line.expected,
                "input": line.given,
                "remark": line.remark,
            }
            for line in lines
        ],
    }
