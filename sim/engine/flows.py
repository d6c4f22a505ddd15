"""Flow level: messages as fluids that share links max-min fairly, in SimPy.

Between the phase solver (everybody waits at a barrier) and the message level (one message per link at a time): ranks
go on by themselves, and every start or finish of a flow shares all links anew.  An oracle for up to a few hundred
ranks; the number of max-min solves grows with the number of distinct instants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import simpy
from simpy.events import Timeout

from sim.engine.messages import Message, Phase, messages_of
from sim.network import Schedule, Topology, maxmin
from sim.network.topologies.base import Floats, Ints
from sim.records import dataclass

_DONE = 1e-12  # of a flow's bytes: what rounding may leave over


@dataclass(frozen=True, slots=True)
class FlowRun:
    """When the last rank was done, when each was, how many times rates were solved, and SimPy events."""

    time: float
    rank_times: tuple[float, ...]
    solves: int
    events: int


class _Flow:
    __slots__ = ("left", "links", "message", "phase", "rate", "size")

    def __init__(self, message: Message, phase: int) -> None:
        self.message = message
        self.phase = phase
        self.size = self.left = message.nbytes
        self.links = message.route
        self.rate = 0.0


class _FlowSimulation:
    """Ranks advance when all of a phase has arrived; flows are re-rated once per instant at which any changed."""

    def __init__(self, phases: list[Phase], ranks: int, topology: Topology) -> None:
        self.env = simpy.Environment()
        self.topology = topology
        self.phases = [phase for phase in phases for _ in range(phase.repeat)]
        self.sends: list[dict[int, list[Message]]] = []
        self.expected: list[dict[int, int]] = []
        for phase in self.phases:
            sends: dict[int, list[Message]] = {}
            expected: dict[int, int] = {}
            for message in phase.messages:
                sends.setdefault(message.source, []).append(message)
                expected[message.target] = expected.get(message.target, 0) + 1
            self.sends.append(sends)
            self.expected.append(expected)
        pairs = [{(m.source, m.target) for m in phase.messages} for phase in self.phases]
        self.follows = [set[tuple[int, int]](), *(a & b for a, b in pairwise(pairs))]
        self.waiting: dict[tuple[int, int], list[Message]] = {}
        self.undelivered = [0] * ranks
        self.position = [-1] * ranks
        self.arrived: list[dict[int, int]] = [{} for _ in self.phases]
        self.finished = [0.0] * ranks
        self.flows: list[_Flow] = []
        self.clock = 0.0
        self.version = 0
        self.dirty = False
        self.solves = 0
        self.memo: dict[tuple[tuple[int, ...], ...], Floats] = {}

    def at(self, delay: float, action: Callable[[], None]) -> Timeout:
        timeout = self.env.timeout(delay)
        if timeout.callbacks is not None:
            timeout.callbacks.append(lambda _: action())
        return timeout

    def advance(self, rank: int) -> None:
        """Enter the next phase and start its flows; the rules of rendezvous are those of the message level."""
        while True:
            self.position[rank] += 1
            phase = self.position[rank]
            if phase == len(self.phases):
                self.finished[rank] = self.env.now
                return
            mine = self.sends[phase].get(rank, [])
            for message in [*self.waiting.pop((phase, rank), ()), *mine]:
                self.start(message, phase)
            if self.expected[phase].get(rank, 0):
                break
            if mine:
                self.undelivered[rank] = len(mine)
                return
        self.go_on_if_complete(rank)

    def start(self, message: Message, phase: int) -> None:
        ready = self.position[message.target] >= phase
        if ready or (message.source, message.target) in self.follows[phase]:
            self.flows.append(_Flow(message, phase))
            self.touch()
        else:
            self.waiting.setdefault((phase, message.target), []).append(message)

    def receive(self, flow: _Flow) -> None:
        rank, source, phase = flow.message.target, flow.message.source, flow.phase
        self.arrived[phase][rank] = self.arrived[phase].get(rank, 0) + 1
        if phase == self.position[rank]:
            self.go_on_if_complete(rank)
        if phase == self.position[source] and self.undelivered[source]:
            self.undelivered[source] -= 1
            if not self.undelivered[source]:
                self.advance(source)

    def go_on_if_complete(self, rank: int) -> None:
        phase = self.position[rank]
        expected = self.expected[phase].get(rank, 0)
        if expected and self.arrived[phase].get(rank, 0) == expected:
            self.advance(rank)

    def touch(self) -> None:
        """Share anew at the end of this instant (a zero timeout runs behind everything already due)."""
        if not self.dirty:
            self.dirty = True
            self.at(0.0, self.share)

    def progress(self) -> None:
        elapsed, self.clock = self.env.now - self.clock, self.env.now
        if elapsed:
            for flow in self.flows:
                flow.left -= flow.rate * elapsed

    def share(self) -> None:
        """Max-min rates of all running flows; wake at the first finish."""
        self.dirty = False
        self.progress()
        self.version += 1
        if not self.flows:
            return
        key = tuple(flow.links for flow in self.flows)
        rates = self.memo.get(key)
        if rates is None:
            self.solves += 1
            rates = maxmin(_padded(key), self.topology.cap)
            if len(self.memo) < 1024:
                self.memo[key] = rates
        for flow, rate in zip(self.flows, rates.tolist(), strict=True):
            flow.rate = rate
        version = self.version
        first = min(flow.left / flow.rate for flow in self.flows)
        self.at(max(first, 0.0), lambda: self.finish(version))

    def finish(self, version: int) -> None:
        """Flows that are through arrive a path latency later; the others share what became free."""
        if version != self.version:
            return
        self.progress()
        resolution = 4e-16 * self.env.now
        done = [f for f in self.flows if f.left <= _DONE * f.size + resolution * f.rate]
        self.flows = [f for f in self.flows if f.left > _DONE * f.size + resolution * f.rate]
        for flow in done:
            latency = float(sum(self.topology.lat[link] for link in flow.links))
            self.at(latency, partial(self.receive, flow))
        self.touch()


def _padded(routes: tuple[tuple[int, ...], ...]) -> Ints:
    width = max(len(route) for route in routes)
    return np.array([[*route, *[-1] * (width - len(route))] for route in routes], dtype=np.int64)


def simulate_flows(schedule: Schedule, topology: Topology, seed: int | None = None) -> FlowRun:
    """Run a schedule at flow level; seconds."""
    phases, ranks = messages_of(schedule, topology, seed)
    simulation = _FlowSimulation(phases, ranks, topology)
    for rank in range(ranks):
        simulation.advance(rank)
    simulation.env.run()
    events = next(simulation.env._eid)
    return FlowRun(max(simulation.finished), tuple(simulation.finished), simulation.solves, events)
