"""The reference of all input fields as Markdown, from the statements that check them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from sim.fields import Choice, Flag, Kind, ListOf, MappingOf, Number, OneOf, RecordOf, Text, records_below, statements
from sim.files.budget import BudgetFile
from sim.files.clusters import ClusterFile
from sim.files.hardware import AcceleratorFile
from sim.files.scenario import READ
from sim.files.schema import written
from sim.units import spelling
from sim.workload.registry import FAMILIES

_HEAD = """\
# Inputs

Every field of a scenario and of hardware files: generated from the fields themselves (`foretrain schema --markdown`).
A key that ends in a unit (`bucket_bytes`) may be written without it (`bucket`), then always with a unit.

An editor with the YAML language server completes and checks a file whose first line names its JSON Schema, by a path
relative to the file (or absolute, or a URL): write `foretrain schema scenario > scenario.json` once and begin
scenarios beside it with `# yaml-language-server: $schema=scenario.json`; likewise `foretrain schema accelerator`,
`cluster`, `links`, `scaling`, `model`, `framework`, `validation`, `study` (what a scenario holds under `study`) and the
others of `foretrain schema --help`. Files of the library begin so with their path to `scenarios/schemas`, which holds
every schema. What a schema cannot know (a file that is not there, the columns of a table, degrees that do not multiply
to the devices) `foretrain check` tells.
"""


def reference() -> str:
    """A section for each part, with a table of its fields; then what those hold, and the model families."""
    parts: dict[str, type] = {
        **READ,
        "cluster": ClusterFile,
        "accelerator": AcceleratorFile,
        "accelerator from a budget": BudgetFile,
    }
    below = {cls for part in (*parts.values(), *FAMILIES.values()) for cls in records_below(part)}
    rest = sorted(below - set(parts.values()), key=lambda cls: cls.__name__)
    sections = [*parts.items(), *((cls.__name__, cls) for cls in rest)]
    return "\n".join([_HEAD, *(_section(name, cls) for name, cls in sections)])


def _section(name: str, cls: type) -> str:
    summary = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    rows = ["| key | value | default | meaning |", "|---|---|---|---|", *_rows(cls)]
    return "\n".join([f"## {name}\n", *([summary, ""] if summary else []), *rows, ""])


def _rows(cls: type) -> Iterator[str]:
    for stated in statements(cls):
        nested = stated.required or dataclasses.is_dataclass(stated.default)
        default = "" if nested else f"`{json.dumps(written(stated), ensure_ascii=False)}`"
        doc = stated.doc + (f" ({stated.unit})" if stated.unit else "")
        cells = (f"`{stated.name}`", _takes(stated.kind), default, doc)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _takes(kind: Kind) -> str:
    """What a field takes, in a few words, with its range."""
    match kind:
        case Number():
            if kind.dimension is None:
                return ("whole number" if kind.whole else "number") + _range(kind)
            example = spelling(kind.dimension).split(" or ")[0].strip('"')
            return f"quantity, as `{example}`{_range(kind)}"
        case Choice():
            return ", ".join(f"`{value}`" for value in kind.values)
        case ListOf():
            return f"list of {_takes(kind.parts[0])}"
        case MappingOf():
            return f"mapping to {_takes(kind.value)}"
        case OneOf():
            return " or ".join(map(_takes, kind.kinds))
        case RecordOf():
            return kind.cls.__name__
        case Text():
            return "text"
        case Flag():
            return "true or false"
    return "anything"


def _range(kind: Number) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return "".join(f" {sign} {getattr(kind, key):g}" for key, sign in signs.items() if getattr(kind, key) is not None)
