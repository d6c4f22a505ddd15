"""A model from its family's name, its sizes, and the parameter count it should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from sim.errors import InputError, Problem
from sim.workload.records import Model
from sim.workload.registry import FAMILIES

LARGEST: Final = 1e18
"""Parameters no model is solved beyond: a hundred thousand times the largest of today."""
WIDTHS: Final = ("hidden", "width", "parameters", "ops", "stages")  # a family given one of these has its size


def build_model(
    family: str, sizes: Mapping[str, object], parameters: float | None = None, projected: float | None = None
) -> Model:
    """The model of `family` with `sizes`; what is left open is solved for `parameters`.

    Without `parameters`, and without a width among the sizes, it is solved for the `projected` count.
    """
    known: Any = FAMILIES.get(family)
    if known is None:
        rule, hint = "unknown model family", f"one of {', '.join(sorted(FAMILIES))}"
        raise InputError(Problem(rule, "workload.family", repr(family), hint=hint))
    wanted = parameters
    if wanted is None and not any(name in sizes for name in WIDTHS):
        wanted = projected
        if wanted is not None and wanted > LARGEST:
            rule = f"asks for a model of {wanted:.3g} parameters, no model is solved beyond {LARGEST:g}"
            raise InputError(Problem(rule, "target.error"))
    if wanted is not None and not 0 < wanted <= LARGEST:
        raise InputError(Problem(f"must be positive and at most {LARGEST:g}", "workload.parameters", f"{wanted:g}"))
    try:
        return cast(Model, known(**sizes) if wanted is None else known.sized(wanted, **sizes))
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ") or str(error)
        hint = "give them, or give parameters or a scaling domain to solve the size for"
        raise InputError(Problem(f"the {family} family needs {missing}", "workload.sizes", hint=hint)) from None
