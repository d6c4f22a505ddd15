"""Checking any file foretrain reads: what kind it is, and every problem in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from sim.engine.feed.request import InputData
from sim.errors import InfeasibleError, InputError, Lever, Problem, UnreachableError
from sim.files import library
from sim.files.fields import read
from sim.files.frameworks import read_framework
from sim.files.idle import idle_fields
from sim.files.kinds import kind_of
from sim.files.lint import suspicions
from sim.files.loader import Node, load
from sim.files.models import load_model_file
from sim.files.scaling import load_domain
from sim.files.scenario import build, load_document, locating
from sim.records import dataclass
from sim.scenario import PlanRequest
from sim.simulation import check_scenario
from sim.workload.records import Numerics

Reader: TypeAlias = Callable[[Path, Node], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one file."""

    file: str
    kind: str
    problems: tuple[Problem, ...] = ()
    advice: tuple[Problem, ...] = ()  # what `run` takes but looks like a slip; an error in the library


def files_of(path: str) -> list[Path]:
    """The file behind a path or a scenario's name, or every YAML file below a folder."""
    place = Path(path)
    if place.is_dir():
        return sorted(p for p in place.rglob("*") if p.suffix in (".yaml", ".yml") and p.is_file())
    return [library.find("scenarios", path)]


def check_file(path: Path, sets: Sequence[str] = (), readers: Mapping[str, Reader] = MappingProxyType({})) -> Finding:
    """Read the file as what it is; its problems instead of an exception. `readers` adds kinds of upper rooms."""
    shown = library.shown(path)
    kind = "unreadable"
    try:
        node = load(path, shown)
        kind = kind_of(path, node)
        if kind == "scenario":
            return Finding(shown, kind, advice=_scenario(path, sets))
        elif kind in _LINTED:
            return _linted(path, shown, kind)
        elif reader := {**_READERS, **readers}.get(kind):
            reader(path, node)
    except InputError as error:
        return Finding(shown, kind, error.problems)
    return Finding(shown, kind)


def _scenario(path: Path, sets: Sequence[str]) -> tuple[Problem, ...]:
    """What `run` would refuse, and the plan that does not fit, each at the line to change; what it would not read."""
    document = load_document(path, sets)
    scenario = build(document)
    try:
        with locating(document):
            check_scenario(scenario)
    except InfeasibleError as error:
        there = document.node.at("plan") or document.node
        hint = "; ".join(_lever(lever) for lever in error.reason.levers[:1])
        raise InputError(there.problem(error.reason.statement, "plan", hint=hint)) from None
    except UnreachableError as error:
        there = document.node.at("target", "error") or document.node
        raise InputError(there.problem(error.reason.statement, "target.error")) from None
    return idle_fields(document, scenario)


def _lever(lever: Lever) -> str:
    """What would help, with the memory it leaves."""
    sized = lever.quantity == "memory_bytes" and lever.effect is not None
    return f"{lever.change}: {(lever.effect or 0.0) / 2**30:.4g} GiB" if sized else lever.change


def _linted(path: Path, shown: str, kind: str) -> Finding:
    """Hardware files answer to more than their schema."""
    found = tuple(suspicions(path))
    ours = library.real(path).is_relative_to(library.root() / "hardware")
    return Finding(shown, kind, found) if ours else Finding(shown, kind, advice=found)


#: Hardware answers to more than its schema.
_LINTED: Final = frozenset({"generation", "host", "storage", "cluster", "accelerator", "links", "process data"})
_READERS: Final[dict[str, Reader]] = {
    "scaling domain": lambda path, node: load_domain(str(path)),
    "numerics": lambda path, node: read(Numerics, node),
    "framework": lambda path, node: read_framework(path),
    "plan": lambda path, node: read(PlanRequest, node),
    "input data": lambda path, node: read(InputData, node),
    "published model": lambda path, node: load_model_file(path.stem),
}
