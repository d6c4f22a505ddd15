"""Plain values as YAML a person would write, which the loader reads back as the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from sim.files.loader import core_scalar

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./+ %()*^-]*(?<! )")

_REFUSED: Final = re.compile(r"[\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def yaml_text(value: Mapping[str, object]) -> str:
    """A mapping as block YAML; lists of scalars in one line."""
    return "\n".join(_mapping(value, "")) + "\n"


def _mapping(value: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry(f"{indent}{_scalar(key)}:", item, indent)


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        yield head
        yield from _mapping(item, indent + "  ")
    elif isinstance(item, list | tuple) and any(isinstance(each, Mapping | list | tuple) and each for each in item):
        yield head
        for each in item:
            yield f"{indent}  - {_quoted(each)}"
    else:
        yield f"{head} {_flow(item)}"


def _flow(item: object) -> str:
    if isinstance(item, Mapping):
        return "{}"
    if isinstance(item, list | tuple):
        return f"[{', '.join(_quoted(each) for each in item)}]"
    return _scalar(item)


def _scalar(value: object) -> str:
    """A plain scalar where it reads back as the same text, else quoted as JSON, which YAML holds."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and isinstance(core_scalar(value), str):
        return value
    return _quoted(value)


def _quoted(value: object) -> str:
    """As JSON, with what YAML readers refuse as an escape; infinity and NaN as YAML spells them."""
    text = _REFUSED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    return {"Infinity": ".inf", "-Infinity": "-.inf", "NaN": ".nan"}.get(text, text)
