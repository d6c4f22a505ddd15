"""Quantities with units: text such as "900 GB/s" to an SI float, and back.

b is a bit and B a byte, GB is 10⁹ and GiB 2³⁰ bytes; a bare number is refused where a dimension is due.
SI here means: B, B/s, FLOP, FLOP/s, s, W, Hz, J, kg, m², and USD for money (prices per second and per joule).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args

from sim.errors import InputError, Problem

Dimension = Literal[
    "bytes",
    "bandwidth",
    "flop",
    "flops",
    "seconds",
    "watts",
    "hertz",
    "joules",
    "kilograms",
    "usd",
    "usd_per_second",
    "usd_per_joule",
    "usd_per_byte",
    "usd_per_kilogram",
    "joules_per_byte",
    "joules_per_flop",
    "kilograms_per_joule",
    "area",
]
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)


class _Shape(NamedTuple):
    """A dimension as numerator and denominator base, with the spellings an error message shows."""

    over: str
    under: str
    example: str


_SHAPES: Final[dict[str, _Shape]] = {
    "bytes": _Shape("bytes", "", '"80 GiB" or "40 GB"'),
    "bandwidth": _Shape("bytes", "seconds", '"900 GB/s" or "400 Gb/s"'),
    "flop": _Shape("flop", "", '"1444 TFLOP"'),
    "flops": _Shape("flop", "seconds", '"312 TFLOP/s"'),
    "seconds": _Shape("seconds", "", '"1.2 us" or "30 days"'),
    "watts": _Shape("watts", "", '"700 W"'),
    "hertz": _Shape("hertz", "", '"1.4 GHz"'),
    "joules": _Shape("joules", "", '"3 kWh" or "20 pJ"'),
    "kilograms": _Shape("kilograms", "", '"12 t" or "3 kg"'),
    "usd": _Shape("usd", "", '"30000 USD"'),
    "usd_per_second": _Shape("usd", "seconds", '"2.5 USD/h"'),
    "usd_per_joule": _Shape("usd", "joules", '"0.12 USD/kWh"'),
    "usd_per_byte": _Shape("usd", "bytes", '"10 USD/GB"'),
    "usd_per_kilogram": _Shape("usd", "kilograms", '"80 USD/t"'),
    "joules_per_byte": _Shape("joules", "bytes", '"30 pJ/B" or "4 pJ/b"'),
    "joules_per_flop": _Shape("joules", "flop", '"0.5 pJ/FLOP"'),
    "kilograms_per_joule": _Shape("kilograms", "joules", '"380 g/kWh"'),
    "area": _Shape("area", "", '"600 mm2"'),
}
_BASES: Final[dict[str, dict[str, str]]] = {
    "bytes": {"B": "1", "b": "0.125", "bit": "0.125"},
    "flop": {"FLOP": "1", "OP": "1"},
    "seconds": {"s": "1", "min": "60", "h": "3600", "d": "86400", "day": "86400", "days": "86400"}
    | {"hour": "3600", "hours": "3600", "week": "604800", "weeks": "604800", "year": "31536000", "years": "31536000"},
    "watts": {"W": "1"},
    "hertz": {"Hz": "1"},
    "joules": {"J": "1", "Wh": "3600"},
    "kilograms": {"g": "0.001", "t": "1000", "gCO2": "0.001", "tCO2": "1000"},
    "usd": {"USD": "1"},
    "area": {"m2": "1", "m²": "1", "cm2": "1e-4", "cm²": "1e-4", "mm2": "1e-6", "mm²": "1e-6"},
}
_SMALL: Final = {"f": "1e-15", "p": "1e-12", "n": "1e-9", "u": "1e-6", "µ": "1e-6", "μ": "1e-6", "m": "1e-3"}
_LARGE: Final = {"k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15", "E": "1e18", "Z": "1e21"}
_BINARY: Final = {f"{p}i": str(2 ** (10 * i)) for i, p in enumerate("KMGTPE", start=1)}
_UNPREFIXED: Final = (frozenset(_BASES["seconds"]) | frozenset(_BASES["area"])) - {"s"}
_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?|[+-]?\.?(?:nan|inf\w*)"
_QUANTITY: Final = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.IGNORECASE)


def _table(base: str) -> dict[str, Decimal]:
    """Every spelling of a base unit, prefixes included, with its factor to SI."""
    table: dict[str, Decimal] = {}
    for unit, factor in _BASES[base].items():
        table[unit] = Decimal(factor)
        prefixes = _LARGE | (_BINARY if base == "bytes" else {} if base in ("flop", "usd") else _SMALL)
        if base == "seconds":
            prefixes = _SMALL
        if unit not in _UNPREFIXED:
            table |= {p + unit: Decimal(f) * Decimal(factor) for p, f in prefixes.items()}
    return table


_TABLES: Final = {base: _table(base) for base in _BASES}


def _factor(unit: str, dimension: str) -> Decimal | None:
    """SI value of one `unit` read as `dimension`; None if it is no such unit."""
    shape = _SHAPES[dimension]
    over, slash, under = unit.partition("/")
    factor = _TABLES[shape.over].get(over.strip())
    if factor is None or bool(slash) != bool(shape.under):
        return None
    if not slash:
        return factor
    divisor = _TABLES[shape.under].get(under.strip())
    return None if divisor is None else factor / divisor


def si_unit(dimension: Dimension) -> str:
    """The unit of a plain number of a dimension: `B/s`."""
    shape = _SHAPES[dimension]
    return "/".join(
        "kg" if base == "kilograms" else next(iter(_BASES[base])) for base in (shape.over, shape.under) if base
    )


def pattern(dimension: Dimension, zero: bool) -> str:
    """A regular expression of every quantity of a dimension that is not negative; without `zero`, nor nought."""
    shape = _SHAPES[dimension]
    number = r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"
    some = "" if zero else r"(?!\s*\+?(0+\.?0*|\.0+)([eE][+-]?\d+)?\s*[^\d.eE\s])"
    units = (f"({'|'.join(_TABLES[base])})" for base in (shape.over, shape.under) if base)
    unit = r"\s*/\s*".join(units)
    return rf"^{some}\s*{number}\s*{unit}\s*$"


def dimension_of(unit: str) -> Dimension | None:
    """The dimension a unit belongs to, or None: `dimension_of("Gb/s")` is "bandwidth"."""
    return next((d for d in DIMENSIONS if _factor(unit, d) is not None), None)


def spelling(dimension: Dimension) -> str:
    """How a quantity of this dimension is written, for messages and schemas."""
    return _SHAPES[dimension].example


def _refuse(rule: str, got: object, hint: str = "") -> InputError:
    shown = f'"{got}"' if isinstance(got, str) else str(got)
    return InputError(Problem(rule, value=shown if len(shown) <= 80 else shown[:77] + "...", hint=hint))


def parse_quantity(text: object, dimension: Dimension) -> float:
    """SI value of `text` ("900 GB/s"); InputError if it is not a finite, non-negative quantity of `dimension`."""
    value = read_quantity(text, dimension)
    if value < 0.0:
        raise _refuse("must be positive", text)
    return value


def read_quantity(text: object, dimension: Dimension) -> float:
    """The same with its sign: what range it must lie in is for the field to say."""
    example = spelling(dimension)
    if not isinstance(text, str):
        rule = "needs a unit" if isinstance(text, int | float) and not isinstance(text, bool) else "must be a quantity"
        raise _refuse(f"{rule}, written like {example}", text)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise _refuse(f"must be a number and a unit, written like {example}", text)
    number, unit = match.groups()
    if "n" in number.lower():
        raise _refuse("must be finite", text)
    if not unit:
        raise _refuse(f"needs a unit, written like {example}", text)
    factor = _factor(unit, dimension)
    if factor is None:
        other = dimension_of(unit)
        what = f"{unit} is {other.replace('_', ' ')}" if other else f"unknown unit {unit}"
        raise _refuse(f"must be {dimension.replace('_', ' ')}, written like {example}", text, _advice(unit) or what)
    value = float(Decimal(number) * factor)
    if not math.isfinite(value):
        raise _refuse("must be finite", text)
    return value


def _advice(unit: str) -> str:
    """A remedy for the spellings people reach for first."""
    head = unit.partition("/")[0]
    if head in ("KB", "Kb"):
        return f"k{head[1:]} is 1000, Ki{head[1:]} is 1024"
    if unit.upper().endswith("FLOPS"):
        return f"write {unit[:-5]}FLOP/s"
    if unit.endswith("bps"):
        return f"write {unit[:-3]}b/s"
    return ""


_SCALES: Final = [("Z", 1e21), ("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)]
_SUBSCALES: Final = [("m", 1e-3), ("u", 1e-6), ("n", 1e-9), ("p", 1e-12), ("f", 1e-15)]
_LABELS: Final[dict[str, tuple[str, float]]] = {
    "bytes": ("B", 1.0),
    "bandwidth": ("B/s", 1.0),
    "flop": ("FLOP", 1.0),
    "flops": ("FLOP/s", 1.0),
    "watts": ("W", 1.0),
    "hertz": ("Hz", 1.0),
    "joules": ("J", 1.0),
    "kilograms": ("g", 1e3),
    "usd": ("USD", 1.0),
    "usd_per_second": ("USD/h", 3600.0),
    "usd_per_joule": ("USD/kWh", 3.6e6),
    "usd_per_byte": ("USD/GB", 1e9),
    "usd_per_kilogram": ("USD/t", 1e3),
    "joules_per_byte": ("J/B", 1.0),
    "joules_per_flop": ("J/FLOP", 1.0),
    "kilograms_per_joule": ("g/kWh", 3.6e9),
    "area": ("mm2", 1e6),
}


def format_quantity(value: float, dimension: Dimension, binary: bool = False, digits: int = 4) -> str:
    """`value` (SI) as text that `parse_quantity` reads back to `digits` significant digits."""
    if dimension == "seconds":
        return _format_seconds(value, digits)
    label, factor = _LABELS[dimension]
    scaled = value * factor
    if dimension.startswith("usd") or dimension in ("kilograms_per_joule", "area") or scaled == 0.0:
        return f"{_digits(scaled, digits)} {label}"
    if binary and dimension == "bytes":
        scales = [(p, float(f)) for p, f in reversed(_BINARY.items())] + [("", 1.0)]
    else:
        fine = not label.startswith(("B", "FLOP"))
        scales = _SCALES + (_SUBSCALES if fine else [])
    prefix, scale = next(((p, s) for p, s in scales if abs(scaled) >= s), scales[-1])
    return f"{_digits(scaled / scale, digits)} {prefix}{label}"


def _format_seconds(value: float, digits: int) -> str:
    """Seconds below two minutes with a prefix, above it in minutes, hours or days."""
    for unit, scale, least in (("days", 86400.0, 2.0), ("h", 3600.0, 2.0), ("min", 60.0, 2.0), ("s", 1.0, 1.0)):
        if abs(value) >= scale * least:
            return f"{_digits(value / scale, digits)} {unit}"
    prefix, scale = next(((p, s) for p, s in _SUBSCALES if abs(value) >= s), ("", 1.0))
    return f"{_digits(value / scale, digits)} {prefix}s"


def _digits(value: float, digits: int) -> str:
    """Significant digits without an exponent where a person would not write one."""
    text = f"{value:.{digits}g}"
    if "e" not in text or not 1e-6 <= abs(value) < 1e12:
        return text
    return f"{float(text):.0f}" if abs(value) >= 1 else f"{float(text):.12f}".rstrip("0")
