"""Sizes for a parameter count: which width and depth a Transformer of N parameters has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sim.errors import InputError, Problem
from sim.workload.records import Model

M = TypeVar("M", bound=Model)

ASPECT = 128  # hidden / depth of GPT-3 175B (Brown et al. 2020, table 2.1: 12288 / 96)
HEAD_DIM = 128
SMALL = 5e8  # parameters
DEFAULTS: Mapping[str, int] = {"vocabulary": 50_257, "sequence": 2048}
CANDIDATES = 500  # depths tried at most, give or take: twice what a model of 10 T parameters needs
WIDTH_LIMIT = 1 << 24


def solve_sizes(family: Callable[..., M], parameters: float, fixed: Mapping[str, Any]) -> M:
    """Width or depth, whichever is not in `fixed`, that comes closest to `parameters`.

    With neither given, width/depth follows GPT-3 within a quarter, and the pair that comes closest is taken.
    Width is a multiple of the head size.
    """
    sizes = {**DEFAULTS, **fixed}
    if parameters <= 0:
        raise InputError(Problem("must be positive", "parameters", str(parameters)))

    head = head_of(sizes, parameters)

    def build(hidden: int, depth: int) -> M:
        return family(**{"heads": max(1, hidden // head), **sizes, "hidden": hidden, "depth": depth})

    if "hidden" in fixed and "depth" in fixed:
        rule = "nothing is left to solve: hidden and depth are both given"
        raise InputError(Problem(rule, "parameters", f"{parameters:g}", hint="leave one of them open"))
    if "hidden" in fixed:
        depth = best(lambda n: build(fixed["hidden"], n), parameters, 1 << 16)
        return build(fixed["hidden"], depth)
    unit = step_of(sizes, head)

    def at_depth(depth: int) -> M:
        return build(unit * best(lambda n: build(unit * n, depth), parameters, WIDTH_LIMIT // unit), depth)

    if "depth" in fixed:
        return at_depth(fixed["depth"])
    middle = best(lambda n: build(unit * max(1, ASPECT * n // unit), n), parameters, WIDTH_LIMIT // ASPECT)
    depths = range(max(1, middle * 3 // 4), middle * 5 // 4 + 2, 1 + middle // CANDIDATES)
    return min((at_depth(depth) for depth in depths), key=lambda m: abs(m.parameters - parameters))


def head_of(sizes: Mapping[str, Any], parameters: float) -> int:
    """Size of a head: as fixed, else 128, or 64 in models below half a billion parameters (as in GPT-2 and GPT-3)."""
    return int(sizes.get("head_dim") or (HEAD_DIM if parameters > SMALL else HEAD_DIM // 2))


def step_of(sizes: Mapping[str, Any], head: int) -> int:
    """Width grows by whole heads (one per key-value head when those are fixed), by `heads` when they are fixed."""
    if "heads" in sizes:
        return head if sizes.get("head_dim") else int(sizes["heads"])
    return head * int(sizes.get("kv_heads") or 1)


def best(build: Callable[[int], Model], parameters: float, limit: int) -> int:
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
