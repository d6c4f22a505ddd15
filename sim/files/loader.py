"""YAML text to a tree of nodes that know where they stand.

Scalars follow the YAML 1.2 core schema (`1e9` is a float, `on` and `12:30` are strings); duplicate keys, tags,
several documents, deep nesting and alias bombs are refused.  Every node keeps file:line:column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from sim.errors import InputError, Problem
from sim.files.library import confine
from sim.records import dataclass

MAX_BYTES: Final = 16_000_000
MAX_NODES: Final = 500_000
MAX_DEPTH: Final = 60

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a node stands; line and column count from 1, line 0 means "not in a file" (e.g. `--set`)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a mapping of key to node, or a list of nodes; `key_mark` is where its key stands.

    Never changed once made (a file's tree is kept and shared), and equal only to itself.
    """

    value: Scalar | dict[str, Node] | list[Node]
    mark: Mark
    key_mark: Mark | None = None
    lost: bool = False  # what it is laid over was not found: what it leaves out is not known

    @property
    def plain(self) -> Any:
        """The bare Python value, marks dropped."""
        if isinstance(self.value, dict):
            return {key: child.plain for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain for child in self.value]
        return self.value

    def at(self, *path: str | int) -> Node | None:
        """The node at `path`, or None."""
        node: Node | None = self
        for step in path:
            value = node.value if node is not None else None
            if isinstance(value, dict):
                node = value.get(str(step))
            elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
                node = value[step]
            else:
                return None
        return node

    @property
    def as_lost(self) -> Node:
        """The same, every mapping in it laid over something not found."""
        value = self.value
        if isinstance(value, dict):
            return Node({key: child.as_lost for key, child in value.items()}, self.mark, self.key_mark, lost=True)
        if isinstance(value, list):
            return Node([child.as_lost for child in value], self.mark, self.key_mark)
        return self

    def leaves(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Every scalar (and empty container) with its path, in file order."""
        items: list[tuple[str | int, Node]] = []
        if isinstance(self.value, dict):
            items = list(self.value.items())
        elif isinstance(self.value, list):
            items = list(enumerate(self.value))
        if not items:
            yield path, self
        for key, child in items:
            yield from child.leaves((*path, key))

    def problem(self, rule: str, path: str = "", value: str = "", hint: str = "") -> Problem:
        """A `Problem` at this node."""
        return Problem(rule, path, value, self.mark.file, self.mark.line, self.mark.column, hint)


def load(path: Path, shown: str = "") -> Node:
    """The tree of a YAML file; `shown` is the name messages use for it."""
    name = shown or str(path)
    if confine(path).is_dir():
        raise InputError(Problem("is a directory, a YAML file is needed", file=name))
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(Problem(f"is larger than {MAX_BYTES // 10**6} MB", file=name))
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(Problem("no such file", file=name)) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not YAML: not UTF-8 text", file=name)) from None
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=name)) from None
    return _kept(text, name)


def parse(text: str, file: str = "<text>") -> Node:
    """The tree of YAML `text`; an empty document is an empty mapping."""
    try:
        return _Composer(text, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        rule = f"is not YAML: {error.problem or error.context}"
        raise InputError(Problem(rule, file=file, line=line, column=column)) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(f"is not YAML: {str(error).splitlines()[0]}", file=file)) from None
    except RecursionError:
        raise InputError(Problem("is nested too deeply", file=file)) from None


_kept: Final = lru_cache(maxsize=256)(parse)
"""Trees of files by what they hold: rows of a set, and designs of a study, name the same few."""


class _Composer:
    """Builds nodes from parser events, counting what aliases expand to."""

    def __init__(self, text: str, file: str) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self.file = file
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.nodes = 0
        self.problems: list[Problem] = []

    def document(self) -> Node:
        """The single document of the stream."""
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._error(event, "must hold one YAML document")
                root = self._node(next(self.events), 0)
        if self.problems:
            raise InputError(*self.problems)
        return root or Node({}, Mark(self.file, 1, 1))

    def _mark(self, event: Any) -> Mark:
        return Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _error(self, event: Any, rule: str, value: str = "", hint: str = "") -> InputError:
        mark = self._mark(event)
        return InputError(Problem(rule, "", value, mark.file, mark.line, mark.column, hint))

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._error(event, f"expands to more than {MAX_NODES} values", hint="an alias bomb?")

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._error(event, f"is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._error(event, "alias without an anchor before it", f"*{event.anchor}")
            node, size = self.anchors[event.anchor]
            self._count(event, size)
            return node
        before = self.nodes
        self._count(event, 1)
        if event.tag not in (None, "!"):
            raise self._error(event, "tags are not accepted", event.tag)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event), self._mark(event))
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._sequence(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.nodes - before)
        return node

    def _scalar(self, event: Any) -> Scalar:
        if not event.implicit[0]:
            return str(event.value)
        try:
            return core_scalar(event.value)
        except ValueError:
            raise self._error(event, "must be a number of fewer digits") from None

    def _mapping(self, event: Any, depth: int) -> Node:
        children: dict[str, Node] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self._error(key, "a key must be plain text")
            mark, name = self._mark(key), str(key.value)
            child = self._node(next(self.events), depth + 1)
            if name in children:
                first = children[name].key_mark
                at = f"first at line {first.line}" if first else ""
                self.problems.append(Problem("duplicate key", name, "", mark.file, mark.line, mark.column, at))
            children[name] = Node(child.value, child.mark, mark)
        return Node(children, self._mark(event))

    def _sequence(self, event: Any, depth: int) -> Node:
        children: list[Node] = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            children.append(self._node(item, depth + 1))
        return Node(children, self._mark(event))


_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def core_scalar(text: str) -> Scalar:
    """The value of a plain scalar by the YAML 1.2 core schema (yaml.org/spec/1.2.2, §10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text
