"""What reaches a terminal: text in which nothing given by a file or a name can steer it, in the encoding it has."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

from sim.errors import InputError, Problem

if TYPE_CHECKING:
    from sim.report.tables import Table

T = TypeVar("T")

# C0 and C1 controls, marks that turn or hide text, line separators, halves of surrogate pairs.
_UNSEEN: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
_CONTROL: Final = re.compile(f"[{_UNSEEN}]")
_CONTROL_BUT_NEWLINE: Final = re.compile(f"(?!\n)[{_UNSEEN}]")
_SHORT: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN: Final = str.maketrans({"█": "#", "·": ".", "–": "-", "→": "->", "×": "x", "µ": "u", "…": "..."})


def printable(text: str) -> str:
    """`text` on one line with every control character as an escape (`\\n`, `\\x1b`, `\\u202e`)."""
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return _SHORT.get(found[0]) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")


def safe(value: T) -> T:
    """A record with every text in it printable; the very same record where nothing had to change."""
    changed: object = value
    if isinstance(value, str):
        changed = printable(value) if _CONTROL.search(value) else value
    elif isinstance(value, Mapping):
        pairs = [(safe(key), safe(item)) for key, item in value.items()]
        same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, value.items(), strict=True))
        changed = value if same else dict(pairs)
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        items = [safe(item) for item in value]
        same = all(a is b for a, b in zip(items, value, strict=True))
        changed = value if same else type(value)(items)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        fresh = {name: made for name, item in given.items() if (made := safe(item)) is not item}
        changed = _altered(value, fresh) if fresh else value
    return changed  # type: ignore[return-value]  # same shape, texts escaped


def _altered(record: object, fresh: Mapping[str, object]) -> object:
    """A copy of a frozen record with other texts; its rules were checked when it was made."""
    made = copy.copy(record)
    for name, item in fresh.items():
        object.__setattr__(made, name, item)
    return made


def show(text: str) -> None:
    """Lines on stdout."""
    _write(sys.stdout, _CONTROL_BUT_NEWLINE.sub(_escape, text) + "\n")


def show_json(payload: object) -> None:
    """One JSON object on stdout; NaN and infinity are refused, keys keep their order."""
    text = json.dumps(payload, allow_nan=False, indent=2, ensure_ascii=not _utf(sys.stdout))
    unseen = _CONTROL_BUT_NEWLINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    _write(sys.stdout, unseen + "\n")


def answer(found: T, render: Callable[[T], str], to_json: Callable[[T], object], as_json: bool) -> None:
    """What a command found: as text, or as one JSON object."""
    if as_json:
        show_json(to_json(found))
    else:
        show(render(safe(found)))


def show_as(
    found: T,
    as_table: Callable[[T], Table],
    render: Callable[[T], str],
    to_json: Callable[[T], object],
    form: str,
) -> None:
    """What a command found, in the format asked for: a report, its table alone, or one JSON object."""
    if form in ("csv", "markdown"):
        table = as_table(safe(found))
        show(table.csv() if form == "csv" else table.markdown())
    else:
        answer(found, render, to_json, form == "json")


def say(line: str) -> None:
    """One line on stderr; where nobody can read it there is nothing more to do."""
    try:
        _write(sys.stderr, printable(line) + "\n")
        sys.stderr.flush()
    except (OSError, InputError):
        return


def advise(advice: Iterable[Problem], quiet: bool) -> None:
    """What was given and looks like a slip, each once, on stderr unless `--quiet`."""
    for problem in () if quiet else dict.fromkeys(advice):
        say(f"advice: {problem}")


def flush() -> None:
    """Everything printed so far handed on, so that a full disk is noticed while it can be told."""
    if sys.stdout is not None:
        _to(sys.stdout, sys.stdout.flush)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        raise InputError(Problem("is closed: the answer cannot be printed", file="stdout"))
    if not _utf(stream):
        encoding = stream.encoding or "ascii"
        text = text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    _to(stream, lambda: stream.write(text))


def _to(stream: TextIO, act: Callable[[], object]) -> None:
    try:
        act()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        name = "stderr" if stream is sys.stderr else "stdout"
        raise InputError(Problem(f"cannot be written: {why.lower()}", file=name)) from None


def _utf(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")
