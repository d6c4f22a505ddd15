"""A validation set: a YAML that says how rows become scenarios, beside a CSV of published rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import Literal

from sim.errors import InputError, Problem
from sim.fields import Record, about, did_you_mean
from sim.files.fields import read
from sim.files.kinds import refuse_other_kind
from sim.files.library import folder
from sim.files.loader import Node, load
from sim.files.merge import merge
from sim.files.schema import Definitions, Schema
from sim.files.table_text import table_text
from sim.records import dataclass
from sim.validation.validation import Cell, Measure, Quantity, Row, Rule, ValidationSet, wrong_patterns


@dataclass(frozen=True, slots=True)
class SetFile(Record):
    """A validation set: scenarios/published/*.yaml beside a CSV of its rows."""

    name: str = field(default="", metadata=about("what it is called; empty: as its file"))
    quantity: Quantity = field(default="run", metadata=about("what is simulated of a row"))
    description: str = field(default="", metadata=about("a sentence for people"))
    source: str = field(default="", metadata=about("where the rows come from"))
    extends: str = field(default="", metadata=about("a set of the library, or a file, this one is laid over"))
    csv: str = field(default="", metadata=about("file of the rows beside it; empty: of its own name"))
    group: str = field(default="", metadata=about("column of the published set a row belongs to"))
    require: tuple[Literal["accelerator", "cluster", "framework", "workload", "plan"], ...] = field(
        default=(), metadata=about("parts of a scenario that a rule must name, whatever the template has")
    )
    template: Mapping[str, object] = field(default_factory=dict, metadata=about("what all rows have in common"))
    columns: Mapping[str, str | tuple[str, ...]] = field(
        default_factory=dict, metadata=about("column: field or fields of the scenario that its cell sets")
    )
    rules: tuple[Rule, ...] = field(default=(), metadata=about("how cells become fields, later over earlier"))
    measured: tuple[Measure, ...] = field(default=(), metadata=about("columns a simulation is compared with"))
    printed: Mapping[str, Cell] = field(
        default_factory=dict, metadata=about("column: what its cell says where every field is printed")
    )
    excluded: Mapping[str, str] = field(default_factory=dict, metadata=about("group: why it is in no average"))
    without: Mapping[str, str] = field(default_factory=dict, metadata=about("row: why it is left out"))
    no_memory: str = field(default="", metadata=about("why none of its rows shows that a layout fits its devices"))

    def contradictions(self) -> Iterator[Problem]:
        """Runs are compared with something; patterns are some."""
        yield from wrong_patterns(self.printed, "printed")
        if self.quantity == "run" and not self.measured and not self.extends:
            yield Problem("is required in a set of runs: columns to compare with", "measured")


def set_schema(definitions: Definitions) -> Schema:
    """JSON Schema of a set; what it leaves out may stand in the one it extends."""
    other = {"required": ["quantity"], "properties": {"quantity": {"not": {"const": "run"}}}}
    measured = {"required": ["measured"], "properties": {"measured": {"minItems": 1}}}
    either = [{"required": ["extends"]}, other]
    return definitions.whole(SetFile) | {"if": {"anyOf": either}, "else": measured}


def load_validation_set(path: Path, rows: Path | None = None) -> ValidationSet:
    """Read `path` and its CSV (or `rows` instead); InputError names every mistake with its place."""
    own = load(path)
    refuse_other_kind(path, own, "validation set")
    node, problems = _extended(own, path), list[Problem]()
    file, found = SetFile(measured=(Measure("", ""),)), tuple[Row, ...]()
    try:
        file = read(SetFile, node)
    except InputError as error:
        problems += error.problems
    try:
        table = rows or _table(node, path)
        if rows is None and (columns := header(table)):
            problems += _wrong_columns(node, columns)
        found = read_rows(table)
        problems += _wrong_rows(node, found) if rows is None else ()
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    return ValidationSet(
        name=file.name or path.stem,
        quantity=file.quantity,
        template=file.template,
        rules=(*_columns(file), *file.rules),
        measures=file.measured,
        rows=found,
        group=file.group,
        printed=file.printed,
        excluded=file.excluded,
        source=file.source,
        description=file.description,
        without=file.without,
        require=file.require,
        no_memory=file.no_memory,
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


def _wrong_rows(node: Node, rows: tuple[Row, ...]) -> Iterator[Problem]:
    """Every row left out is one of the table, and says why."""
    known = [row.get("id", "") or "" for row in rows]
    for name, child in _pairs(node, "without"):
        if name not in known or not child.value:
            there = Node(child.value, child.key_mark or child.mark)
            rule = "no such row" if name not in known else "needs a reason"
            yield there.problem(rule, f"without.{name}", "", did_you_mean(name, known))


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
    if not rows:
        raise InputError(Problem("has no rows", file=str(path)))
    return rows


def header(path: Path) -> tuple[str, ...]:
    """Column names of a CSV."""
    return tuple(name.strip() for name in next(csv.reader(table_text(path)), []))


def _wrong_columns(node: Node, columns: tuple[str, ...]) -> Iterator[Problem]:
    """Columns that are not in the table, and measured figures that no simulation gives."""
    for where, path, name in _named_columns(node):
        if name not in columns:
            hint = did_you_mean(name, columns) or f"of {', '.join(columns)}"
            yield where.problem("no such column", path, repr(name), hint)
    quantity = node.at("quantity")
    if quantity is not None and quantity.value not in (None, "run"):
        return
    fields = import_module("sim.validation.runs").FIELDS
    for index, item in enumerate(_items(node, "measured")):
        figure = item.at("field")
        if figure is not None and isinstance(figure.value, str) and figure.value not in fields:
            hint = did_you_mean(figure.value, fields) or f"one of {', '.join(fields)}"
            yield figure.problem("no such figure", f"measured.{index}.field", repr(figure.value), hint)


def _named_columns(node: Node) -> Iterator[tuple[Node, str, str]]:
    """Where a set names a column: (place, path, name)."""
    group = node.at("group")
    if group is not None and group.value and isinstance(group.value, str):
        yield group, "group", group.value
    for index, item in enumerate(_items(node, "measured")):
        column = item.at("column")
        if column is not None and isinstance(column.value, str):
            yield column, f"measured.{index}.column", str(column.value)
    for part in ("columns", "printed"):
        yield from _keys(node.at(part), part)
    for index, rule in enumerate(_items(node, "rules")):
        yield from _keys(rule.at("when"), f"rules.{index}.when")


def _keys(node: Node | None, path: str) -> Iterator[tuple[Node, str, str]]:
    for name, child in node.value.items() if node is not None and isinstance(node.value, dict) else ():
        mark = child.key_mark or child.mark
        yield Node(child.value, mark), f"{path}.{name}", name


def _items(node: Node, key: str) -> list[Node]:
    found = node.at(key)
    return found.value if found is not None and isinstance(found.value, list) else []


def _columns(file: SetFile) -> Iterator[Rule]:
    """`columns: {layers: workload.sizes.layers}` is a rule per column that has a value."""
    for column, paths in file.columns.items():
        yield Rule({column: ".+"}, dict.fromkeys([paths] if isinstance(paths, str) else paths, f"{{{column}}}"))
