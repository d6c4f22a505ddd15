"""Small pieces of a terminal report: tables, bars, durations. Plain text; styling belongs to the command line."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
YEAR: Final = 365.25 * DAY
_DURATIONS: Final = (
    (YEAR, YEAR, "years"),
    (DAY, DAY, "days"),
    (10 * HOUR, HOUR, "h"),
    (10 * MINUTE, MINUTE, "min"),
    (1.0, 1.0, "s"),
    (1e-3, 1e-3, "ms"),
    (0.0, 1e-6, "us"),
)
_BINARY: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
PREFIXES: Final = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use, three digits."""
    size, unit = time_unit(seconds)
    return f"{three(seconds / size)} {unit}"


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit a person would use for so many seconds: its size (s) and its name."""
    return next((size, unit) for least, size, unit in _DURATIONS if seconds >= least or not least)


def three(value: float) -> str:
    """Three significant digits, thousands separated, no exponent below a million million."""
    if value == 0:
        return "0"
    if abs(value) >= 1e12 or abs(value) < 1e-3:
        return f"{value:.3g}"
    digits = max(0, 2 - len(str(int(abs(value)))) + (1 if abs(value) >= 1 else 2))
    return f"{float(f'{value:.3g}'):,.{digits}f}"


def si(value: float, unit: str = "") -> str:
    """Value with an SI prefix: 23.8 G, 41.5 TB."""
    for size, prefix in PREFIXES:
        if abs(value) >= size:
            return f"{three(value / size)} {prefix}{unit}".rstrip()
    return f"{three(value)} {unit}".rstrip()


def gib(nbytes: float) -> str:
    """Bytes in GiB."""
    return f"{three(nbytes / 2**30)} GiB"


def size_text(nbytes: float) -> str:
    """1048576 → "1 MiB"."""
    for unit, name in _BINARY:
        if nbytes >= unit:
            return f"{nbytes / unit:.4g} {name}"
    return f"{nbytes:.4g} B"


def percent(fraction: float, signed: bool = False) -> str:
    """A fraction in percent, one decimal below ten."""
    value = 100.0 * fraction
    return f"{value:{'+' if signed else ''}.{1 if abs(value) < 9.95 else 0}f} %"


def bar(fraction: float, width: int = 30) -> str:
    """A bar of `width` characters, filled to `fraction`."""
    filled = round(max(0.0, min(1.0, fraction)) * width)
    return "█" * filled + "·" * (width - filled)


def preformatted(text: str) -> str:
    """A report for a notebook or a page."""
    return f'<pre style="overflow-x: auto">{escape(text)}</pre>'


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, indent: str = "", tail: bool = False
) -> str:
    """Columns as wide as their cells; the first `left` columns, and with `tail` the last, flush left, others right."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        pairs = enumerate(zip(row, widths, strict=True))
        parts = [c.ljust(w) if i < left or (tail and i == len(widths) - 1) else c.rjust(w) for i, (c, w) in pairs]
        return indent + "  ".join(parts).rstrip()

    return "\n".join([line(header), indent + "  ".join("-" * w for w in widths), *map(line, rows)])
