"""JSON Schema of the scenario file, generated from the same fields that check it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from sim.files.clusters import ClusterFile
from sim.files.fields import model_of
from sim.files.hardware import AcceleratorFile
from sim.files.scenario import READ, TEXTS
from sim.workload.presets import PRESETS
from sim.workload.registry import FAMILIES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = {"type": "string", "description": "name in the library, or path of a file"}
_EXTENDS: Final = {
    "description": "file or files this one is laid over",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


def scenario_schema() -> dict[str, Any]:
    """The schema of `scenarios/*.yaml`, key order fixed; parts are mappings or names of files."""
    parts: dict[str, type] = {**READ, "cluster": ClusterFile, "accelerator": AcceleratorFile}
    models = {key: model_of(cls) for key, cls in parts.items()}
    sizes = {name: model_of(cls, partial=True) for name, cls in sorted(FAMILIES.items())}
    references, definitions = models_json_schema(
        [(model, "validation") for model in (*models.values(), *sizes.values())], ref_template="#/$defs/{model}"
    )
    defs: dict[str, Any] = definitions["$defs"]
    for key, model in models.items():
        _as_part(defs[_target(references[model, "validation"])], key != "study")
    defs["Workload"]["properties"] |= _sizes({n: references[m, "validation"] for n, m in sizes.items()})
    properties: dict[str, Any] = {"extends": _EXTENDS, **{key: {"type": "string"} for key in TEXTS}}
    for key, model in models.items():
        properties[key] = {"anyOf": [_NAME, references[model, "validation"]]}
    chip = {**properties["accelerator"], "description": "what its devices are"}
    defs["ClusterFile"]["properties"]["accelerator"] = chip
    properties["study"] = references[models["study"], "validation"]
    properties["sources"] = TypeAdapter(list[str]).json_schema()
    return {
        "$schema": DIALECT,
        "title": "foretrain scenario",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {name: defs[name] for name in sorted(defs)},
    }


def _as_part(schema: dict[str, Any], extends: bool) -> None:
    """A part may extend a file, which then gives what is required."""
    if extends:
        schema["properties"]["extends"] = _EXTENDS
        schema.pop("required", None)


def _target(reference: Any) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _sizes(references: dict[str, Any]) -> dict[str, Any]:
    """`sizes` are those of one family."""
    numerics = {"anyOf": [_NAME, {"$ref": "#/$defs/Numerics"}], "description": "formats and kernels"}
    choices = [reference for _, reference in sorted(references.items())]
    published = {"type": "string", "description": "published model", "examples": sorted(PRESETS)}
    family = {"anyOf": [{"enum": sorted(references)}, published], "description": "model family, or a published model"}
    return {"family": family, "sizes": {"description": "sizes of the family", "anyOf": choices}, "numerics": numerics}
