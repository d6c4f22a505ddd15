"""Schedules: a collective written out as phases of messages, with the pieces of data each message carries.

A `Schedule` divides the buffer into `pieces` equal parts.  A `Phase` is a set of messages that leave together,
`repeat` times with the same ends.  Message f carries `count[f]` pieces from `first[f]` on; in repetition t they have
moved on by t·`step[f]`, cyclically inside a window of `window[f]` pieces.  `reduce` messages are added into the
receiver's buffer, others overwrite it.  All messages of a phase are read before any is written.
A negative source or target is a switch that reduces in the network (its accumulator).

All-reduce and reduce-scatter leave the finished pieces spread evenly over the ranks, and an all-gather starts from
there; an all-to-all has N pieces per rank, piece s·N+d being what s holds for d (the buffer is N·nbytes, nbytes what
one rank holds).  Broadcast and reduce have rank index 0 as root.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.errors import InputError, Problem
from sim.network.topologies.base import Floats, Ints
from sim.ops import CollectiveKind
from sim.records import dataclass


@dataclass(frozen=True)
class Phase:
    """Messages src → dst of `bytes` each; see the module for the pieces they carry."""

    src: Ints
    dst: Ints
    bytes: Floats
    first: Ints
    count: Ints
    step: Ints
    window: Ints
    reduce: Ints
    repeat: int = 1

    def pieces_at(self, t: int) -> Ints:
        """First piece of every message in repetition t."""
        base = self.first // self.window * self.window
        return np.asarray(base + (self.first - base + t * self.step) % self.window)


@dataclass(frozen=True)
class Schedule:
    """Phases in order, over the given `ranks` (device numbers)."""

    algorithm: str
    kind: CollectiveKind
    ranks: tuple[int, ...]
    nbytes: float
    pieces: int
    phases: tuple[Phase, ...]

    @property
    def messages(self) -> int:
        return sum(len(p.src) * p.repeat for p in self.phases)

    @property
    def total_bytes(self) -> float:
        return float(sum(p.bytes.sum() * p.repeat for p in self.phases))


def all_to_all_unequal(nbytes: Floats, ranks: int | Sequence[int]) -> Schedule:
    """One phase in which rank i sends nbytes[i, j] to rank j, all at once (a mixture of experts' tokens)."""
    n = len(nbytes)
    devices = tuple(range(ranks)) if isinstance(ranks, int) else tuple(ranks)
    if nbytes.shape != (len(devices), len(devices)):
        rule = f"the byte matrix must be {len(devices)} × {len(devices)}"
        raise InputError(Problem(rule, "bytes", str(nbytes.shape)))
    src, dst = np.divmod(np.arange(n * n), n)
    size = nbytes[src, dst].astype(float)
    moved = (src != dst) & (size > 0)
    src, dst, size = src[moved], dst[moved], size[moved]
    lookup, one = np.array(devices), np.ones(len(src), dtype=np.int64)
    phase = Phase(lookup[src], lookup[dst], size, src * n + dst, one, 0 * one, n * n * one, 0 * one)
    return Schedule("direct", "all_to_all", devices, float(nbytes.sum()), n * n, (phase,))
