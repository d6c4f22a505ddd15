"""Frameworks by name and release: scenarios/frameworks/*.yaml, laid below what a scenario says itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.fields import Kind, did_you_mean, short_name, statements
from sim.files.clusters import read_cluster
from sim.files.conditions import comparison, holds
from sim.files.fields import read, refusals
from sim.files.library import find, in_library, names, shown
from sim.files.loader import Node, load
from sim.plan.framework import Framework
from sim.plan.preset import UNKNOWN, FrameworkFile, Habit, Preset
from sim.plan.records import DEGREES
from sim.records import dataclass
from sim.scenario import PlanRequest
from sim.workload.records import Numerics

DATE: Final = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
_PARTS: Final[dict[str, tuple[tuple[str, ...], Any]]] = {
    "framework": (("framework",), Framework),
    "plan": (("plan",), PlanRequest),
    "numerics": (("workload", "numerics"), Numerics),
}


@dataclass(frozen=True, slots=True)
class Applied:
    """A scenario's tree with the habits of its framework in it, and the fields nobody states (by their path)."""

    node: Node
    framework: Preset | None = None
    unknown: tuple[str, ...] = ()


def list_frameworks() -> tuple[str, ...]:
    """Names in the library."""
    return names("frameworks")


def framework_files() -> tuple[FrameworkFile, ...]:
    """Every framework of the library."""
    return tuple(read_framework(find("frameworks", name)) for name in list_frameworks())


def load_framework(text: str, software_date: str = "") -> Preset:
    """`NAME@RELEASE`, or `NAME` for its newest release (of those out at `software_date`)."""
    return _chosen(text, software_date)[0]


def read_framework(path: Path) -> FrameworkFile:
    """A framework's file, every key of a habit known."""
    return _file(load(path, shown(path)), path.stem)


@lru_cache(maxsize=64)
def _file(node: Node, stem: str) -> FrameworkFile:
    file = read(FrameworkFile, node)
    problems = [
        problem
        for name, release in file.releases.items()
        for index, habit in enumerate(release.habits)
        for problem in _wrong(
            habit, node.at("releases", name, "habits", index) or node, f"releases.{name}.habits.{index}"
        )
    ]
    problems += [
        (node.at("limits", index, "key") or node).problem(
            "is no field of a plan or of numerics", f"limits.{index}.key", limit.key, did_you_mean(limit.key, _keys())
        )
        for index, limit in enumerate(file.limits)
        if limit.key not in (*_keys(), *_CLUSTER)
    ]
    for index, limit in enumerate(file.limits):
        problems += _never(limit.key, node.at("limits", index, "allowed") or node, f"limits.{index}.allowed")
    if file.name != stem:
        problems.append((node.at("name") or node).problem("differs from the file's name", "name", file.name))
    if problems:
        raise InputError(*problems)
    return file


def _wrong(habit: Habit, node: Node, path: str) -> Iterator[Problem]:
    """A key that nothing decides, a value or a condition that its field cannot have."""
    if habit.key not in _keys():
        rule = "is nothing a framework decides: no field of a framework, a plan or of numerics"
        hint = did_you_mean(habit.key, _keys())
        yield (node.at("key") or node).problem(rule, f"{path}.key", habit.key, hint)
    elif habit.value != UNKNOWN:
        yield from refusals(_kinds()[habit.key], node.at("value") or node, f"{path}.value")
    for key in habit.when:
        given = node.at("when", key) or node
        yield from _never(key, given, f"{path}.when.{key}")
        if key not in _kinds() and key.partition(".")[0] not in _PARTS_OF_A_SCENARIO:
            rule, hint = "is no field of a scenario", did_you_mean(key, _kinds())
            yield given.problem(rule, f"{path}.when.{key}", key, hint)


def _never(key: str, condition: Node, path: str) -> Iterator[Problem]:
    """Values of a condition that its field never has."""
    for one in condition.value if isinstance(condition.value, list) else (condition,):
        if key in _kinds() and comparison(one.plain) is None and one.plain != "none":
            yield from refusals(_kinds()[key], one, path)


@cache
def _kinds() -> Mapping[str, Kind]:
    return {f"{part}.{s.name}": s.kind for part, (_, cls) in _PARTS.items() for s in statements(cls)}


_PARTS_OF_A_SCENARIO: Final = ("workload", "cluster", "accelerator", "training")
_CLUSTER: Final = ("cluster.devices",)
"""Fields of a cluster that a limit or a condition may name."""


@cache
def _keys() -> tuple[str, ...]:
    every = (f"{part}.{f.name}" for part, (_, cls) in _PARTS.items() for f in fields(cls))
    return tuple(key for key in every if key != "framework.name")


def _chosen(text: str, software_date: str) -> tuple[Preset, Node]:
    name, at, release = text.partition("@")
    if not name.endswith((".yaml", ".yml")) and in_library("frameworks", name) is None:
        hint = did_you_mean(name, list_frameworks()) or f"one of {', '.join(list_frameworks())}"
        raise InputError(Problem("unknown framework", "framework.name", name, hint=hint))
    path = find("frameworks", name)
    file = read_framework(path)
    known = list(file.releases)
    wanted = release.lstrip("vr")
    if at:
        found = next((one for one in known if one == wanted or f"{one}.0" == wanted), None)
        if found is None:
            hint = did_you_mean(wanted, known) or f"one of {', '.join(known)}"
            raise InputError(Problem(f"unknown release of {file.name}", "framework.name", text, hint=hint))
    else:
        out = [one for one in known if not software_date or _out(file.releases[one].date, software_date)]
        if not out:
            first = file.releases[known[0]].date
            raise InputError(Problem(f"{file.name} has no release before {first}", "software_date", software_date))
        found = out[-1]
    upto = known[: known.index(found) + 1]
    habits = tuple(habit for one in upto for habit in file.releases[one].habits)
    return Preset(file.name, found, file.releases[found].date, habits, file.limits), load(path, shown(path))


def _out(date: str, software_date: str) -> bool:
    length = min(len(date), len(software_date))
    return date[:length] <= software_date[:length]


def with_framework(root: Node) -> Applied:
    """The habits of the scenario's framework below its own keys; refusals of what the framework cannot do."""
    root = _dated(root)
    named, date = root.at("framework", "name"), root.at("software_date")
    if named is None or named.value in (None, ""):
        if date is not None and date.value not in (None, ""):
            raise InputError(date.problem("is the date of a framework", "software_date", hint="name a framework too"))
        return Applied(root)
    if not isinstance(named.value, str):
        raise InputError(named.problem("must be NAME or NAME@RELEASE", "framework.name", str(named.plain)))
    framework, source = _found(named, date)
    chosen: dict[str, Node] = {}
    unknown: dict[str, None] = {}
    for habit, value in _habits(framework, source):
        if not all(holds(condition, _value(root, chosen, key)) for key, condition in habit.when.items()):
            continue
        unknown.pop(habit.key, None)
        chosen[habit.key] = value
        if habit.value == UNKNOWN:
            del chosen[habit.key]
            unknown[habit.key] = None
    _refuse(root, framework, chosen)
    for key, value in (*chosen.items(), *_only(root, framework, source)):
        if _given(root, key) is None:
            root = _with(root, _path(key), value)
    return Applied(root, framework, tuple(".".join(_path(key)) for key in unknown if _given(root, key) is None))


def _dated(root: Node) -> Node:
    """A year alone, which is a number in YAML, as a date."""
    date = root.at("software_date")
    if date is None or not isinstance(date.value, int):
        return root
    return _with(root, ("software_date",), Node(str(date.value), date.mark, date.key_mark))


def without_framework(root: Node) -> Applied:
    """The same where the framework is not found: the parts it would fill hold less than they were meant to."""
    root = _dated(root)
    for path, _ in _PARTS.values():
        if (part := root.at(*path)) is not None:
            root = _with(root, path, part.as_lost)
    return Applied(root)


def _found(named: Node, date: Node | None) -> tuple[Preset, Node]:
    text = str(named.value)
    when = "" if date is None or date.value is None else str(date.value)
    if date is not None and when and not DATE.fullmatch(when):
        raise InputError(date.problem("must be year, year-month or year-month-day", "software_date", when))
    if date is not None and when and "@" in text:
        raise InputError(date.problem("is told by the release", "software_date", when, f"leave it out, or {text!r}"))
    try:
        return _chosen(text, when)
    except InputError as error:
        raise InputError(
            *(
                p
                if p.file
                else (date if date is not None and p.path == "software_date" else named).problem(
                    p.rule, p.path, p.value, p.hint
                )
                for p in error.problems
            )
        ) from None


def _habits(framework: Preset, source: Node) -> Iterator[tuple[Habit, Node]]:
    """Habits with the node of their value, in the order of the file."""
    nodes = []
    releases = source.at("releases")
    for release in releases.value if releases is not None and isinstance(releases.value, dict) else ():
        habits = source.at("releases", release, "habits")
        count = len(habits.value) if habits is not None and isinstance(habits.value, list) else 0
        nodes += [source.at("releases", release, "habits", index, "value") for index in range(count)]
    for habit, node in zip(framework.habits, nodes, strict=False):
        if node is not None:
            yield habit, Node(node.value, node.mark, node.mark)


def _only(root: Node, framework: Preset, source: Node) -> Iterator[tuple[str, Node]]:
    """Fields of a plan to be searched of which the framework can do one value."""
    search = root.at("plan", "search")
    for index, limit in enumerate(framework.limits if search is not None and search.value is True else ()):
        node = source.at("limits", index, "allowed")
        if node is not None and not isinstance(limit.allowed, list | tuple) and comparison(limit.allowed) is None:
            yield limit.key, Node(node.value, node.mark, node.mark)


def _path(key: str) -> tuple[str, ...]:
    part, _, name = key.partition(".")
    return (*_PARTS[part][0], name) if part in _PARTS else tuple(key.split("."))


def _given(root: Node, key: str) -> Node | None:
    """What the scenario itself says of a field, under its name or the short one."""
    *parents, name = _path(key)
    short = short_name(name)
    found = root.at(*parents, name)
    return found if found is not None or not short else root.at(*parents, short)


def _value(root: Node, chosen: dict[str, Node], key: str) -> object:
    """A field as given, as an earlier habit sets it, or by default (a degree left open is 1)."""
    node = _given(root, key) or chosen.get(key)
    if node is not None:
        return node.plain
    if key in _CLUSTER:
        return _devices(root.at("cluster"))
    part, _, name = key.partition(".")
    default = next((f.default for f in fields(_PARTS[part][1]) if f.name == name), None) if part in _PARTS else None
    return 1 if default is None and key in _DEGREES else "none" if default is None else default


def _devices(cluster: Node | None) -> int | None:
    """How many devices there are; None where the cluster is told to be wrong."""
    try:
        return None if cluster is None else read_cluster(cluster).devices
    except InputError:
        return None


_DEGREES: Final = frozenset(f"plan.{name}" for name in (*DEGREES, "virtual_stages"))


def _refuse(root: Node, framework: Preset, chosen: dict[str, Node]) -> None:
    problems = []
    for limit in framework.limits:
        if holds(limit.allowed, _value(root, chosen, limit.key)):
            continue
        given = _given(root, limit.key)
        if given is None and (root.at(*_path(limit.key)[:-1]) or root).lost:
            continue
        there = given or root.at("framework") or root
        allowed = limit.allowed if not isinstance(limit.allowed, list) else " or ".join(map(str, limit.allowed))
        rule = f"{framework} can only do {allowed}"
        problems.append(there.problem(rule, ".".join(_path(limit.key)), str(there.plain), limit.source))
    if problems:
        raise InputError(*problems)


def _with(node: Node, steps: tuple[str, ...], value: Node) -> Node:
    """`node` with `value` at `steps`, mappings made on the way; something else in the way stays, to be told."""
    if not isinstance(node.value, dict | None):
        return node
    head, rest = steps[0], steps[1:]
    children = dict(node.value) if isinstance(node.value, dict) else {}
    below = children.get(head) or Node({}, value.mark, value.mark)
    children[head] = _with(below, rest, value) if rest else value
    return Node(children, node.mark, node.key_mark, node.lost)
