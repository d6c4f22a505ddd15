"""A validation set: a YAML that says how rows become scenarios, beside a CSV of published rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast, get_args

from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.fields.kinds import shown
from sim.files.library import folder
from sim.files.loader import Node, load
from sim.files.merge import merge
from sim.files.table_text import table_text
from sim.validation.validation import Measure, Quantity, Row, Rule, ValidationSet

_KEYS: Final = {
    "name", "quantity", "description", "source", "csv", "group", "template", "columns", "rules", "measured",
    "printed", "excluded", "extends", "without", "require",
}  # fmt: skip
_RULE_KEYS: Final = {"when", "set", "assume", "skip"}
_MEASURE_KEYS: Final = {"column", "field", "scale", "when"}


def load_validation_set(path: Path, rows: Path | None = None) -> ValidationSet:
    """Read `path` and its CSV (or `rows` instead); InputError names every mistake with its place."""
    node = _extended(load(path), path)
    problems = _unknown_keys(node, _KEYS, "") + _unknown_parts(node)
    quantity = _text(node, "quantity", problems, "run")
    if quantity not in get_args(Quantity):
        problems.append(
            node.problem(f"quantity must be one of {', '.join(get_args(Quantity))}", "quantity", repr(quantity))
        )
    rules = _columns(node) + _rules(node, problems)
    measures = _measures(node, problems)
    if not measures and quantity == "run":
        problems.append(node.problem("a set of runs needs `measured` columns", "measured"))
    if problems:
        raise InputError(*problems)
    table = rows or _table(node, path)
    if rows is None:
        columns = header(table)
        if not columns:
            raise InputError(Problem("is empty: a header line is needed", file=str(table)))
        _check_columns(node, columns, quantity)
    found = read_rows(table)
    without = {k: str(v) for k, v in _mapping(node, "without").items()}
    if rows is None:
        _check_without(node, found)
    return ValidationSet(
        name=_text(node, "name", problems, path.stem),
        quantity=cast(Quantity, quantity),
        template=_mapping(node, "template"),
        rules=rules,
        measures=measures,
        rows=found,
        group=_text(node, "group", problems, ""),
        printed={k: str(v) for k, v in _mapping(node, "printed").items()},
        excluded={k: str(v) for k, v in _mapping(node, "excluded").items()},
        source=_text(node, "source", problems, ""),
        description=_text(node, "description", problems, ""),
        without=without,
        require=tuple(str(item.value) for item in _items(node, "require")),
    )


def _extended(node: Node, path: Path, stack: tuple[Path, ...] = ()) -> Node:
    """A set laid over the one it `extends` (a name of the library, or a file beside it); its rules come last."""
    named = node.at("extends")
    if named is None or not isinstance(node.value, dict):
        return node
    library = folder("scenarios") / "published" / f"{named.value}.yaml"
    base = library if library.is_file() else path.parent / str(named.value)
    if not base.is_file() or base in (*stack, path):
        rule = "extends itself" if base.is_file() else "no such validation set"
        raise InputError(named.problem(rule, "extends", str(named.value)))
    below = _extended(load(base), base, (*stack, path))
    own = {key: child for key, child in node.value.items() if key != "extends"}
    table = below.at("csv") or Node(f"{base.stem}.csv", below.mark)
    if "csv" not in own:
        own["csv"] = Node(str(base.parent / str(table.value)), table.mark)
    if (last := node.at("rules")) is not None and (first := below.at("rules")) is not None:
        own["rules"] = Node(_items(below, "rules") + _items(node, "rules"), first.mark, last.key_mark)
    return merge(below, Node(own, node.mark, node.key_mark))


def _table(node: Node, path: Path) -> Path:
    """The rows, beside the set that names them."""
    named = node.at("csv")
    return path.parent / (f"{path.stem}.csv" if named is None or named.value is None else str(named.value))


PARTS: Final = ("accelerator", "cluster", "framework", "workload", "plan")


def _unknown_parts(node: Node) -> list[Problem]:
    """What a row must name is a part of a scenario."""
    return [
        item.problem("is no part of a scenario", f"require[{index}]", shown(item.plain), f"one of {', '.join(PARTS)}")
        for index, item in enumerate(_items(node, "require"))
        if item.value not in PARTS
    ]


def _check_without(node: Node, rows: tuple[Row, ...]) -> None:
    """Every row left out is one of the table, and says why."""
    known = [row.get("id", "") or "" for row in rows]
    problems = [
        (Node(child.value, child.key_mark or child.mark)).problem(
            "no such row" if name not in known else "needs a reason", f"without.{name}", "", did_you_mean(name, known)
        )
        for name, child in _pairs(node, "without")
        if name not in known or not child.value
    ]
    if problems:
        raise InputError(*problems)


def _pairs(node: Node, key: str) -> list[tuple[str, Node]]:
    found = node.at(key)
    return list(found.value.items()) if found is not None and isinstance(found.value, dict) else []


def read_rows(path: Path) -> tuple[Row, ...]:
    """Rows of a CSV with a header; a row longer than its header is an error."""
    try:
        reader = csv.DictReader(table_text(path))
        rows = tuple(reader)
        if reader.fieldnames is None:
            raise InputError(Problem("is empty: a header line is needed", file=str(path)))
    except csv.Error as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=str(path))) from None
    too_long = [
        Problem("has more cells than the header", file=str(path), line=number, column=1)
        for number, row in enumerate(rows, start=2)
        if None in row
    ]
    if too_long:
        raise InputError(*too_long)
    return rows


def header(path: Path) -> tuple[str, ...]:
    """Column names of a CSV."""
    return tuple(name.strip() for name in next(csv.reader(table_text(path)), []))


def _check_columns(node: Node, columns: tuple[str, ...], quantity: str) -> None:
    """Every column a set names is in its CSV, every measured field is one a simulation gives."""
    problems = [
        where.problem("no such column", path, repr(name), did_you_mean(name, columns) or f"of {', '.join(columns)}")
        for where, path, name in _named_columns(node)
        if name not in columns
    ]
    fields = import_module("sim.validation.runs").FIELDS if quantity == "run" else ()
    for index, item in enumerate(_items(node, "measured")):
        field = item.at("field")
        if fields and field is not None and field.value not in fields:
            hint = did_you_mean(str(field.value), fields) or f"one of {', '.join(fields)}"
            problems.append(field.problem("no such figure", f"measured[{index}].field", repr(field.value), hint))
    if problems:
        raise InputError(*problems)


def _named_columns(node: Node) -> Iterator[tuple[Node, str, str]]:
    """Where a set names a column: (place, path, name)."""
    group = node.at("group")
    if group is not None and group.value:
        yield group, "group", str(group.value)
    for index, item in enumerate(_items(node, "measured")):
        column = item.at("column")
        if column is not None:
            yield column, f"measured[{index}].column", str(column.value)
    for part in ("columns", "printed"):
        yield from _keys(node.at(part), part)
    for index, rule in enumerate(_items(node, "rules")):
        yield from _keys(rule.at("when"), f"rules[{index}].when")


def _keys(node: Node | None, path: str) -> Iterator[tuple[Node, str, str]]:
    for name, child in node.value.items() if node is not None and isinstance(node.value, dict) else ():
        mark = child.key_mark or child.mark
        yield Node(child.value, mark), f"{path}.{name}", name


def _items(node: Node, key: str) -> list[Node]:
    found = node.at(key)
    return found.value if found is not None and isinstance(found.value, list) else []


def _columns(node: Node) -> tuple[Rule, ...]:
    """`columns: {layers: workload.sizes.layers}` is a rule per column that has a value."""
    return tuple(
        Rule(
            when={column: ".+"},
            assign=dict.fromkeys(map(str, paths if isinstance(paths, list) else [paths]), f"{{{column}}}"),
        )
        for column, paths in _mapping(node, "columns").items()
    )


def _rules(node: Node, problems: list[Problem]) -> tuple[Rule, ...]:
    found = []
    for index, item in enumerate(_items(node, "rules")):
        wrong = _unknown_keys(item, _RULE_KEYS, f"rules[{index}].") + _misshapen(item, f"rules[{index}].")
        problems += wrong
        if wrong:
            continue
        body = item.plain
        when = {str(k): _pattern(v) for k, v in (body.get("when") or {}).items()}
        for column, pattern in when.items():
            try:
                re.compile(pattern)
            except re.error as error:
                problems.append(
                    item.problem(f"is not a regular expression: {error}", f"rules[{index}].when.{column}", pattern)
                )
        skip = body.get("skip")
        found.append(Rule(when, body.get("set") or {}, body.get("assume") or "", skip or "", skip is False))
    return tuple(found)


def _measures(node: Node, problems: list[Problem]) -> tuple[Measure, ...]:
    found = []
    for index, item in enumerate(_items(node, "measured")):
        path = f"measured[{index}]."
        wrong = _unknown_keys(item, _MEASURE_KEYS, path) + _misshapen(item, path)
        wrong += [item.problem("is required", f"{path}{key}") for key in ("column", "field") if item.at(key) is None]
        problems += wrong
        if not wrong:
            body = item.plain
            scale = float(body.get("scale", 1.0))
            found.append(Measure(str(body["column"]), str(body["field"]), scale, body.get("when") or {}))
    return tuple(found)


_SHAPES: Final[dict[str, tuple[type | tuple[type, ...], str]]] = {
    "when": (dict, "a mapping"),
    "set": (dict, "a mapping"),
    "assume": (str, "text"),
    "skip": (str, "text"),
    "column": (str, "text"),
    "field": (str, "text"),
    "scale": ((int, float), "a number"),
}


def _misshapen(item: Node, prefix: str) -> list[Problem]:
    """Keys of a rule or a measure that hold something else than they should."""
    children = item.value.items() if isinstance(item.value, dict) else ()
    found = []
    for key, child in children:
        kind, words = _SHAPES.get(key, (object, ""))
        number = key == "scale" and not (isinstance(child.value, int | float) and 0 < child.value < 1e300)
        if child.value is not None and (not isinstance(child.value, kind) or number):
            rule = "must be a positive number" if key == "scale" else f"must be {words}"
            found.append(child.problem(rule, f"{prefix}{key}", shown(child.plain)))
        elif key == "when":
            pairs = child.value.items() if isinstance(child.value, dict) else ()
            found += [
                cell.problem("must be text", f"{prefix}when.{name}", shown(cell.plain))
                for name, cell in pairs
                if isinstance(cell.value, dict | list)
            ]
    return found


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
