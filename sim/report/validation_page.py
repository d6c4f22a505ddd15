"""The table of all published sets as Markdown, as docs/validation.md shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sim.validation.constants import Constant
from sim.validation.sets import Report
from sim.validation.validation import Comparison, Summary

HEADER = ("file", "set", "rows", "mean", "median", "bias", "null", "skill", "left out")


def markdown(reports: Sequence[Report]) -> str:
    """A row per set that has rows, after them its file's rows together; errors in percent of the measured value."""
    lines = [HEADER, ("---", "---", *["--:"] * (len(HEADER) - 2))]
    lines += [cells for report in reports for cells in _cells(report)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(report: Report) -> Iterator[tuple[str, ...]]:
    for summary in report.summaries:
        if _timed(summary.rows):
            name = summary.name + (" (not averaged)" if summary.name in report.excluded else "")
            yield report.name, name, *_figures(summary, report.left_out.get(summary.name))
    for part in report.overall:
        yield report.name, f"**{part.name}**", *_figures(part.rows, part.left_out)


def _figures(summary: Summary, left_out: float | None) -> tuple[str, ...]:
    errors = (summary.mean_abs_error, summary.median_abs_error, summary.bias, summary.null_mean_abs_error)
    skill = "-" if summary.skill is None else f"{summary.skill:.2f}"
    return str(_timed(summary.rows)), *[_percent(value) for value in errors], skill, _percent(left_out)


def _timed(rows: Sequence[Comparison]) -> int:
    """Rows that ran and have a measured time."""
    return sum(math.isfinite(row.error) and row.status == "ok" for row in rows)


def _percent(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{100.0 * value:.1f}"


CONSTANTS_HEADER = ("constant", "value", "where", "rows in sight", "source", "")


def constants_markdown(found: Sequence[Constant]) -> str:
    """The table of calibrated constants: a row each, with the sets of published rows in sight when it was set."""
    lines = [CONSTANTS_HEADER, ("---",) * len(CONSTANTS_HEADER)]
    for one in found:
        rows = ", ".join(f"`{name}`" for name in one.rows) or "none"
        value = "" if one.value is None else str(one.value)
        lines.append((one.name, value, f"`{one.where}`", rows, one.source, one.confidence))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
