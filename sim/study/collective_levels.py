"""One collective written out: phase by phase, or message by message in SimPy, beside its closed form.

phase    every phase waits for its slowest message; messages share links max-min fairly (network.phases)
flow     ranks go on by themselves; messages share links max-min fairly (engine.flows)
message  ranks go on by themselves; a link carries one message at a time (engine.messages)

They know links as they are: capacity with the payload share of their type, latency, and the launch of the collective.
What was measured of an algorithm as a whole (the rate of trees and of reductions in switches, the low-latency protocol)
is in the closed form alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from sim.errors import InputError, Problem
from sim.network import Communicator, Group, Schedule, solve
from sim.network.protocols import SUFFIX
from sim.ops import CollectiveKind


class Detail(StrEnum):
    """How far a collective is written out."""

    CLOSED = "closed"
    PHASE = "phase"
    FLOW = "flow"
    MESSAGE = "message"


#: Ranks, all groups together: events grow with ranks times phases, a direct exchange with the square of its ranks.
MOST_RANKS: Final = {Detail.PHASE: 1024, Detail.FLOW: 256, Detail.MESSAGE: 256}
#: Messages of all sizes and algorithms together, some ten seconds; of repeated phases the phase level looks at one.
MOST_MESSAGES: Final = {Detail.PHASE: 4_000_000, Detail.FLOW: 250_000, Detail.MESSAGE: 250_000}
PIECES: Final = 64
"""Into how many pieces a pipeline cuts the buffer, if nothing else is said."""


class WrittenOut:
    """The schedules of one collective on one group, and what they take at a level of detail."""

    def __init__(
        self, communicator: Communicator, kind: CollectiveKind, group: Group, detail: Detail, pieces: int = PIECES
    ) -> None:
        if kind == "send":
            raise InputError(Problem("a send is one message, the same at every level", "--level", str(detail)))
        self.communicator, self.kind, self.group, self.detail, self.pieces = communicator, kind, group, detail, pieces
        self.case = communicator.case(kind, group)
        groups, ranks = self.case.layout.groups, self.case.n
        if groups * ranks > MOST_RANKS[detail]:
            hint = "--level closed" + ("; or one group alone, by its ranks: --group 0-7" if groups > 1 else "")
            rule = f"at most {MOST_RANKS[detail]:,} ranks are simulated at this level, not {groups * ranks:,}"
            raise InputError(Problem(rule, "--level", str(detail), hint=hint))
        self._schedules: dict[str, Schedule] = {}

    def schedule(self, algorithm: str) -> Schedule:
        """Of one byte, on all groups at once."""
        if algorithm.endswith(SUFFIX):
            rule = "a protocol has no messages of its own; only the closed form knows it"
            raise InputError(Problem(rule, "--algorithm", algorithm, hint=algorithm.removesuffix(SUFFIX)))
        if algorithm not in self._schedules:
            self._schedules[algorithm] = self.communicator.schedule(
                self.kind, 1.0, self.group, algorithm, self.pieces, every=True
            )
        return self._schedules[algorithm]

    def check(self, asked: Sequence[str]) -> None:
        """Refuse more messages than are simulated; `asked`: the algorithm of every run."""
        total = 0
        for algorithm in asked:
            plan = self.schedule(algorithm)
            total += sum(len(p.src) for p in plan.phases) if self.detail == Detail.PHASE else plan.messages
        most = MOST_MESSAGES[self.detail]
        if total > most:
            rule = f"at most {most:,} messages are simulated at this level, all sizes together have {total:,}"
            raise InputError(Problem(rule, "--level", str(self.detail), hint="fewer ranks, or one size with --bytes"))

    def seconds(self, nbytes: float, algorithm: str) -> float:
        """Launch and all messages."""
        plan = scaled(self.schedule(algorithm), nbytes)
        return self.case.base_s + self._messages(plan)

    def _messages(self, plan: Schedule) -> float:
        topology = self.communicator.topology
        if self.detail == Detail.PHASE:
            return solve(plan, topology)
        from sim.engine.flows import simulate_flows  # noqa: PLC0415  (SimPy only where it is asked for)
        from sim.engine.messages import simulate_schedule  # noqa: PLC0415

        run = simulate_flows if self.detail == Detail.FLOW else simulate_schedule
        return run(plan, topology).time


def scaled(plan: Schedule, nbytes: float) -> Schedule:
    """The schedule of one byte with so many."""
    phases = tuple(replace(phase, bytes=phase.bytes * nbytes) for phase in plan.phases)
    return replace(plan, nbytes=plan.nbytes * nbytes, phases=phases)
