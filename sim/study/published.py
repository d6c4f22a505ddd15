"""A validation set: a YAML that says how rows become scenarios, beside a CSV of published rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from sim.errors import InputError, Problem
from sim.spec.loader import Node, load
from sim.study.validation import Measure, Quantity, Row, Rule, ValidationSet

_KEYS: Final = {
    "name", "quantity", "description", "source", "csv", "group", "template", "columns", "rules", "measured",
    "printed", "excluded",
}  # fmt: skip
_RULE_KEYS: Final = {"when", "set", "assume", "skip"}


def load_validation_set(path: Path, rows: Path | None = None) -> ValidationSet:
    """Read `path` and its CSV (or `rows` instead); InputError names every mistake with its place."""
    node = load(path)
    problems = _unknown_keys(node, _KEYS, "")
    quantity = _text(node, "quantity", problems, "run")
    if quantity not in get_args(Quantity):
        problems.append(
            node.problem(f"quantity must be one of {', '.join(get_args(Quantity))}", "quantity", repr(quantity))
        )
    rules = _columns(node) + _rules(node, problems)
    measures = tuple(
        Measure(str(m["column"]), str(m["field"]), float(m.get("scale", 1.0)), m.get("when", {}))
        for m in _list(node, "measured")
    )
    if not measures and quantity == "run":
        problems.append(node.problem("a set of runs needs `measured` columns", "measured"))
    if problems:
        raise InputError(*problems)
    table = rows or path.parent / _text(node, "csv", problems, f"{path.stem}.csv")
    return ValidationSet(
        name=_text(node, "name", problems, path.stem),
        quantity=cast(Quantity, quantity),
        template=_mapping(node, "template"),
        rules=rules,
        measures=measures,
        rows=read_rows(table),
        group=_text(node, "group", problems, ""),
        printed={k: str(v) for k, v in _mapping(node, "printed").items()},
        excluded={k: str(v) for k, v in _mapping(node, "excluded").items()},
        source=_text(node, "source", problems, ""),
        description=_text(node, "description", problems, ""),
    )


def read_rows(path: Path) -> tuple[Row, ...]:
    """Rows of a CSV with a header; a row longer than its header is an error."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = tuple(reader)
            if reader.fieldnames is None:
                raise InputError(Problem("is empty: a header line is needed", file=str(path)))
    except FileNotFoundError:
        raise InputError(Problem("no such file", file=str(path))) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=str(path))) from None
    too_long = [
        Problem("has more cells than the header", file=str(path), line=number, column=1)
        for number, row in enumerate(rows, start=2)
        if None in row
    ]
    if too_long:
        raise InputError(*too_long)
    return rows


def _columns(node: Node) -> tuple[Rule, ...]:
    """`columns: {layers: workload.sizes.layers}` is a rule per column that has a value."""
    return tuple(
        Rule(when={column: ".+"}, assign=dict.fromkeys([paths] if isinstance(paths, str) else paths, f"{{{column}}}"))
        for column, paths in _mapping(node, "columns").items()
    )


def _rules(node: Node, problems: list[Problem]) -> tuple[Rule, ...]:
    found = []
    listed = node.at("rules")
    for index, item in enumerate(listed.value if listed is not None and isinstance(listed.value, list) else ()):
        problems += _unknown_keys(item, _RULE_KEYS, f"rules[{index}].")
        body = item.plain
        when = {str(k): _pattern(v) for k, v in (body.get("when") or {}).items()}
        for column, pattern in when.items():
            try:
                re.compile(pattern)
            except re.error as error:
                problems.append(
                    item.problem(f"is not a regular expression: {error}", f"rules[{index}].when.{column}", pattern)
                )
        found.append(Rule(when, body.get("set") or {}, body.get("assume") or "", body.get("skip") or ""))
    return tuple(found)


def _pattern(value: object) -> str:
    """A condition: empty (null) means an empty cell."""
    return "" if value is None else str(value)


def _unknown_keys(node: Node, known: set[str], prefix: str) -> list[Problem]:
    if not isinstance(node.value, dict):
        return [node.problem("must be a mapping", prefix.rstrip("."))]
    return [
        child.problem(f"unknown key; known are {', '.join(sorted(known))}", f"{prefix}{key}")
        for key, child in node.value.items()
        if key not in known
    ]


def _text(node: Node, key: str, problems: list[Problem], default: str) -> str:
    found = node.at(key)
    return default if found is None or found.value is None else str(found.value)


def _mapping(node: Node, key: str) -> Mapping[str, Any]:
    found = node.at(key)
    plain = found.plain if found is not None else None
    return plain if isinstance(plain, dict) else {}


def _list(node: Node, key: str) -> list[Mapping[str, Any]]:
    found = node.at(key)
    plain = found.plain if found is not None else None
    return plain if isinstance(plain, list) else []
