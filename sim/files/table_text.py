"""The text of a CSV: read once, at most so much of it, whatever kind of file it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from sim.errors import InputError, Problem

MAX_BYTES: Final = 200 * 10**6


def table_text(path: Path) -> io.StringIO:
    """Text for `csv.reader`; InputError for a file that is missing, unreadable, no text, or larger than 200 MB."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(Problem("no such file", file=str(path))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=str(path))) from None
    if len(data) > MAX_BYTES:
        raise InputError(Problem(f"is larger than {MAX_BYTES // 10**6} MB", file=str(path)))
    return io.StringIO(text, newline="")
