"""Published models by name: scenarios/models/*.yaml, a file each with sizes, parameter count and source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.fields import FILLED, Confidence, Record, about, did_you_mean
from sim.files.fields import read, read_partial
from sim.files.library import confine, find, here, names, shown
from sim.files.loader import Node, load
from sim.records import dataclass
from sim.workload.records import Model
from sim.workload.registry import FAMILIES

SUFFIXES: Final = ("hf", "uncased", "cased", "v01", "v03", "patch16224", "instruct", "base")
"""Endings that repositories of weights add to a model's name."""


@dataclass(frozen=True, slots=True)
class PublishedModel(Record):
    """A published model: scenarios/models/*.yaml."""

    name: str = field(metadata=about("as its file", pattern=FILLED))
    family: str = field(metadata=about("model family"))
    sizes: Mapping[str, object] = field(metadata=about("sizes of the family"))
    source: str = field(metadata=about("paper and table, or configuration of the released weights"))
    confidence: Confidence = field(metadata=about("A counted in the weights … D recalled"))
    published: float = field(
        default=0.0, metadata=about("parameters of the released weights, or as printed; 0: no figure found", ge=0)
    )
    aliases: tuple[str, ...] = field(default=(), metadata=about("other names, letters and digits only"))


@cache
def list_models() -> tuple[str, ...]:
    """Names in the library, as it was at the first question."""
    return names("models")


@cache
def load_model_file(name: str) -> PublishedModel:
    """The published model of that very name, its sizes checked as its family's."""
    path = find("models", name)
    node = load(path, shown(path))
    file = read_model(node)
    if file.name != path.stem:
        raise InputError((node.at("name") or node).problem("differs from the file's name", "name", file.name))
    return file


def read_model(node: Node) -> PublishedModel:
    """The published model a node of YAML says."""
    file = read(PublishedModel, node)
    if file.family not in FAMILIES:
        there = node.at("family") or node
        raise InputError(
            there.problem("unknown model family", "family", file.family, did_you_mean(file.family, FAMILIES))
        )
    checked = read_partial(FAMILIES[file.family], node.at("sizes") or node, "sizes")
    sizes = {key: checked[key] for key in file.sizes}
    named = any(f.name == "name" for f in fields(FAMILIES[file.family]))  # type: ignore[arg-type]
    sizes |= {"name": file.name} if named else {}
    return PublishedModel(file.name, file.family, sizes, file.source, file.confidence, file.published, file.aliases)


def squashed(name: str) -> str:
    """Letters and digits only, without an organisation in front."""
    return "".join(c for c in name.lower().rsplit("/", 1)[-1] if c.isalnum())


def canonical(name: str) -> str | None:
    """The model that `name` means: spelling (`Llama-2-7b-hf`, `meta-llama/…`) is forgiven, nothing else."""
    return _spelt(name, _squashed()) or _spelt(name, _aliases())


@cache
def _squashed() -> Mapping[str, str]:
    return {squashed(key): key for key in list_models()}


def _spelt(name: str, known: Mapping[str, str]) -> str | None:
    wanted = squashed(name).replace("llama31", "llama3")
    return next((known[short] for suffix in ("", *SUFFIXES) if (short := wanted.removesuffix(suffix)) in known), None)


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: name for name in list_models() for alias in load_model_file(name).aliases}


def is_model(name: str) -> bool:
    """Whether `name` is a family or a published model."""
    return name in FAMILIES or canonical(name) is not None


def config_file(name: str, folder: Path) -> Path | None:
    """The Hugging Face `config.json` that `name` means, on this disk: the file, its folder (from `folder`), or a hub id
    (`ORG/NAME`) in the hub's cache, its `main` revision. A name of the library is no path, but `./gpt2` is."""
    if is_model(name) and not name.startswith((".", "/")):
        return None
    folder = here() / folder
    for path in (folder / name, folder / name / "config.json"):
        if path.suffix == ".json" and (confine(path).is_file() or path.name == Path(name).name):
            return path
    if name.count("/") != 1 or not all(name.split("/")):
        return None
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cached = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{name.replace('/', '--')}"
    main = cached / "refs" / "main"
    if not confine(main).is_file():
        return None
    found = cached / "snapshots" / main.read_text(encoding="utf-8").strip() / "config.json"
    return found if found.is_file() else None


def family_of(name: str) -> tuple[str, dict[str, Any]] | None:
    """Family and sizes already given: none for a family, all for a published model; None if unknown."""
    if name in FAMILIES:
        return name, {}
    key = canonical(name)
    if key is None:
        return None
    found = load_model_file(key)
    return found.family, dict(found.sizes)


def preset(name: str, **changes: Any) -> Model:
    """The published model `name`, with `changes` to its sizes (`sequence=4096`, `dropout=False` …)."""
    key = canonical(name)
    if key is None:
        close = get_close_matches(name.lower(), list_models(), 3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(list_models())}"
        raise InputError(Problem("no such model", "model", repr(name), hint=hint))
    found = load_model_file(key)
    return FAMILIES[found.family](**{**found.sizes, **changes})
