"""JSON Schema of every kind of file, generated from the statements that check it.

A mapping laid over another file (`extends`) may leave out what is required, so that each record has two definitions:
complete, and `…-partial`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sim.errors import InputError, Problem
from sim.fields import (
    Choice,
    Flag,
    Kind,
    ListOf,
    MappingOf,
    Number,
    OneOf,
    RecordOf,
    Statement,
    Text,
    did_you_mean,
    statements,
)
from sim.files import library
from sim.files.clusters import ClusterFile, EdgeGroup, LevelGroup, load_links
from sim.files.fields import key_names
from sim.files.hardware import AcceleratorFile
from sim.files.scenario import READ, TEXTS
from sim.network.records import LinkType
from sim.scaling import Domain
from sim.scenario import Workload
from sim.units import format_quantity, pattern, spelling
from sim.workload.presets import PRESETS
from sim.workload.records import Numerics
from sim.workload.registry import FAMILIES

Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PARTS: Final[dict[str, tuple[type, library.Kind]]] = {
    "scaling": (Domain, "scaling"),
    "workload": (Workload, "workloads"),
    "cluster": (ClusterFile, "clusters"),
    "accelerator": (AcceleratorFile, "accelerators"),
    "plan": (READ["plan"], "plans"),
    "training": (READ["training"], "training"),
}
_PATH: Final = r"[/\\]|\.(ya?ml|json)$"
_PARTIAL: Final = "-partial"


def schema_of(kind: str = "scenario") -> Schema:
    """The schema of one kind of file; `KINDS` names them."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(Problem("no such kind of file", "schema", kind, hint=did_you_mean(kind, KINDS) or known))
    definitions = _Definitions()
    body = KINDS[kind](definitions)
    defs = {name: definitions.made[name] for name in sorted(definitions.made)}
    return {"$schema": DIALECT, "title": f"foretrain {kind}", **body, "$defs": defs}


class _Definitions:
    """The definitions of a schema, made as they are referred to."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def reference(self, cls: type, partial: bool) -> Schema:
        """A reference to the definition of a record."""
        name = cls.__name__ + _PARTIAL * partial
        if name not in self.made:
            self.made[name] = {}
            self.made[name] = self.record(cls, partial)
        return {"$ref": f"#/$defs/{name}"}

    def record(self, cls: Any, partial: bool) -> Schema:
        """A mapping of a record's fields, with short names beside those that end in a unit."""
        properties = {key: self.field(stated, partial) for key, stated in _in_order(cls)}
        summary = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
        schema: Schema = {"type": "object", "description": summary, "properties": properties}
        if cls in _SPECIAL:
            _SPECIAL[cls](self, schema, partial)
        required = [s for s in statements(cls) if s.required and not partial]
        if required:
            schema["required"] = [s.name for s in required if not s.short]
            either = [{"anyOf": [{"required": [s.name]}, {"required": [s.short]}]} for s in required if s.short]
            schema |= {"allOf": schema.get("allOf", []) + either} if either else {}
        return schema | {"additionalProperties": False}

    def field(self, stated: Statement, partial: bool) -> Schema:
        """What one field takes; null is its default, where it has one."""
        body = self.kind(stated.kind, partial)
        if not stated.required and not stated.nullable and body:
            body = {"anyOf": [body, {"type": "null"}]}
        texts = {"description": stated.doc + (f" ({stated.unit})" if stated.unit else "")}
        if not stated.required and not dataclasses.is_dataclass(stated.default):
            texts["default"] = written(stated)
        return body | texts

    def kind(self, kind: Kind, partial: bool) -> Schema:
        """What a kind of values takes; a mapping in a list is replaced whole, never laid over another."""
        match kind:
            case Number():
                return _number(kind)
            case Text():
                return {"type": "string"} | ({"pattern": f"^({kind.pattern})$"} if kind.pattern else {})
            case Flag():
                return {"type": "boolean"}
            case Choice():
                return {"enum": list(map(str, kind.values))}
            case ListOf():
                items = [self.kind(part, partial=False) for part in kind.parts]
                sizes = {"minItems": len(items), "maxItems": len(items)}
                return {"type": "array"} | ({"prefixItems": items, **sizes} if kind.fixed else {"items": items[0]})
            case MappingOf():
                names = {"propertyNames": self.kind(kind.key, False)} if isinstance(kind.key, Choice) else {}
                return {"type": "object", "additionalProperties": self.kind(kind.value, partial), **names}
            case OneOf():
                choices = [self.kind(each, partial) for each in kind.kinds] + [{"type": "null"}] * kind.nullable
                return {"anyOf": choices} if len(choices) > 1 else choices[0]
            case RecordOf() if kind.dimension is not None:
                return self.record(kind.cls, partial)
            case RecordOf():
                return self.reference(kind.cls, partial)
        return {}

    def laid(self, cls: type, partial: bool = False) -> Schema:
        """A mapping that may extend another file, and then be partial."""
        if partial:
            return self.extending(cls)
        return {"if": {"required": ["extends"]}, "then": self.extending(cls), "else": self.reference(cls, False)}

    def extending(self, cls: type) -> Schema:
        """A partial mapping of a record, with `extends`."""
        name = f"{cls.__name__}-over"
        if name not in self.made:
            self.made[name] = {}
            self.made[name] = self.record(cls, partial=True)
            self.made[name]["properties"] = {"extends": _EXTENDS, **self.made[name]["properties"]}
        return {"$ref": f"#/$defs/{name}"}

    def part(self, key: str, partial: bool) -> Schema:
        """A part of a scenario: the name of a file, or a mapping."""
        cls, kind = PARTS[key]
        return {"anyOf": [_name(kind), self.laid(cls, partial)]}


_EXTENDS: Final[Schema] = {
    "description": "file or files this one is laid over",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


def _in_order(cls: type) -> list[tuple[str, Statement]]:
    """Every key with its statement, a short one after the long one."""
    keys = key_names(cls)
    return [(key, keys[key]) for s in statements(cls) for key in (s.name, s.short) if key]


def written(stated: Statement) -> Any:
    """A default as a file would write it."""
    kind = stated.kind.kinds[0] if isinstance(stated.kind, OneOf) else stated.kind
    if isinstance(kind, Number) and kind.dimension and not kind.bare and stated.default is not None:
        return format_quantity(stated.default, kind.dimension)
    return json.loads(json.dumps(stated.default, default=lambda value: dict(value)))


def _number(kind: Number) -> Schema:
    """A number with its range, or a quantity as text; where the key names the unit, either."""
    names = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
    bounds = {word: getattr(kind, key) for key, word in names.items() if getattr(kind, key) is not None}
    number = {"type": "integer" if kind.whole else "number", **bounds}
    if kind.dimension is None:
        return number
    examples = [text.strip('"') for text in spelling(kind.dimension).split(" or ")]
    text = {"type": "string", "pattern": pattern(kind.dimension, kind.gt is None), "examples": examples}
    return {"anyOf": [text, number]} if kind.bare else text


def _name(kind: library.Kind) -> Schema:
    """The name of a file: one of the library's, or a path; a published model is a workload of its own."""
    names = [*library.names(kind), *(sorted(PRESETS) if kind == "workloads" else ())]
    path = {"type": "string", "pattern": _PATH}
    known = [{"enum": names}] if names else []
    return {"description": "name in the library, or path of a file", "anyOf": [*known, path]}


def _workload(definitions: _Definitions, schema: Schema, partial: bool) -> None:
    """A known family or published model, and the sizes of that family."""
    properties = schema["properties"]
    config = {"type": "string", "pattern": r"\.json$", "description": "configuration of a published model"}
    properties["family"]["anyOf"] = [{"enum": [*sorted(FAMILIES), *sorted(PRESETS)]}, config]
    properties["family"].pop("type")
    schema["allOf"] = [
        {
            "if": {"properties": {"family": {"enum": _spellings(family)}}, "required": ["family"]},
            "then": {"properties": {"sizes": {"anyOf": [definitions.reference(cls, True), {"type": "null"}]}}},
        }
        for family, cls in sorted(FAMILIES.items())
    ]
    numerics = {"if": {"required": ["extends"]}, "then": definitions.extending(Numerics)}
    numerics["else"] = definitions.reference(Numerics, False)
    properties["numerics"] |= {"anyOf": [_name("numerics"), numerics, {"type": "null"}]}
    properties["numerics"].pop("$ref", None)


def _spellings(family: str) -> list[str]:
    """A family, and the published models of it."""
    return [family, *(name for name, found in sorted(PRESETS.items()) if found.family == family)]


def _cluster(definitions: _Definitions, schema: Schema, partial: bool) -> None:
    """A chip by name or as a mapping."""
    schema["properties"]["accelerator"] |= definitions.part("accelerator", partial)


def _level(definitions: _Definitions, schema: Schema, partial: bool) -> None:
    """A link by name, like another, or of its own."""
    link = definitions.record(LinkType, partial=True)
    link["properties"] = {"like": _link_name(), **link["properties"]}
    own = definitions.record(LinkType, partial=False)
    own["required"] = [name for name in own["required"] if name != "name"]
    schema["properties"]["link"] |= {"anyOf": [_link_name(), link | {"required": ["like"]}, own]}


def _edge(definitions: _Definitions, schema: Schema, partial: bool) -> None:
    """A link of a graph by name."""
    schema["properties"]["link"] |= {"anyOf": [_link_name(), {"enum": ["", None]}]}


def _link_name() -> Schema:
    return {"enum": sorted(load_links())}


_SPECIAL: Final[Mapping[type, Callable[[_Definitions, Schema, bool], None]]] = {
    Workload: _workload,
    ClusterFile: _cluster,
    LevelGroup: _level,
    EdgeGroup: _edge,
}


def _scenario(definitions: _Definitions) -> Schema:
    """Parts by name or as mappings; those of a scenario laid over another are partial."""

    def properties(partial: bool) -> Schema:
        parts = {key: definitions.part(key, partial) for key in PARTS}
        rest = {key: definitions.reference(READ[key], partial) for key in READ if key not in PARTS}
        text = {"type": "string"}
        texts = {**dict.fromkeys(TEXTS, text), "sources": {"type": "array", "items": text}}
        empty = {key: {"anyOf": [body, {"type": "null"}]} for key, body in {**parts, **rest}.items()}
        return {"extends": _EXTENDS, **texts, **empty}

    whole = {"properties": properties(False), "required": ["workload", "cluster"]}
    over = {"if": {"required": ["extends"]}, "then": {"properties": properties(True)}, "else": whole}
    return {"type": "object", "propertyNames": {"enum": ["extends", *TEXTS, "sources", *PARTS, *READ]}, **over}


def _links(definitions: _Definitions) -> Schema:
    """Link types by name."""
    link = definitions.record(LinkType, partial=False)
    link["required"] = [name for name in link["required"] if name != "name"]
    return {"type": "object", "additionalProperties": link}


KINDS: Final[Mapping[str, Callable[[_Definitions], Schema]]] = {
    "scenario": _scenario,
    "accelerator": lambda definitions: definitions.laid(AcceleratorFile),
    "cluster": lambda definitions: definitions.laid(ClusterFile),
    "links": _links,
    "scaling": lambda definitions: definitions.laid(Domain),
    "numerics": lambda definitions: definitions.laid(Numerics),
}
