"""Which constants were set with which published rows in sight: read from the data that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields
from typing import Any, Final

from sim.device.generation import Generation
from sim.fields import FILLED, Confidence, Record, about
from sim.files.fields import read
from sim.files.frameworks import framework_files
from sim.files.generations import list_generations, load_generation
from sim.files.library import find, folder, shown
from sim.files.loader import load
from sim.records import dataclass

FILE: Final = "constants.yaml"


@dataclass(frozen=True, slots=True)
class Constant(Record):
    """One calibrated constant."""

    name: str = field(metadata=about("what it is", pattern=FILLED))
    where: str = field(metadata=about("the file that holds it"))
    source: str = field(metadata=about("publication, measurement, or `recalled`, `assumed`"))
    confidence: Confidence = field(metadata=about("A measured … D recalled or assumed"))
    rows: tuple[str, ...] = field(default=(), metadata=about("sets of published rows in sight when it was set"))
    value: object = field(default=None, metadata=about("its value, where it is one figure"))
    python: str = field(default="", metadata=about("the name that holds it in the code"))


@dataclass(frozen=True, slots=True)
class ConstantsFile(Record):
    """scenarios/constants.yaml."""

    constants: tuple[Constant, ...] = field(metadata=about("constants outside generations and frameworks"))


def constants() -> tuple[Constant, ...]:
    """Every constant with rows in sight, and every one of the list that had none."""
    return (*_generations(), *_frameworks(), *listed())


def listed() -> tuple[Constant, ...]:
    """Those that stand neither in a generation nor in a framework."""
    path = folder("scenarios") / FILE
    return read(ConstantsFile, load(path, shown(path))).constants


def _generations() -> Iterator[Constant]:
    """What each file states itself; what it takes from the generation it extends stands there."""
    for name in list_generations():
        path = find("generations", name)
        stated, generation = load(path).at("sources"), load_generation(name)
        for constant, evidence in generation.sources.items():
            if stated is None or constant not in stated.plain or not evidence.rows:
                continue
            if value := _value(generation, constant):
                where = f"hardware/generations/{name}.yaml"
                yield Constant(f"{name} {constant}", where, evidence.source, evidence.confidence, evidence.rows, value)


def _value(generation: Generation, constant: str) -> str:
    """The figures of a constant as text; of a group its numbers by name."""
    found: Any = generation
    for step in constant.split("."):
        names = {f.name.removesuffix("_s").removesuffix("_bytes"): f.name for f in fields(found)}
        found = getattr(found, names[step])
    if isinstance(found, float | int):
        return f"{found:g}"
    if found is None:
        return ""
    pairs = found.items() if hasattr(found, "items") else ((f.name, getattr(found, f.name)) for f in fields(found))
    return ", ".join(f"{name} {value:g}" for name, value in pairs if isinstance(value, float | int))


def _frameworks() -> Iterator[Constant]:
    for file in framework_files():
        for release, body in file.releases.items():
            for habit in body.habits:
                if habit.rows:
                    where = f"scenarios/frameworks/{file.name}.yaml"
                    name = f"{file.name}@{release} {habit.key}"
                    yield Constant(name, where, habit.source, habit.confidence, habit.rows, habit.value)
