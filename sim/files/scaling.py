"""Scaling domains: scenarios/scaling/*.yaml or a file of one's own, read and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sim.files import library
from sim.files.fields import read
from sim.files.kinds import refuse_other_kind
from sim.files.merge import Resolver
from sim.files.yaml_text import yaml_text
from sim.scaling import Domain


def load_domain(name: str) -> Domain:
    """The domain of that name in the library or in that file, with what it extends."""
    path, resolver = library.find("scaling", name), Resolver()
    refuse_other_kind(path, resolver.raw(path), "scaling domain")
    return read(Domain, resolver.whole(path, ("scaling",)), "scaling")


def domain_text(domain: Domain, comments: tuple[str, ...] = ()) -> str:
    """The YAML of a domain, its given fields only, below `comments`; `load_domain` reads the same record back."""
    head = "".join(f"# {line}\n" for line in comments)
    return head + yaml_text(_given(domain))


def _given(record: Any) -> dict[str, Any]:
    """Fields of a record that differ from their defaults."""
    body: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if default is not dataclasses.MISSING and value == default:
            continue
        body[field.name] = _plain(value)
    return body


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _given(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
