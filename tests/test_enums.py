"""Choices are compared as enums: a misspelt one is a name that does not exist, not a branch never taken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import sim
from sim.fields import Choice, OneOf, records_below, statements
from sim.network.records import Cluster
from sim.scenario import Scenario

ROOT = Path(sim.__file__).parent


def enumerated() -> dict[str, frozenset[str]]:
    """Fields of records that take the members of an enum, and the texts of those."""
    found: dict[str, frozenset[str]] = {}
    for cls in (*records_below(Scenario), *records_below(Cluster)):
        for statement in statements(cls):
            kinds = statement.kind.kinds if isinstance(statement.kind, OneOf) else (statement.kind,)
            for kind in kinds:
                if isinstance(kind, Choice) and isinstance(kind.values[0], StrEnum):
                    found[statement.name] = found.get(statement.name, frozenset()) | {str(v) for v in kind.values}
    return found


def compared_as_text(fields: dict[str, frozenset[str]]) -> Iterator[str]:
    """Comparisons in sim/ of such a field with a text that is one of its choices."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute):
                texts = {n.value for c in node.comparators for n in ast.walk(c) if isinstance(n, ast.Constant)}
                if texts & fields.get(node.left.attr, frozenset()):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_no_enum_is_compared_as_text() -> None:
    fields = enumerated()
    assert {"sharding", "schedule", "recompute", "routing", "status", "optimizer"} <= set(fields)
    assert list(compared_as_text(fields)) == []
