"""Schedules: a collective written out as phases of messages, with the pieces of data each message carries.

A `Schedule` divides the buffer into `pieces` equal parts.  A `Phase` is a set of messages that leave together,
`repeat` times with the same ends.  Message f carries `count[f]` pieces from `first[f]` on; in repetition t they have
moved on by t·`step[f]`, cyclically inside a window of `window[f]` pieces.  `reduce` messages are added into the
receiver's buffer, others overwrite it.  All messages of a phase are read before any is written.
A source or target of −1 is the switch that reduces in the network (its accumulator).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.network.levels import Floats, Ints
from sim.ops import CollectiveKind


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


@dataclass
class Writer:
    """Builds a schedule on rank indices 0 … n-1; ranks are mapped to devices and pieces to bytes at the end."""

    ranks: tuple[int, ...]
    nbytes: float
    pieces: int

    def __post_init__(self) -> None:
        self.device = np.array([*self.ranks, -1], dtype=np.int64)  # index −1 (the switch) stays −1
        self.phases: list[Phase] = []

    @property
    def n(self) -> int:
        return len(self.ranks)

    def phase(
        self,
        src: Ints,
        dst: Ints,
        first: Ints,
        count: int | Ints = 1,
        *,
        reduce: bool | Ints = False,
        step: int | Ints = 0,
        window: int | Ints | None = None,
        repeat: int = 1,
    ) -> None:
        """Append one phase; scalars hold for all messages. Nothing happens without messages or repetitions."""
        if repeat < 1 or not len(src):
            return
        flows = len(src)

        def wide(value: int | bool | Ints) -> Ints:
            return np.broadcast_to(np.asarray(value, dtype=np.int64), (flows,)).copy()

        counts = wide(count)
        size = np.asarray(counts * (self.nbytes / self.pieces), dtype=np.float64)
        self.phases.append(
            Phase(self.device[src], self.device[dst], size, wide(first), counts, wide(step),
                  wide(self.pieces if window is None else window), wide(reduce), repeat)
        )  # fmt: skip

    def done(self, algorithm: str, kind: CollectiveKind) -> Schedule:
        return Schedule(algorithm, kind, self.ranks, self.nbytes, self.pieces, tuple(self.phases))


def joined(*parts: Phase, repeat: int = 1) -> Phase:
    """Several sets of messages in one phase."""

    def cat(name: str) -> Ints:
        return np.concatenate([getattr(p, name) for p in parts])

    return Phase(cat("src"), cat("dst"), np.concatenate([p.bytes for p in parts]), cat("first"), cat("count"),
                 cat("step"), cat("window"), cat("reduce"), repeat)  # fmt: skip


def halves(kind: CollectiveKind) -> tuple[bool, bool]:
    """(reduce-scatter half, all-gather half) of a collective."""
    return kind != "all_gather", kind != "reduce_scatter"
