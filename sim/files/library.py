"""The library: hardware and scenarios that come with foretrain, found in the installed package or the checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final, Literal

from sim.errors import InputError, Problem
from sim.fields import did_you_mean

Kind = Literal[
    "scenarios",
    "accelerators",
    "clusters",
    "generations",
    "frameworks",
    "hosts",
    "storage",
    "inputs",
    "models",
    "scaling",
    "workloads",
    "numerics",
    "plans",
    "training",
    "campaigns",
    "validation",
    "process",
]
FOLDERS: Final[dict[Kind, str]] = {
    "scenarios": "scenarios",
    "accelerators": "hardware/accelerators",
    "clusters": "hardware/clusters",
    "generations": "hardware/generations",
    "frameworks": "scenarios/frameworks",
    "hosts": "hardware/hosts",
    "storage": "hardware/storage",
    "inputs": "scenarios/inputs",
    "models": "scenarios/models",
    "scaling": "scenarios/scaling",
    "workloads": "scenarios/workloads",
    "numerics": "scenarios/numerics",
    "plans": "scenarios/plans",
    "training": "scenarios/training",
    "campaigns": "scenarios/campaigns",
    "validation": "scenarios/published",
    "process": "hardware/process",
}
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_WITHIN: Final[ContextVar[Path | None]] = ContextVar("within", default=None)


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Inside, no file is looked for or read but those of the library and those in `folder`, links followed: what a page
    of `foretrain app` names is not its user's word."""
    token = _WITHIN.set(real(folder))
    try:
        yield
    finally:
        _WITHIN.reset(token)


def here() -> Path:
    """Where relative names start: the folder files are looked for `within`, else the current one."""
    return _WITHIN.get() or Path()


def confine(path: Path) -> Path:
    """The path itself; InputError where files are looked for `within` a folder and it lies outside."""
    folder = _WITHIN.get()
    if folder is None or any(real(path).is_relative_to(place) for place in (folder, *_library())):
        return path
    raise InputError(Problem("lies outside the folder this app may read", file=str(path), hint=f"it reads {folder}"))


def root() -> Path:
    """The folder that holds `hardware/` and `scenarios/`: inside an installed package, else the checkout."""
    return _root(__file__)


@cache
def _root(module: str) -> Path:
    package = Path(module).resolve().parents[1]
    for folder in (package / "_data", package.parent):
        if (folder / "hardware").is_dir() and (folder / "scenarios").is_dir():
            return folder
    raise InputError(Problem("the library (hardware/ and scenarios/) is not installed", file=str(package)))


def _library() -> tuple[Path, Path]:
    """The two folders of the library; what else lies in a checkout is none of it."""
    return root() / "hardware", root() / "scenarios"


def folder(kind: Kind) -> Path:
    """Where the library keeps one kind of file."""
    return root() / FOLDERS[kind]


def names(kind: Kind) -> tuple[str, ...]:
    """Names of one kind, sorted: paths below its folder without suffix; parts are not listed as scenarios."""
    base = folder(kind)
    found = (p.relative_to(base).with_suffix("").as_posix() for p in base.rglob("*.yaml"))
    parts = {path.partition("/")[2] for path in FOLDERS.values()} if kind == "scenarios" else set()
    return tuple(sorted(name for name in found if name.partition("/")[0] not in parts))


def real(path: Path) -> Path:
    """The file behind links; one that leads to itself stays as it is, and is told when it is read."""
    return Path(os.path.realpath(path))


def find(kind: Kind, name: str, near: Path | None = None) -> Path:
    """The file behind `name`: a path (from `near`, then from here) or a name in the library."""
    if "\x00" in name or not name.strip():
        raise InputError(Problem(f"no such {_singular(kind)}", value=repr(name)))
    path = _expanded(name)
    places = [place for place in (near, here()) if place is not None]
    if path.suffix in _SUFFIXES:
        return next((place / path for place in places if confine(place / path).exists()), places[-1] / path)
    if (inside := in_library(kind, name)) is not None:
        return inside
    for place in places:
        for candidate in (place / path, place / f"{name}.yaml"):
            if confine(candidate).is_file():
                return candidate
        if (place / path).is_dir():
            raise InputError(Problem("is a directory, a YAML file is needed", file=name))
    hint = did_you_mean(name, names(kind)) or _near_miss(kind, name)
    raise InputError(
        Problem(f"no such {_singular(kind)}: neither a file nor a name in the library", "", name, hint=hint)
    )


def _expanded(name: str) -> Path:
    """The path with `~` as the home folder; as it is where nobody is called so."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def shown(path: Path) -> str:
    """How messages call a file: library files from the library's root, others as given."""
    resolved, base = real(path), root()
    return resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else str(path)


def in_library(kind: Kind, name: str) -> Path | None:
    """The file of a name of the library."""
    base = folder(kind)
    candidate = base / f"{name}.yaml"
    return candidate if candidate.is_file() and real(candidate).is_relative_to(base) else None


def _near_miss(kind: Kind, name: str) -> str:
    """The name somebody meant who left the folder out."""
    close = [known for known in names(kind) if known.rpartition("/")[2] == name.rpartition("/")[2]]
    return f'did you mean "{close[0]}"?' if close else ""


def _singular(kind: Kind) -> str:
    """One file of a kind, as messages call it."""
    odd = {
        "storage": "storage",
        "scaling": "scaling domain",
        "training": "training part",
        "numerics": "set of number formats",
    }
    return odd.get(kind, kind.removesuffix("s"))
