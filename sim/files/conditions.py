"""Conditions a file may state: a value, a list of values, or a comparison (`"> 1"`, `"<= 4096"`)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_COMPARISON: Final = re.compile(r"\s*(<=|>=|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*")
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def comparison(condition: object) -> Callable[[float], bool] | None:
    """The test a text such as `">= 100"` states of a number; None where it is no comparison."""
    found = _COMPARISON.fullmatch(condition) if isinstance(condition, str) else None
    if found is None:
        return None
    compare, bound = _OPERATORS[found[1]], float(found[2])
    return lambda value: compare(value, bound)


def holds(condition: object, value: object) -> bool:
    """Whether `value` meets a condition; no number meets a comparison with one."""
    if isinstance(condition, list | tuple):
        return any(holds(one, value) for one in condition)
    test = comparison(condition)
    if test is None:
        return str(condition) == str(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and test(value)
