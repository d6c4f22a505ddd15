"""What pydantic found, said as `file:line:col: path: rule, got value (hint)`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from sim.errors import Problem
from sim.files.loader import Node
from sim.units import Dimension

SUFFIXES: Final[dict[str, Dimension]] = {"_bytes": "bytes", "_s": "seconds", "_w": "watts", "_usd": "usd"}


def short_name(name: str) -> str | None:
    """`capacity_bytes` → `capacity`; None for a name that does not end in a unit."""
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s) and len(name) > len(s)), None)


_RULES: Final[dict[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "finite_number": "must be finite",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have {min_length} elements",
    "too_long": "has too many elements",
}


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`did you mean "data"?`, or nothing."""
    close = get_close_matches(str(word), [str(c) for c in choices], 1, 0.55)
    return f'did you mean "{close[0]}"?' if close else ""


def shown(value: object) -> str:
    """A value as a message quotes it: text in quotes, containers by kind, long text cut."""
    if value is None:
        return "null"
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def join(prefix: str, steps: Iterable[str | int]) -> str:
    """A dotted path."""
    return ".".join(filter(None, [prefix, *map(str, steps)]))


def problems_of(error: ValidationError, model: type[BaseModel], root: Node, prefix: str) -> list[Problem]:
    """Every error as a `Problem`, in file order, one for each field."""
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        steps, node = _locate(root, item["loc"])
        problem = _problem(item, model, steps, node, prefix)
        known = found.get(problem.path)
        if known is None:
            found[problem.path] = problem
        elif known.rule != problem.rule and item["type"] not in ("missing", "extra_forbidden"):
            found[problem.path] = Problem(
                f"{known.rule} or {problem.rule.removeprefix('must be ')}",
                *(known.path, known.value, known.file, known.line, known.column, known.hint),
            )
    return sorted(found.values(), key=lambda p: (p.file, p.line, p.column))


def _locate(root: Node, loc: tuple[str | int, ...]) -> tuple[list[str | int], Node]:
    """Steps of `loc` as the file spells them, and the deepest node there; steps pydantic adds are left out."""
    steps: list[str | int] = []
    node = root
    for number, step in enumerate(loc):
        child = node.at(step) or _short(node, step)
        if isinstance(child, tuple):
            step, child = child
        if child is not None:
            steps.append(step)
            node = child
        elif number == len(loc) - 1 and isinstance(node.value, dict) and step != "[key]":
            steps.append(step)
    return steps, node


def _short(node: Node, step: str | int) -> tuple[str, Node] | None:
    """The child that stands under the short spelling of `step` (`capacity` for `capacity_bytes`)."""
    if not isinstance(step, str) or not isinstance(node.value, dict):
        return None
    short = short_name(step) or ""
    child = node.value.get(short)
    return (short, child) if child is not None else None


def _problem(item: Any, model: type[BaseModel], steps: list[str | int], node: Node, prefix: str) -> Problem:
    kind, context = item["type"], item.get("ctx", {})
    path = join(prefix, steps)
    if kind == "missing":
        return node.problem("is required", path)
    mark = node.key_mark if kind in ("extra_forbidden", "literal_error") and item["loc"][-1:] == ("[key]",) else None
    mark = node.key_mark or node.mark if kind == "extra_forbidden" else mark or node.mark
    value, hint = shown(node.plain), str(context.get("hint", ""))
    rule = _RULES.get(kind, "").format(**context) if kind in _RULES else str(item["msg"])
    if kind == "extra_forbidden":
        value, hint = "", did_you_mean(steps[-1], _keys(model, item["loc"][:-1]))
    elif kind in ("twice", "rule") and isinstance(node.plain, dict):
        value = ""
    elif kind == "greater_than":
        rule = "must be positive" if context["gt"] == 0 else f"must be greater than {context['gt']:g}"
    elif kind == "literal_error":
        choices = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        wrong = steps[-1] if item["loc"][-1:] == ("[key]",) else node.plain
        rule, hint = f"must be one of {', '.join(choices)}", did_you_mean(wrong, choices)
        value = shown(wrong)
    return Problem(rule, path, value, mark.file, mark.line, mark.column, hint)


def _keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Keys the model at `loc` accepts; every key of every nested model where the way there is not a plain field."""
    names: list[str] = []
    current = _descend(model, loc)
    for name in current.model_fields if current else ():
        names += [name, short_name(name) or name]
    return names


def _descend(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for step in loc:
        if current is not None and step in current.model_fields:
            nested = list(_models(current.model_fields[str(step)].annotation))
            current = nested[0] if nested else None
    return current


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    """Models named in an annotation, outermost first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)
    origin = getattr(annotation, "__origin__", None)
    if origin is not None and not isinstance(origin, str):
        yield from _models(origin) if origin is not annotation else ()
