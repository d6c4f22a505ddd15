"""Dataclasses whose methods are written when they are first called.

The standard decorator compiles `__init__`, `__eq__`, `__hash__`, `__repr__` and the guards of a frozen class as the
class is made: 0.6 ms each, a third of the time in which a command starts, though a command makes few of the 350 kinds
of records there are. What a record is and does is as the standard library documents it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from inspect import Signature
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, **layout):
        """`dataclasses.dataclass`, of a frozen class its methods written at their first call."""
        if cls is None:
            return lambda made: dataclass(made, frozen=frozen, eq=eq, **layout)
        if not frozen:
            return dataclasses.dataclass(cls, eq=eq, **layout)
        wanted = [name for name in _WRITTEN if name not in vars(cls) and (eq or name not in ("__eq__", "__hash__"))]
        made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, **layout)
        for name in wanted:
            setattr(made, name, _later(made, name))
        made.__setattr__, made.__delattr__, made.__signature__ = _refuse_set, _refuse_delete, _Signature()
        if layout.get("slots"):
            made.__getstate__, made.__setstate__ = _state, _restore
        return made


def _later(cls: type, name: str) -> Callable[..., Any]:
    """The method of a class, written at its first call."""

    def method(self: object, *args: Any, **kwargs: Any) -> Any:
        written = _WRITTEN[name](cls)
        written.__name__, written.__qualname__ = name, f"{cls.__qualname__}.{name}"
        setattr(cls, name, written)
        return written(self, *args, **kwargs)

    return method


class _Signature:
    """What `help` and documentation show of a class: its fields, as the standard decorator tells them."""

    def __get__(self, item: object, cls: type) -> Signature:
        import inspect  # noqa: PLC0415  (start-up time)

        parameters = []
        for field in dataclasses.fields(cls):
            if not field.init:
                continue
            kind = inspect.Parameter.KEYWORD_ONLY if field.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
            default: Any = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
            if field.default_factory is not dataclasses.MISSING:
                default = _MADE
            parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=field.type))
        return inspect.Signature(sorted(parameters, key=lambda parameter: parameter.kind))


class _Made:
    """The default of what is made anew for each record."""

    def __repr__(self) -> str:
        return "<factory>"


_MADE: Final = _Made()


def _init(cls: Any) -> Callable[..., Any]:
    """Every field set once, then `__post_init__`."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_unset": object()}
    plain: list[str] = []
    named: list[str] = []
    body: list[str] = []
    for field in dataclasses.fields(cls):
        name, made = field.name, field.default_factory
        parameter, value = name, name
        if made is not dataclasses.MISSING:
            scope[f"_made_{name}"] = made
            parameter, value = f"{name}=_unset", f"_made_{name}() if {name} is _unset else {name}"
        elif field.default is not dataclasses.MISSING:
            scope[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        if field.init:
            (named if field.kw_only else plain).append(parameter)
            body.append(f"    _set(self, {name!r}, {value})")
        elif parameter != name:  # a default of its own that no caller gives
            given = f"_made_{name}()" if made is not dataclasses.MISSING else f"_default_{name}"
            body.append(f"    _set(self, {name!r}, {given})")
    if hasattr(cls, "__post_init__"):
        body.append("    self.__post_init__()")
    parameters = ", ".join(["self", *plain, *(["*", *named] if named else [])])
    return _compiled([f"def method({parameters}):", *(body or ["    pass"])], scope)


def _eq(cls: Any) -> Callable[..., Any]:
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    mine, other = (_values(who, names) for who in ("self", "other"))
    test = "    if other.__class__ is self.__class__:"
    return _compiled(
        ["def method(self, other):", test, f"        return {mine} == {other}", "    return NotImplemented"]
    )


def _hash(cls: Any) -> Callable[..., Any]:
    fields = dataclasses.fields(cls)
    names = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
    return _compiled(["def method(self):", f"    return hash({_values('self', names)})"])


def _repr(cls: Any) -> Callable[..., Any]:
    names = [field.name for field in dataclasses.fields(cls) if field.repr]

    @recursive_repr()
    def method(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return method


def _values(of: str, names: list[str]) -> str:
    """The source text of a tuple of fields."""
    return f"({''.join(f'{of}.{name}, ' for name in names)})"


def _compiled(lines: list[str], scope: dict[str, Any] | None = None) -> Callable[..., Any]:
    names = {} if scope is None else scope
    exec("\n".join(lines), names)
    method: Callable[..., Any] = names["method"]
    return method


def _refuse_set(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_WRITTEN: Final = {"__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr}
