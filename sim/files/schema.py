"""JSON Schema of every kind of file, generated from the statements that check it.

A mapping laid over another file (`extends`) may leave out what is required: a definition says what a record may hold,
its `…-complete` what it must.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from sim.axes import Axes
from sim.device.generation import Generation
from sim.engine.campaign.request import Campaign, EvaluationRequest
from sim.engine.feed.request import InputData
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
from sim.files.budget import BudgetFile
from sim.files.clusters import ClusterFile, EdgeGroup, LevelGroup, load_links
from sim.files.fields import key_names
from sim.files.frameworks import DATE, list_frameworks
from sim.files.hardware import AcceleratorFile
from sim.files.models import PublishedModel, list_models, load_model_file
from sim.files.scenario import READ, TEXTS
from sim.network.records import LinkType
from sim.network.surroundings import Host, Storage
from sim.plan.preset import FrameworkFile
from sim.plan.speedups.request import SpeedupRequest
from sim.scaling import CriticalBatch, Domain
from sim.scenario import Objective, PlanRequest, Training, Workload
from sim.units import format_quantity, pattern, spelling
from sim.workload.records import Numerics
from sim.workload.registry import FAMILIES

Schema: TypeAlias = dict[str, Any]
Maker: TypeAlias = Callable[["Definitions"], Schema]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PARTS: Final[dict[type, library.Kind]] = {
    Domain: "scaling",
    Workload: "workloads",
    Numerics: "numerics",
    ClusterFile: "clusters",
    AcceleratorFile: "accelerators",
    BudgetFile: "accelerators",
    PlanRequest: "plans",
    Generation: "generations",
    Training: "training",
    Campaign: "campaigns",
    Host: "hosts",
    Storage: "storage",
    InputData: "inputs",
}
"""Records that may be named, or extend a file of their kind."""
_PATH: Final = r"[/\\]|\.(ya?ml|json)$"


def schema_of(kind: str = "scenario", more: Mapping[str, Maker] = MappingProxyType({})) -> Schema:
    """The schema of one kind of file; `KINDS` names them, `more` those of upper rooms."""
    kinds = {**KINDS, **more}
    if kind not in kinds:
        hint = did_you_mean(kind, kinds) or f"one of {', '.join(kinds)}"
        raise InputError(Problem("no such kind of file", "schema", kind, hint=hint))
    definitions = Definitions()
    body = kinds[kind](definitions)
    defs = {name: definitions.made[name] for name in sorted(definitions.made)}
    return {"$schema": DIALECT, "title": f"foretrain {kind}", **body, "$defs": defs}


class Definitions:
    """The definitions of a schema, made as they are referred to."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def reference(self, name: str, make: Callable[[], Schema]) -> Schema:
        """A reference to a definition."""
        if name not in self.made:
            self.made[name] = {}
            self.made[name] = make()
        return {"$ref": f"#/$defs/{name}"}

    def record(self, cls: type) -> Schema:
        """What a mapping of a record may hold."""
        return self.reference(cls.__name__, lambda: self._holds(cls))

    def part(self, cls: type) -> Schema:
        """A record that may be named; where it extends a file, or lies over a part that does, it may be partial."""
        return {"anyOf": [_name(PARTS[cls]), self.record(cls)]} if cls in PARTS else self.record(cls)

    def whole(self, cls: type) -> Schema:
        """A complete mapping of a record."""
        needs = self.needs(cls)
        return {"allOf": [self.record(cls), needs]} if needs else self.record(cls)

    def needs(self, cls: Any) -> Schema:
        """What a mapping of a record must hold, unless it extends a file; nothing for most."""
        required = [s for s in statements(cls) if s.required and (cls, s.name) not in _ELSEWHERE]
        inner = {
            key: needs
            for s in statements(cls)
            for below in (s.kind.kinds if isinstance(s.kind, OneOf) else (s.kind,))
            if isinstance(below, RecordOf) and (needs := self.needs(below.cls))
            for key in (s.name, s.short)
            if key
        }
        together = _TOGETHER.get(cls, ())
        if not required and not inner and not together:
            return {}
        plain: Schema = {"required": [s.name for s in required if not s.short]}
        either = [*(_any(s.name, s.short) for s in required if s.short), *together]
        body = plain | ({"properties": inner} if inner else {}) | ({"allOf": either} if either else {})
        body = {"if": {"required": ["extends"]}, "else": body} if cls in PARTS else body
        return self.reference(f"{cls.__name__}-complete", lambda: body)

    def _holds(self, cls: Any) -> Schema:
        keys = key_names(cls)
        names = [key for s in statements(cls) for key in (s.name, s.short) if key]
        properties = {key: self._field(cls, keys[key]) for key in names}
        summary = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
        schema = {"type": "object", "description": summary, "properties": properties, "additionalProperties": False}
        if cls in PARTS:
            schema["properties"] = {"extends": _extends(_name(PARTS[cls])), **properties}
        return schema | _RULES[cls](self) if cls in _RULES else schema

    def _field(self, cls: type, stated: Statement) -> Schema:
        """What one field takes; null is its default, where it has one."""
        special = _SPECIAL.get((cls, stated.name))
        body = special(self) if special else self.kind(stated.kind)
        if not stated.required:
            body = _or_null(body)
        texts: Schema = {"description": stated.doc + (f" ({stated.unit})" if stated.unit else "")}
        if not stated.required and not dataclasses.is_dataclass(stated.default):
            texts["default"] = written(stated)
        return body | texts

    def kind(self, kind: Kind) -> Schema:
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
                items = [self.whole(part.cls) if isinstance(part, RecordOf) else self.kind(part) for part in kind.parts]
                sizes = {"minItems": len(items), "maxItems": len(items)}
                return {"type": "array"} | ({"prefixItems": items, **sizes} if kind.fixed else {"items": items[0]})
            case MappingOf():
                value = self.whole(kind.value.cls) if isinstance(kind.value, RecordOf) else self.kind(kind.value)
                names = {"propertyNames": self.kind(kind.key)} if isinstance(kind.key, Choice) else {}
                return {"type": "object", "additionalProperties": value, **names}
            case OneOf():
                choices = [self.kind(each) for each in kind.kinds]
                body = {"anyOf": choices} if len(choices) > 1 else choices[0]
                return _or_null(body) if kind.nullable else body
            case RecordOf():
                return self.part(kind.cls) if kind.dimension is None else self._holds_value(kind)
        return {}

    def _holds_value(self, kind: RecordOf) -> Schema:
        """A record whose `value` has the dimension of the field that holds it."""
        schema, stated = self._holds(kind.cls), statements(kind.cls, kind.dimension)
        schema["properties"]["value"] = self._field(kind.cls, next(s for s in stated if s.name == "value"))
        return schema


def _or_null(body: Schema) -> Schema:
    if not body or {"type": "null"} in body.get("anyOf", ()):
        return body
    if "enum" in body:
        return {**body, "enum": [*body["enum"], None]}
    if isinstance(body.get("type"), str):
        return {**body, "type": [body["type"], "null"]}
    choices = body["anyOf"] if list(body) == ["anyOf"] else [body]
    return {"anyOf": [*choices, {"type": "null"}]}


def written(stated: Statement) -> Any:
    """A default as a file would write it."""
    kind = stated.kind.kinds[0] if isinstance(stated.kind, OneOf) else stated.kind
    if isinstance(kind, Number) and kind.dimension and not kind.bare and stated.default is not None:
        return format_quantity(stated.default, kind.dimension)
    return json.loads(json.dumps(stated.default, default=dict))


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
    names = [*library.names(kind), *(list_models() if kind == "workloads" else ())]
    known = [{"enum": names}] if names else []
    path = {"type": "string", "pattern": _PATH}
    return {"description": "name in the library, or path of a file", "anyOf": [*known, path]}


def _families(definitions: Definitions, models: bool = True) -> Schema:
    """The sizes of a workload, and of a published model, are those of its family."""
    rules = []
    for family, cls in sorted(FAMILIES.items()):
        names = [family, *(name for name in list_models() if models and load_model_file(name).family == family)]
        chosen = {"properties": {"family": {"enum": names}}, "required": ["family"]}
        rules.append({"if": chosen, "then": {"properties": {"sizes": _or_null(definitions.record(cls))}}})
    return {"allOf": rules}


def _family(definitions: Definitions) -> Schema:
    names = {"enum": [*sorted(FAMILIES), *list_models()]}
    file = {
        "type": "string",
        "pattern": r"\.json$|/",
        "description": "a config.json, its folder, or a hub id in the cache on this disk",
    }
    return {"anyOf": [names, file]}


def _link(definitions: Definitions) -> Schema:
    """A link by name, or a mapping, complete with what it reaches and costs unless it is `like` another."""
    definitions.record(LinkType)
    own = definitions.made["LinkType"]
    like = {**own, "properties": {"like": _link_name(), **own["properties"]}, "if": {"required": ["like"]}}
    costs = ({"required": ["efficiency"]}, {"anyOf": [{"required": ["base"]}, {"required": ["base_s"]}]})
    link = definitions.reference("Link", lambda: like | {"else": {"allOf": [definitions.needs(LinkType), *costs]}})
    return {"anyOf": [_link_name(), link]}


def _chip(definitions: Definitions) -> Schema:
    """A chip by name, as it is, or as the budget that buys it."""
    return {"anyOf": [*definitions.part(AcceleratorFile)["anyOf"], definitions.record(BudgetFile)]}


def _link_name() -> Schema:
    return {"enum": sorted(load_links())}


def _axes(definitions: Definitions) -> Schema:
    """The values of each field varied: listed, or an interval."""
    end: Schema = {"type": ["number", "string"]}
    keys = {"from": end, "to": end, "count": {"type": "integer", "minimum": 1}, "scale": {"enum": ["linear", "log"]}}
    interval = {"type": "object", "properties": keys, "required": ["from", "to"], "additionalProperties": False}
    values = {"anyOf": [{"type": "array", "minItems": 1}, interval]}
    return {"type": "object", "minProperties": 1, "additionalProperties": values}


def _models_family(definitions: Definitions) -> Schema:
    return {"enum": sorted(FAMILIES)}


_SPECIAL: Final[Mapping[tuple[type, str], Callable[[Definitions], Schema]]] = {
    (Workload, "family"): _family,
    (ClusterFile, "accelerator"): lambda definitions: _chip(definitions),
    (ClusterFile, "host"): lambda definitions: definitions.part(Host),
    (ClusterFile, "storage"): lambda definitions: definitions.part(Storage),
    (Axes, "axes"): _axes,
    (PublishedModel, "family"): _models_family,
    (LevelGroup, "link"): _link,
    (EdgeGroup, "link"): lambda definitions: {"enum": [*sorted(load_links()), ""]},
}
"""Fields that name something, which a record's own statement cannot know."""
_RULES: Final[Mapping[type, Callable[[Definitions], Schema]]] = {
    Workload: _families,
    PublishedModel: lambda definitions: _families(definitions, models=False),
    Axes: lambda _: {
        "if": {"required": ["combine"], "properties": {"combine": {"enum": ["latin_hypercube", "sobol"]}}},
        "then": {"required": ["samples"], "properties": {"samples": {"minimum": 1}}},
        "else": {"properties": {"samples": {"enum": [0, None]}}},
    },
}
"""What fields of a record say together."""
_ELSEWHERE: Final = {(ClusterFile, "accelerator"), (LinkType, "name")}
"""Required fields that another key of the file may give."""


def _any(*names: str) -> Schema:
    return {"anyOf": [{"required": [name]} for name in names]}


def _one(*names: str) -> Schema:
    return {"oneOf": [{"required": [name]} for name in names]}


_DOMAIN: Final = {
    "curve": ["current_error", "current_units"],
    "size": ["curve"],
    "current_error": ["curve"],
    "available_units": ["loss"],
    "data_set_units": ["passes"],
}
_TOGETHER: Final[Mapping[type, tuple[Schema, ...]]] = {
    ClusterFile: (_one("levels", "graph"),),
    LevelGroup: (_one("size", "sizes"),),
    Domain: (_one("curve", "loss", "data_set_units"), {"dependentRequired": _DOMAIN}),
    CriticalBatch: (_one("samples", "units"),),
    EvaluationRequest: (_one("samples", "lasts", "lasts_s"),),
    Storage: (_any("read", "node_read"), _any("write", "node_write")),
}
"""Which fields a record must hold together."""


def _extends(name: Schema) -> Schema:
    return {"description": "file or files this one is laid over", "anyOf": [name, {"type": "array", "items": name}]}


def _file(cls: type) -> Callable[[Definitions], Schema]:
    return lambda definitions: definitions.whole(cls)


def _scenario(definitions: Definitions) -> Schema:
    """Parts by name or as mappings; those of a scenario laid over another may be partial."""
    parts: dict[str, type] = {**READ, "cluster": ClusterFile, "accelerator": AcceleratorFile}
    texts: Schema = {key: {"type": "string"} for key in TEXTS}
    texts["objective"] = {"enum": [str(name) for name in Objective]}
    year = {"type": "integer", "minimum": 1000, "maximum": 9999}
    texts["software_date"] = {"anyOf": [{"type": "string", "pattern": f"^({DATE.pattern})?$"}, year]}
    texts["sources"] = {"type": "array", "items": {"type": "string"}}
    properties = {
        "extends": _extends(_name("scenarios")),
        **texts,
        **{key: _or_null(definitions.part(cls)) for key, cls in parts.items()},
    }
    properties["accelerator"] = _or_null(_chip(definitions))
    framework = {"type": "string", "pattern": rf"^({'|'.join(list_frameworks())})(@.+)?$"}
    properties["framework"] = {"anyOf": [framework, properties["framework"]]}
    properties["speedups"] = {"type": "array", "items": definitions.whole(SpeedupRequest)}
    over = ("accelerator",)  # that of the cluster lies below it
    needs = {key: found for key, cls in parts.items() if key not in over and (found := definitions.needs(cls))}
    whole = {"required": ["workload", "cluster"], "properties": needs}
    rule = {"if": {"required": ["extends"]}, "else": whole}
    return {"type": "object", "properties": properties, "additionalProperties": False, **rule}


def _links(definitions: Definitions) -> Schema:
    """Link types by name."""
    return {"type": "object", "additionalProperties": definitions.whole(LinkType)}


def _accelerator(definitions: Definitions) -> Schema:
    """A chip, or the budget that buys one."""
    bought, whole = definitions.whole(BudgetFile), definitions.whole(AcceleratorFile)
    return {"if": {"required": ["budget"]}, "then": bought, "else": whole}


def _cluster(definitions: Definitions) -> Schema:
    """A cluster, with its accelerator."""
    return definitions.whole(ClusterFile) | {"if": {"required": ["extends"]}, "else": {"required": ["accelerator"]}}


KINDS: Final[Mapping[str, Maker]] = {
    "scenario": _scenario,
    "accelerator": _accelerator,
    "cluster": _cluster,
    "links": _links,
    "scaling": _file(Domain),
    "numerics": _file(Numerics),
    "plan": _file(PlanRequest),
    "generation": _file(Generation),
    "host": _file(Host),
    "storage": _file(Storage),
    "input": _file(InputData),
    "framework": _file(FrameworkFile),
    "model": _file(PublishedModel),
    "study": _file(Axes),
}
