"""Message level: every message of a collective on every link of its route, in SimPy.

The slowest and most literal of the models (O(ranks · phases) events): the oracle for the phase solver, and the one
that shows how a real ring pipelines behind a slow link.  Links are first-in-first-out and carry one message at a time;
each keeps a clock at which it is free, so a message costs one SimPy event (per hop when it is stored and forwarded).

A rank goes on to phase p as soon as it has received everything of the phases before; nobody waits at a barrier.
`cut_through` transfers have a rendezvous, as the channels of collective libraries: a message starts once its receiver
has come to the phase too, unless it follows another one between the same two ranks (then it is buffered); a rank
that receives nothing in a phase goes on when what it sent is delivered.
Units are the caller's: seconds and B/s, or integer nanoseconds with `whole=True`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import floor
from typing import Literal, NamedTuple

import numpy as np
import simpy

from sim.network import Schedule, Topology, phase_routes
from sim.records import dataclass

Forwarding = Literal["cut_through", "store_and_forward"]


class Message(NamedTuple):
    """`nbytes` from one rank to another over `route` (link numbers, in order)."""

    source: int
    target: int
    nbytes: float
    route: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """Messages that may travel together; `delay` passes at a receiver before it goes on (a reduction)."""

    messages: tuple[Message, ...]
    repeat: int = 1
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Links:
    """Capacity (bytes per time unit) and latency (time units) of every directed link."""

    capacity: Sequence[float]
    latency: Sequence[float]


@dataclass(frozen=True, slots=True)
class MessageRun:
    """When the last rank was done, when each was, how long each link was busy, and the SimPy events it took."""

    time: float
    rank_times: tuple[float, ...]
    busy: tuple[float, ...]
    events: int


class _Program:
    """The phases of one chunk, sorted by rank: what each rank sends and how much it must receive."""

    __slots__ = ("delays", "expected", "follows", "sends")

    def __init__(self, phases: Sequence[Phase], ranks: int) -> None:
        self.sends: list[list[list[Message]]] = []
        self.expected: list[list[int]] = []
        self.delays: list[float] = []
        self.follows: list[set[tuple[int, int]]] = []
        pairs: set[tuple[int, int]] = set()
        for phase in phases:
            before, pairs = pairs, {(m.source, m.target) for m in phase.messages}
            self.follows += [before & pairs, *([pairs] * (phase.repeat - 1))]
            sends: list[list[Message]] = [[] for _ in range(ranks)]
            expected = [0] * ranks
            for message in phase.messages:
                sends[message.source].append(message)
                expected[message.target] += 1
            for r in range(ranks):  # rotate, so that ranks do not all begin with the same target
                sends[r].sort(key=lambda m: (m.target - m.source) % ranks)
            self.sends += [sends] * phase.repeat
            self.expected += [expected] * phase.repeat
            self.delays += [phase.delay] * phase.repeat


class _Chunk:
    """Progress of one chunk: the phase each rank is in, what has arrived for phases to come, what is not yet
    delivered of a rank that only sends, and messages that wait for their receiver."""

    __slots__ = ("arrived", "position", "program", "undelivered", "waiting")

    def __init__(self, program: _Program, ranks: int) -> None:
        self.program = program
        self.position = [-1] * ranks
        self.arrived = [[0] * ranks for _ in program.sends]
        self.undelivered = [0] * ranks
        self.waiting: dict[tuple[int, int], list[tuple[int, Message]]] = {}


class _Simulation:
    def __init__(self, links: Links, forwarding: Forwarding, whole: bool, endpoint_delay: float) -> None:
        self.env = simpy.Environment()
        self.links = links
        self.free_at: list[float] = [0] * len(links.capacity)
        self.busy: list[float] = [0] * len(links.capacity)
        self.whole = whole
        self.endpoint_delay = endpoint_delay
        self.eager = forwarding == "store_and_forward"
        self.requests: list[tuple[int, int, Message, Callable[[], None]]] = []
        self.done: Callable[[int], None] = lambda rank: None

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Run `action` after `delay`: one timeout, one callback."""
        timeout = self.env.timeout(delay)
        if timeout.callbacks is not None:
            timeout.callbacks.append(lambda _: action())

    def transmit(self, order: int, message: Message, arrive: Callable[[], None]) -> None:
        """Put a message on the wire. Requests of one instant are served by `order` (each rank's first message, then
        each rank's second …), so that no rank's later messages hold up other ranks' first."""
        if self.eager:
            self._store_and_forward(message, arrive)
            return
        if not self.requests:
            self.at(0.0, self._serve)
        self.requests.append((order, len(self.requests), message, arrive))

    def _serve(self) -> None:
        requests, self.requests = sorted(self.requests, key=lambda r: r[:2]), []
        for _, _, message, arrive in requests:
            self._cut_through(message, arrive)

    def _cut_through(self, message: Message, arrive: Callable[[], None]) -> None:
        """Hold the whole route for bytes / slowest link, from the time all of it is free; add every latency."""
        now = self.env.now
        route = message.route
        start = max(now, max((self.free_at[link] for link in route), default=now))
        duration = message.nbytes / min((self.links.capacity[link] for link in route), default=float("inf"))
        for link in route:
            self.free_at[link] = start + duration
            self.busy[link] += duration
        self.at(start + duration + sum(self.links.latency[link] for link in route) - now, arrive)

    def _store_and_forward(self, message: Message, arrive: Callable[[], None], hop: int = 0) -> None:
        """Serialise on one link after the other: arrival = start + latency + bytes/bandwidth on each."""
        if hop == len(message.route):
            arrive()
            return
        link = message.route[hop]
        start = max(self.env.now, self.free_at[link])
        duration = message.nbytes / self.links.capacity[link]
        flight = self.links.latency[link] + duration
        if self.whole:
            duration, flight = floor(duration), floor(flight)
        self.free_at[link] = start + duration
        self.busy[link] += duration
        self.at(start + flight - self.env.now, lambda: self._store_and_forward(message, arrive, hop + 1))

    def begin(self, chunk: _Chunk, rank: int) -> None:
        """Enter the chunk: a rank that begins by sending does so after the endpoint delay."""
        phases = zip(chunk.program.sends, chunk.program.expected, strict=True)
        sends = next((sends[rank] for sends, expected in phases if sends[rank] or expected[rank]), ())
        self.at(self.endpoint_delay if sends else 0, lambda: self.advance(chunk, rank))

    def advance(self, chunk: _Chunk, rank: int) -> None:
        """Go to the next phase, send its messages, and on through phases that leave nothing to wait for."""
        program = chunk.program
        while True:
            chunk.position[rank] += 1
            phase = chunk.position[rank]
            if phase == len(program.sends):
                self.done(rank)
                return
            for order, held in chunk.waiting.pop((phase, rank), ()):
                self._launch(chunk, phase, order, held)
            for order, message in enumerate(program.sends[phase][rank]):
                self._send(chunk, phase, order, message)
            if program.expected[phase][rank]:
                break
            if program.sends[phase][rank] and not self.eager:
                chunk.undelivered[rank] = len(program.sends[phase][rank])
                return
        self._go_on_if_complete(chunk, rank)

    def _send(self, chunk: _Chunk, phase: int, order: int, message: Message) -> None:
        """Launch a message, or hold it until its receiver has come to the phase."""
        ready = chunk.position[message.target] >= phase
        if ready or self.eager or (message.source, message.target) in chunk.program.follows[phase]:
            self._launch(chunk, phase, order, message)
        else:
            chunk.waiting.setdefault((phase, message.target), []).append((order, message))

    def _launch(self, chunk: _Chunk, phase: int, order: int, message: Message) -> None:
        self.transmit(order, message, partial(self.receive, chunk, message, phase))

    def receive(self, chunk: _Chunk, message: Message, phase: int) -> None:
        """A message of `phase` has arrived."""
        rank, source = message.target, message.source
        chunk.arrived[phase][rank] += 1
        if phase == chunk.position[rank]:
            self._go_on_if_complete(chunk, rank)
        if phase == chunk.position[source] and chunk.undelivered[source]:
            chunk.undelivered[source] -= 1
            if not chunk.undelivered[source]:
                self.advance(chunk, source)

    def _go_on_if_complete(self, chunk: _Chunk, rank: int) -> None:
        phase = chunk.position[rank]
        expected = chunk.program.expected[phase][rank]
        if expected and chunk.arrived[phase][rank] == expected:
            delay = self.endpoint_delay + chunk.program.delays[phase]
            if delay:
                self.at(delay, lambda: self.advance(chunk, rank))
            else:
                self.advance(chunk, rank)


def simulate_messages(
    phases: Sequence[Phase],
    ranks: int,
    links: Links,
    *,
    chunks: int = 1,
    active: int | None = None,
    forwarding: Forwarding = "cut_through",
    endpoint_delay: float = 0.0,
    whole: bool = False,
    others: Sequence[Sequence[Phase]] = (),
) -> MessageRun:
    """Run `phases` on `ranks` ranks, `chunks` times over (the bytes are those of one chunk).

    At most `active` chunks are under way at a rank at once (None: all); a rank starts the next when one is done.
    `store_and_forward` repeats the serialisation on every link of a route; `cut_through` pays it once.
    `endpoint_delay` passes at a rank before its first send and after each completed phase.
    `whole` rounds every duration down to whole time units, as simulators that count cycles do.
    `others`: chunks run `phases` and these in turn (the trees of a double binary tree).
    """
    simulation = _Simulation(links, forwarding, whole, endpoint_delay)
    programs = [_Program(each, ranks) for each in (phases, *others)]
    states = [_Chunk(programs[chunk % len(programs)], ranks) for chunk in range(chunks)]
    finished: list[float] = [0] * ranks
    started = [min(active or chunks, chunks)] * ranks

    def done(rank: int) -> None:
        finished[rank] = simulation.env.now
        if started[rank] < chunks:
            started[rank] += 1
            simulation.begin(states[started[rank] - 1], rank)

    simulation.done = done
    for rank in range(ranks):
        for state in states[: started[rank]]:
            simulation.begin(state, rank)
    simulation.env.run()
    return MessageRun(max(finished), tuple(finished), tuple(simulation.busy), next(simulation.env._eid))


def messages_of(schedule: Schedule, topology: Topology, seed: int | None = None) -> tuple[list[Phase], int]:
    """The schedule's phases as messages with routes, ranks numbered by position, and how many ranks: every switch that
    reduces (a negative number) is one more."""
    switches = sorted({end for p in schedule.phases for x in (p.src, p.dst) for end in x[x < 0].tolist()})
    place = {device: rank for rank, device in enumerate((*schedule.ranks, *switches))}
    phases = []
    for phase in schedule.phases:
        routes = phase_routes(phase, topology, seed)
        columns = zip(phase.src.tolist(), phase.dst.tolist(), phase.bytes.tolist(), routes.tolist(), strict=True)
        messages = tuple(
            Message(place[a], place[b], size, tuple(link for link in route if link >= 0))
            for a, b, size, route in columns
        )
        phases.append(Phase(messages, phase.repeat))
    return phases, len(place)


def simulate_schedule(
    schedule: Schedule,
    topology: Topology,
    *,
    seed: int | None = None,
    chunks: int = 1,
    forwarding: Forwarding = "cut_through",
) -> MessageRun:
    """`simulate_messages` for a schedule of the network room on its topology; seconds.

    `chunks` > 1 cuts every message and runs the pieces one behind the other (store-and-forward then pipelines).
    """
    phases, ranks = messages_of(schedule, topology, seed)
    if chunks > 1:
        phases = [
            Phase(tuple(m._replace(nbytes=m.nbytes / chunks) for m in phase.messages), phase.repeat) for phase in phases
        ]
    links = Links(np.asarray(topology.cap).tolist(), np.asarray(topology.lat).tolist())
    return simulate_messages(phases, ranks, links, chunks=chunks, forwarding=forwarding)


def ring_with_slow_links(send_s: Sequence[float], latency_s: float, steps: int) -> float:
    """Time of a ring of `steps` steps whose rank r needs `send_s[r]` per send: the max-plus recursion
    e = s + d;  s' = max(e, e[r−1] + α)  (a rank sends again when its link is free and the piece has come).
    """
    start = [0.0] * len(send_s)
    end = arrival = start
    for _ in range(steps):
        end = [s + d for s, d in zip(start, send_s, strict=True)]
        arrival = [end[r - 1] + latency_s for r in range(len(end))]
        start = [max(e, a) for e, a in zip(end, arrival, strict=True)]
    return max(arrival)
