"""The border: frozen dataclasses read from nodes, through pydantic models generated from their fields.

A field says everything about itself once, in its annotation, default and metadata:
`doc`, `dimension` (then it is written with a unit), `gt ge lt le`, `choices`.
A name that ends in a unit (`capacity_bytes`, `latency_s`) may be written without it, as a quantity
(`capacity: 80 GiB`), or with it, as a bare SI number.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sim.errors import InputError, Problem
from sim.files.loader import Node
from sim.files.messages import SUFFIXES, problems_of, short_name
from sim.units import DIMENSIONS, Dimension, format_quantity, parse_quantity, spelling

T = TypeVar("T")

_NAMES: Final[dict[str, Dimension]] = {"bandwidth": "bandwidth", "peak_flops": "flops"}
_BOUNDS: Final = ("gt", "ge", "lt", "le")
SMALLEST: Final = 1e-24
LARGEST: Final = 1e30
"""No quantity of hardware is near these; products and quotients of a few of them stay finite."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Bare:
    """A number found under a key that does not name its unit."""

    value: object

    def __repr__(self) -> str:
        return repr(self.value)


def read(cls: type[T], node: Node, path: str = "") -> T:
    """An instance of dataclass `cls` from `node`; InputError with every problem, each at its file:line:column."""
    model = model_of(cls)
    try:
        return cast(T, _instance(cls, model.model_validate({} if node.value is None else node.plain)))
    except ValidationError as error:
        raise InputError(*problems_of(error, model, node, path)) from None
    except PydanticCustomError as error:
        raise InputError(node.problem(error.message(), path)) from None


def read_partial(cls: type[object], node: Node, path: str = "") -> dict[str, Any]:
    """The fields of `cls` that `node` gives, checked; fields left out may be required ones."""
    model = model_of(cls, partial=True)
    try:
        checked = model.model_validate({} if node.value is None else node.plain)
    except ValidationError as error:
        raise InputError(*problems_of(error, model, node, path)) from None
    return {name: getattr(checked, name) for name in _in_order(checked)}


def model_of(cls: Any, partial: bool = False, dimension: Dimension | None = None) -> type[BaseModel]:
    """The pydantic model of a dataclass; `partial` makes every field optional, `dimension` is that of `value`."""
    return _model_of(cls, partial, dimension)


@cache
def _model_of(cls: Any, partial: bool, dimension: Dimension | None) -> type[BaseModel]:
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        meta = dict(field.metadata)
        if field.name == "value" and dimension is not None:
            meta.setdefault("dimension", dimension)
        annotation = _annotation(hints[field.name], field.name, meta)
        fields[field.name] = (annotation, _field_info(field, meta, partial))
    optional = {f.name for f in dataclasses.fields(cls) if _has_default(f) and not _takes_null(hints[f.name])}
    rename = classmethod(_renamer(tuple(fields), optional))
    validators = {"rename": model_validator(mode="before")(cast(Any, rename))}
    config = ConfigDict(extra="forbid", protected_namespaces=(), json_schema_extra=_add_short_names)
    summary = (cls.__doc__ or "").strip().split("\n\n")[0]
    # the keyword arguments of create_model are typed as a field's definition: dynamic by nature
    make: Callable[..., type[BaseModel]] = create_model
    return make(cls.__name__, __config__=config, __doc__=summary, __validators__=validators, **fields)


def _field_info(field: dataclasses.Field[Any], meta: Mapping[str, Any], partial: bool) -> Any:
    """Description and default of a model field; a default factory is run once, its value only feeds the schema."""
    doc = str(meta.get("doc", "")) or None
    if field.default is not dataclasses.MISSING:
        return Field(default=field.default, description=doc, json_schema_extra=_written(field.default, meta))
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory, description=doc)
    return Field(default=None, description=doc) if partial else Field(description=doc)


def _written(default: object, meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """JSON Schema: a default with a dimension as a file would write it."""
    dimension = meta.get("dimension")
    if isinstance(default, int | float) and dimension in DIMENSIONS:
        return {"default": format_quantity(default, cast(Dimension, dimension))}
    return None


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _takes_null(hint: Any) -> bool:
    return hint is object or type(None) in get_args(hint)


def _renamer(names: Sequence[str], optional: set[str]) -> Callable[[Any, Any], Any]:
    """A before-validator that turns short keys into field names, and null into the default where null is no value."""
    shorts: dict[str, str] = {short: name for name in names if (short := short_name(name)) and short not in names}

    def rename(cls: Any, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        renamed: dict[str, Any] = {}
        for key, value in data.items():
            name = str(shorts.get(key, key))
            if name != key and name in data:
                raise PydanticCustomError("twice", "{key} and {name} are one field", {"key": key, "name": name})
            if value is None and name in optional:
                continue
            bare = name != key and isinstance(value, int | float) and not isinstance(value, bool)
            renamed[name] = _Bare(value) if bare else value
        return renamed

    return rename


def _add_short_names(schema: dict[str, Any]) -> None:
    """JSON Schema: a name that ends in a unit may be written without it, and then needs a quantity."""
    properties: dict[str, Any] = schema.get("properties", {})
    for name, body in list(properties.items()):
        short = short_name(name)
        if short is None or short in properties:
            continue
        texts = [part for part in body.get("anyOf", [body]) if part.get("type") != "number"]
        properties[short] = {"description": body.get("description", name), "anyOf": texts}
        if name in schema.get("required", []):
            schema["required"] = [other for other in schema["required"] if other != name]
    if not schema.get("required"):
        schema.pop("required", None)


def _annotation(hint: Any, name: str, meta: Mapping[str, Any]) -> Any:
    """The annotation pydantic checks for a dataclass field's type hint."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        nested = model_of(hint, dimension=_dimension(name, meta))
        return Annotated[nested, AfterValidator(partial(_instance, hint))]
    if origin in (Union, types.UnionType):
        return Union[tuple(_annotation(a, name, meta) if a is not type(None) else None for a in args)]  # noqa: UP007
    if origin is tuple:
        return tuple.__class_getitem__(tuple(a if a is ... else _annotation(a, name, meta) for a in args))
    if origin in (list, Sequence) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return list.__class_getitem__(_annotation(args[0], name, meta))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key: Any = args[0] if get_origin(args[0]) is Literal else str
        return dict.__class_getitem__((key, _annotation(args[1], name, meta)))
    return _scalar(hint, name, meta)


def _scalar(hint: Any, name: str, meta: Mapping[str, Any]) -> Any:
    """Annotation of a number, text, boolean or literal."""
    bounds = {key: meta[key] for key in _BOUNDS if key in meta}
    if hint is float:
        return _number(name, meta, bounds)
    if hint is int:
        return Annotated[int, Strict(), Field(**bounds), BeforeValidator(_whole)]
    if hint is str and "choices" in meta:
        return Literal.__getitem__(tuple(meta["choices"]))
    if hint in (str, bool):
        return Annotated[hint, Strict()]
    return Any if hint is object else hint


def _dimension(name: str, meta: Mapping[str, Any]) -> Dimension | None:
    """The dimension of a field: as its metadata says, else as its name ends."""
    stated: Dimension | None = meta.get("dimension") or _NAMES.get(name)
    return stated or next((d for s, d in SUFFIXES.items() if name.endswith(s)), None)


def _number(name: str, meta: Mapping[str, Any], bounds: dict[str, Any]) -> Any:
    dimension = _dimension(name, meta)
    if dimension is None:
        return Annotated[float, Strict(), Field(allow_inf_nan=False, **bounds), BeforeValidator(_real)]
    bare = "dimension" not in meta and name not in _NAMES
    schema: dict[str, Any] = {
        "type": "string",
        "examples": [text.strip('"') for text in spelling(dimension).split(" or ")],
    }
    if bare:
        schema = {"anyOf": [schema, {"type": "number"}]}
    validator = BeforeValidator(partial(_quantity, dimension, bare))
    return Annotated[float, validator, Strict(), Field(allow_inf_nan=False, **bounds), WithJsonSchema(schema)]


def _quantity(dimension: Dimension, bare: bool, value: object) -> float | None:
    """SI value of a quantity; a bare number passes where the key names the unit."""
    if bare and isinstance(value, int | float) and not isinstance(value, bool):
        return cast(float, _real(float(value)))
    if value is None:
        return None
    try:
        quantity = parse_quantity(value.value if isinstance(value, _Bare) else value, dimension)
    except InputError as error:
        problem = error.problems[0]
        raise PydanticCustomError("quantity", "{rule}", {"rule": problem.rule, "hint": problem.hint}) from None
    if quantity and not SMALLEST <= abs(quantity) <= LARGEST:
        rule = f"must lie between {SMALLEST:g} and {LARGEST:g} in SI units"
        raise PydanticCustomError("quantity", "{rule}", {"rule": rule, "hint": ""})
    return quantity


def _whole(value: object) -> object:
    """1e9 is a float in YAML and a fine whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _real(value: object) -> object:
    """`true` is not 1.0, and neither NaN nor infinity is compared with a bound."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite", "must be finite")
    return str(value) if isinstance(value, bool) else value


def _in_order(model: BaseModel) -> list[str]:
    return [name for name in type(model).model_fields if name in model.model_fields_set]


def _instance(cls: Any, model: BaseModel) -> Any:
    """The dataclass behind a checked model; what was not given keeps the dataclass's own default."""
    try:
        return cls(**{name: getattr(model, name) for name in _in_order(model)})
    except InputError as error:
        first: Problem = error.problems[0]
        rule = "; ".join(f"{p.path}: {p.rule}" if p.path else p.rule for p in error.problems)
        raise PydanticCustomError("rule", "{rule}", {"rule": rule, "hint": first.hint}) from None
    except ValueError as error:
        raise PydanticCustomError("rule", "{rule}", {"rule": str(error), "hint": ""}) from None
