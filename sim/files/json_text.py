"""JSON files of others, whose mistakes are told with line and column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.errors import InputError, Problem
from sim.files.library import confine


def read_text(file: Path) -> str:
    """The text of a file; InputError where there is none."""
    try:
        return confine(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(file))) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not UTF-8 text", file=str(file))) from None


def mapping(text: str, file: str) -> dict[str, Any]:
    """The mapping a JSON text holds, every key once; a syntax error is told with line and column."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            raise InputError(*(Problem("duplicate key", name, file=file) for name in values if names.count(name) > 1))
        return values

    try:
        values = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InputError(
            Problem(f"is not JSON: {error.msg}", file=file, line=error.lineno, column=error.colno)
        ) from None
    except (ValueError, RecursionError) as error:
        rule = "is nested too deeply" if isinstance(error, RecursionError) else "has a number of too many digits"
        raise InputError(Problem(rule, file=file)) from None
    if not isinstance(values, dict):
        raise InputError(Problem("must be a JSON object", file=file))
    return values


@contextmanager
def placing(text: str) -> Iterator[None]:
    """Problems of a configuration are told at the value they name, those of none where its mapping begins."""
    try:
        yield
    except InputError as error:
        placed = (_placed(problem, text) for problem in error.problems)
        raise InputError(*sorted(placed, key=lambda p: (p.line, p.column))) from None


def _placed(problem: Problem, text: str) -> Problem:
    if problem.line:
        return problem
    start = len(text) - len(text.lstrip())
    for step in problem.path.split("."):
        found = _values(text, start).get(step)
        if found is None:
            break
        start = found
    line = text.count("\n", 0, start) + 1
    return replace(problem, line=line, column=start - text.rfind("\n", 0, start))


def _values(text: str, start: int) -> dict[str, int]:
    """Where the value of each key of the JSON mapping at `start` begins; nothing where there is no such mapping."""
    found: dict[str, int] = {}
    filler, decode, at = re.compile(r"[\s,:]*"), json.JSONDecoder().raw_decode, start + 1
    try:
        while text[start] == "{" and text[at := _after(filler, text, at)] == '"':
            key, at = decode(text, at)
            found[key] = at = _after(filler, text, at)
            _, at = decode(text, at)
    except (ValueError, IndexError, RecursionError):
        return found
    return found


def _after(filler: re.Pattern[str], text: str, at: int) -> int:
    match = filler.match(text, at)
    return match.end() if match else at
