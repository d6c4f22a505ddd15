"""What kind of file a YAML file is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.errors import InputError
from sim.files import library
from sim.files.loader import Node, load
from sim.files.merge import LONGEST_CHAIN


def kind_of(path: Path, node: Node, above: tuple[Path, ...] = ()) -> str:
    """What a file is: by its place in the library, else by its keys, else as what it extends; `above` extend it."""
    keys = set(node.value) if isinstance(node.value, dict) else set()
    for kind, part in _FOLDERS.items():
        if library.real(path).is_relative_to(library.folder(part)):
            return kind
    told = next((kind for kind, telling in _TELLING.items() if keys & telling), None)
    if told is None and keys and path.name == "links.yaml":
        return "links"
    if (
        told is None
        and library.real(path).is_relative_to(library.folder("scenarios"))
        and not keys & {"name", "extends"}
    ):
        return "published figures"
    return told or _kind_below(path, node, above) or "scenario"


def _kind_below(path: Path, node: Node, above: tuple[Path, ...]) -> str | None:
    """The kind of what a file extends; None where it extends nothing, nothing that is found, or itself."""
    extended = node.at("extends") and (node.at("extends", 0) or node.at("extends"))
    if extended is None or not isinstance(extended.value, str) or library.real(path) in above:
        return None
    if len(above) >= LONGEST_CHAIN:
        return None
    for part in ("scenarios", *_FOLDERS.values()):
        try:
            found = library.find(part, extended.value, path.parent)
            return kind_of(found, load(found), (*above, library.real(path)))
        except InputError:
            continue
    return None


def refuse_other_kind(path: Path, node: Node, wanted: str = "scenario") -> None:
    """InputError where one kind is needed and the file is another: what it is, and which command takes it.

    What tells of no kind counts as a scenario, and as any other that is wanted: its keys are then refused one by one.
    """
    kind, keys = kind_of(path, node), set(node.value) if isinstance(node.value, dict) else set()
    if kind == wanted or (kind == "scenario" and not keys & _TELLING[kind]):
        return
    raise InputError(node.problem(f"is a file of the kind {kind!r}, no {wanted}", hint=_INSTEAD.get(kind, CHECKED)))


CHECKED: Final = "`foretrain check` reads it"
_INSTEAD: Final[dict[str, str]] = {
    "scenario": "`foretrain run` answers it",
    "accelerator": "`foretrain hardware show` prints it; a scenario names it: `accelerator: FILE`",
    "cluster": "`foretrain hardware show` prints it; a scenario names it: `cluster: FILE`",
    "scaling domain": "`foretrain project` takes it; a scenario names it: `scaling: FILE`",
    "validation set": "`foretrain validate` runs it",
    "framework": "`foretrain frameworks show` prints it; a scenario names it: `framework: FILE`",
    "published model": "`foretrain model` prints it; a scenario names it: `workload: NAME`",
}
_FOLDERS: Final[dict[str, library.Kind]] = {
    "accelerator": "accelerators",
    "cluster": "clusters",
    "generation": "generations",
    "framework": "frameworks",
    "published model": "models",
    "scaling domain": "scaling",
    "numerics": "numerics",
    "host": "hosts",
    "storage": "storage",
    "input data": "inputs",
    "plan": "plans",
    "process data": "process",
}
_TELLING: Final[dict[str, frozenset[str]]] = {
    "scenario": frozenset({"workload", "target", "cluster", "plan", "training", "campaign", "study", "scaling"}),
    "scaling domain": frozenset({"curve", "loss", "data_set_units"}),
    "cluster": frozenset({"levels", "graph"}),
    "accelerator": frozenset({"compute", "memory", "cache", "generation", "budget"}),
    "framework": frozenset({"releases"}),
    "validation set": frozenset({"quantity", "measured", "csv"}),
    "host": frozenset({"core_speed", "link_bandwidth"}),
    "storage": frozenset({"node_read", "node_write"}),
    "input data": frozenset({"stored_bytes", "stored"}),
}
