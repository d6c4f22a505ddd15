"""Collectives and sizes of buffers as options spell them."""

from __future__ import annotations

import re
from typing import Final

from sim.errors import InputError, Problem
from sim.ops import CollectiveKind
from sim.units import parse_quantity

MOST: Final = 1e18
"""Bytes of a buffer: an exabyte; beyond it no figure of a link means anything."""

KINDS: Final[dict[str, CollectiveKind]] = {
    "all-reduce": "all_reduce",
    "reduce-scatter": "reduce_scatter",
    "all-gather": "all_gather",
    "all-to-all": "all_to_all",
    "broadcast": "broadcast",
    "reduce": "reduce",
    "send": "send",
    "barrier": "barrier",
}


def size(text: str, option: str) -> float:
    """ "8 MiB" or a bare number of bytes."""
    try:
        value = float(text) if re.fullmatch(r"\d+(\.\d*)?([eE]\d+)?", text.strip()) else parse_quantity(text, "bytes")
    except InputError as error:
        raise InputError(*(Problem(p.rule, f"--{option}", p.value, hint=p.hint) for p in error.problems)) from None
    if not 1 <= value <= MOST:
        raise InputError(Problem(f"must lie between one byte and {MOST:.0e}", f"--{option}", text))
    return value
