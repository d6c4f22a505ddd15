"""Tables of numbers: for the terminal with one unit per column, as Markdown, and as CSV in SI units."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.report.text import PREFIXES, percent, size_text, table, three, time_unit

if TYPE_CHECKING:
    import pandas

Kind = Literal["text", "count", "number", "si", "ratio", "seconds", "bytes", "size", "share"]
Cell = str | float | int | None
_BYTES: Final = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_SUFFIX: Final = {"seconds": "_s", "bytes": "_bytes", "size": "_bytes"}
_UNIT_SUFFIX: Final = {
    "B": "_bytes", "B/s": "_bytes_per_s", "FLOP": "_flop", "FLOP/s": "_flops_per_s", "J": "_j", "W": "_w", "USD": "_usd"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what its cells are, and the unit of `si` numbers, which share one prefix."""

    name: str
    kind: Kind = "text"
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values: seconds, bytes and shares as numbers; None where there is none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def text(self, indent: str = "") -> str:
        """For a terminal; texts at either end are flush left."""
        left = next((i for i, column in enumerate(self.columns) if column.kind != "text"), len(self.columns))
        tail = self.columns[-1].kind == "text"
        return table([column.name for column in self.columns], self.cells(), left=left, indent=indent, tail=tail)

    def markdown(self) -> str:
        """The same cells between bars."""
        names = [column.name for column in self.columns]
        rule = ["---" if column.kind == "text" else "--:" for column in self.columns]
        lines = [names, rule, *([cell.replace("|", "\\|") for cell in row] for row in self.cells())]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def csv(self) -> str:
        """SI numbers in full, the unit in the column's name."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return out.getvalue().rstrip("\n")

    def html(self, caption: str) -> str:
        """The same cells as an HTML table that scrolls where it is wide."""
        kinds = ["t" if column.kind == "text" else "" for column in self.columns]

        def line(cells: Sequence[str], tag: str, scope: str = "") -> str:
            pairs = zip(cells, kinds, strict=True)
            cells_html = "".join(f'<{tag}{scope} class="{kind}">{escape(cell)}</{tag}>' for cell, kind in pairs)
            return f"<tr>{cells_html}</tr>"

        head = line([column.name for column in self.columns], "th", ' scope="col"')
        body = "\n".join(line(row, "td") for row in self.cells())
        return (
            f'<div class="scroll"><table><caption>{escape(caption)}</caption>\n<thead>{head}</thead>\n'
            f"<tbody>\n{body}\n</tbody></table></div>"
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns, the unit of their SI numbers at the end."""
        ends = [_UNIT_SUFFIX.get(column.unit, _SUFFIX.get(column.kind, "")) for column in self.columns]
        return [f"{column.name.replace(' ', '_')}{end}" for column, end in zip(self.columns, ends, strict=True)]

    def cells(self) -> list[list[str]]:
        """Every cell as it is shown; a column has one unit."""
        shown = [_shown(column, [row[i] for row in self.rows]) for i, column in enumerate(self.columns)]
        return [list(row) for row in zip(*shown, strict=True)]


def in_one_unit(seconds: Sequence[float]) -> list[str]:
    """Times as a column shows them."""
    return _shown(Column("", "seconds"), seconds)


def _shown(column: Column, values: Sequence[Cell]) -> list[str]:
    numbers = [abs(v) for v in values if isinstance(v, int | float) and v]
    size, unit = 1.0, column.unit
    if column.kind == "seconds" and numbers:
        size, unit = time_unit(median(numbers))
    elif column.kind == "bytes" and numbers:
        size, unit = _scale(_BYTES, median(numbers))
    elif column.kind == "si" and numbers:
        size, prefix = _scale((*PREFIXES, (1e-3, "m"), (1e-6, "u")), median(numbers))
        unit = f"{prefix}{column.unit}"
    return [_cell(column.kind, value, size, unit) for value in values]


def _scale(scale: Sequence[tuple[float, str]], value: float) -> tuple[float, str]:
    """The largest unit that a value reaches, else the smallest."""
    return next((pair for pair in scale if value >= pair[0]), scale[-1])


def _cell(kind: Kind, value: Cell, size: float, unit: str) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "ratio":
        return f"{value:.2f}x"
    if kind == "share":
        return percent(value)
    if kind == "size":
        return size_text(value)
    return f"{three(value / size)} {unit}".rstrip()


def frame(found: Table) -> pandas.DataFrame:
    """The table as a pandas DataFrame, columns named as in CSV."""
    try:
        import pandas  # noqa: PLC0415  (extra `notebook`)
    except ImportError:
        raise InputError(
            Problem("needs the package pandas", "to_frame", hint="pip install 'foretrain[notebook]'")
        ) from None
    return pandas.DataFrame([list(row) for row in found.rows], columns=found.names)
