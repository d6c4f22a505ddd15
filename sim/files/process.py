"""Files of hardware/process: what is known of making chips, and the chips that knowledge is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from sim.device.silicon import Blocks, Core, Node, Process, Stack
from sim.errors import InputError, Problem
from sim.fields import FILLED, Record, about
from sim.files.fields import read
from sim.files.library import folder, shown
from sim.files.loader import Node as Tree
from sim.files.loader import load
from sim.records import dataclass

T = TypeVar("T")
Coefficient = Literal["area", "energy", "clock"]


@dataclass(frozen=True, slots=True)
class KnownChip(Record):
    """What is published of the making of a chip; areas in mm², memories in MiB."""

    core: str = field(metadata=about("kind of core"))
    node: str = field(metadata=about("process node"))
    area: float = field(metadata=about("of all compute dies", "mm²", gt=0))
    dies: int = field(metadata=about("compute dies", ge=1))
    cores: int = field(metadata=about("on the dies", ge=1))
    enabled: int = field(metadata=about("sold", ge=1))
    width: int = field(metadata=about("16-bit multiply-adds of a core a clock", ge=1))
    local_mib: float = field(metadata=about("registers and first-level memory of a core", "MiB", gt=0))
    cache_mib: float = field(metadata=about("last-level cache on the die", "MiB", ge=0))
    memory: str = field(metadata=about("generation of memory"))
    stacks: int = field(metadata=about("stacks in use", ge=1))
    year: float = field(metadata=about("when it shipped"))
    clock: float = field(metadata=about("of the published peak", "GHz", gt=0))
    source: str = field(metadata=about("who published it", pattern=FILLED))
    chip: str = field(default="", metadata=about("its file in hardware/accelerators"))
    fit: tuple[Coefficient, ...] = field(default=(), metadata=about("coefficients fitted on it; empty: held out"))
    io: str = field(default="", metadata=about("node of dies below"))
    links: tuple[str, ...] = field(default=(), metadata=about("types of links"))
    links_mm2: float = field(default=0.0, metadata=about("area of links no type stands for", "mm²", ge=0))
    note: str = field(default="", metadata=about("what the model leaves out of it"))


KINDS: Final[Mapping[str, type]] = {"nodes": Node, "memory": Stack, "cores": Core, "chips": KnownChip, "blocks": Blocks}
"""What each file of the folder holds: one record, or records by name."""


def read_process_file(path: Path) -> Any:
    """One file of the folder: a record, or a mapping to records."""
    tree, cls = load(path, shown(path)), KINDS.get(path.stem)
    if cls is None:
        raise InputError(tree.problem("is none of the files of hardware/process", "", path.name, ", ".join(KINDS)))
    return read(cls, tree) if cls is Blocks else _named(cls, tree)


def _named(cls: type[T], tree: Tree) -> dict[str, T]:
    """Records by name; every problem of every record at once."""
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for name, child in (tree.value if isinstance(tree.value, dict) else {}).items():
        try:
            found[name] = read(cls, child, name)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return found


def _file(name: str) -> Any:
    return read_process_file(folder("process") / f"{name}.yaml")


@cache
def load_process() -> Process:
    """What is known of making chips."""
    return Process(_file("nodes"), _file("memory"), _file("cores"), _file("blocks"))


@cache
def load_known_chips() -> Mapping[str, KnownChip]:
    """The chips whose making is published, by name."""
    found: dict[str, KnownChip] = _file("chips")
    return found
