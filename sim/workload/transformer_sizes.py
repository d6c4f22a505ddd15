"""Sizes for a parameter count: which width and depth a Transformer of N parameters has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sim.errors import InputError, Problem

if TYPE_CHECKING:
    from sim.workload.transformer import Transformer

ASPECT = 128  # hidden / depth of GPT-3 175B (Brown et al. 2020, table 2.1: 12288 / 96)
HEAD_DIM = 128
DEFAULTS: Mapping[str, int] = {"vocabulary": 50_257, "sequence": 2048}
WIDTH_LIMIT = 1 << 24


def solve_sizes(family: Callable[..., Transformer], parameters: float, fixed: Mapping[str, Any]) -> Transformer:
    """Width or depth, whichever is not in `fixed`, that comes closest to `parameters`.

    With neither given, width/depth follows GPT-3 within a quarter, and the pair that comes closest is taken.
    Heads are of `head_dim` (128 unless fixed, 64 below a width of 1024), and width is a multiple of it.
    """
    sizes = {**DEFAULTS, **fixed}
    if parameters <= 0:
        raise InputError(Problem("must be positive", "parameters", str(parameters)))

    def build(hidden: int, depth: int) -> Transformer:
        return family(**{**sizes, "hidden": hidden, "depth": depth, "heads": heads_of(sizes, hidden)})

    if "hidden" in fixed and "depth" in fixed:
        return build(fixed["hidden"], fixed["depth"])
    if "hidden" in fixed:
        depth = best(lambda n: build(fixed["hidden"], n), parameters, 1 << 16)
        return build(fixed["hidden"], depth)
    unit = step_of(sizes, parameters)

    def at_depth(depth: int) -> Transformer:
        return build(unit * best(lambda n: build(unit * n, depth), parameters, WIDTH_LIMIT // unit), depth)

    if "depth" in fixed:
        return at_depth(fixed["depth"])
    middle = best(lambda n: build(ASPECT * n, n), parameters, WIDTH_LIMIT // ASPECT)
    depths = range(max(1, middle * 3 // 4), middle * 5 // 4 + 2)
    return min((at_depth(depth) for depth in depths), key=lambda m: abs(m.parameters - parameters))


def step_of(sizes: Mapping[str, Any], parameters: float) -> int:
    """Width grows in steps of one head (of all `heads` when they are fixed)."""
    if "heads" in sizes:
        return int(sizes["heads"])
    return int(sizes.get("head_dim") or (HEAD_DIM if parameters > 5e8 else HEAD_DIM // 2))


def heads_of(sizes: Mapping[str, Any], hidden: int) -> int:
    if "heads" in sizes:
        return int(sizes["heads"])
    width = int(sizes.get("head_dim") or (HEAD_DIM if hidden % HEAD_DIM == 0 and hidden > 1024 else HEAD_DIM // 2))
    return max(1, hidden // width)


def best(build: Callable[[int], Transformer], parameters: float, limit: int) -> int:
    """The whole number whose model is closest to `parameters` (counts grow with it): bisection."""
    low, high = 1, limit
    while low < high:
        middle = (low + high) // 2
        if build(middle).parameters < parameters:
            low = middle + 1
        else:
            high = middle
    if low > 1 and abs(build(low - 1).parameters - parameters) <= abs(build(low).parameters - parameters):
        return low - 1
    return low
