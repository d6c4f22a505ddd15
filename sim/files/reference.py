"""The reference of all input fields as Markdown, from the same schema that editors read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sim.files.schema import scenario_schema

_HEAD = """\
# Inputs

Every field of a scenario and of hardware files: generated from the fields themselves (`foretrain schema --markdown`).
A key that ends in a unit (`bucket_bytes`) may be written without it (`bucket`), then always with a unit.
"""


def reference() -> str:
    """A section for each part, with a table of its fields."""
    schema = scenario_schema()
    defs: dict[str, Any] = schema["$defs"]
    parts = {name: part for name in schema["properties"] if (part := _named(schema["properties"][name])) in defs}
    sections = [_section(name, defs[part]) for name, part in parts.items()]
    rest = sorted(set(defs) - set(parts.values()))
    return "\n".join([_HEAD, *sections, *(_section(name, defs[name]) for name in rest)])


def _section(name: str, schema: dict[str, Any]) -> str:
    title = f"## {name}\n"
    summary = " ".join(str(schema.get("description", "")).split())
    rows = ["| key | value | default | meaning |", "|---|---|---|---|", *_rows(schema)]
    return "\n".join([title, *([summary, ""] if summary else []), *rows, ""])


def _rows(schema: dict[str, Any]) -> Iterator[str]:
    properties: dict[str, Any] = schema.get("properties", {})
    for key, body in properties.items():
        if any(key + suffix in properties for suffix in ("_bytes", "_s", "_w", "_usd")):
            continue
        nested = bool(body.get("default")) and isinstance(body["default"], dict)
        default = json.dumps(body["default"], ensure_ascii=False) if "default" in body and not nested else ""
        cells = (f"`{key}`", _kind(body), f"`{default}`" if default else "", str(body.get("description", "")))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(body: dict[str, Any]) -> str:
    """What a field takes, in a few words, with its bounds."""
    if "anyOf" in body:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in body["anyOf"] if choice.get("type") != "null"))
    if "$ref" in body:
        return _named(body)
    if "enum" in body or "const" in body:
        return ", ".join(f"`{choice}`" for choice in body.get("enum", [body.get("const")]))
    if body.get("description") == "published model":
        return f"published model (`{'`, `'.join(body['examples'])}`)"
    if "examples" in body:
        return f"quantity, as `{body['examples'][0]}`"
    if body.get("type") == "array":
        inner: dict[str, Any] = body.get("items") or next(iter(body.get("prefixItems", [])), {})
        return f"list of {_kind(inner)}"
    if body.get("type") == "object":
        inside = body.get("additionalProperties")
        return f"mapping to {_kind(inside)}" if isinstance(inside, dict) else "mapping"
    return _names().get(str(body.get("type")), "anything") + _bounds(body)


def _names() -> dict[str, str]:
    return {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


def _bounds(body: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {body[key]:g}" for key, sign in signs.items() if key in body)


def _named(body: dict[str, Any]) -> str:
    """The definition a property refers to."""
    for choice in (body, *body.get("anyOf", [])):
        if "$ref" in choice:
            return str(choice["$ref"]).rpartition("/")[2]
    return ""
