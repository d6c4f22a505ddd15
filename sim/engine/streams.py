"""The reference engine: one SimPy process per stream of a class of identical ranks.

Where nothing is shared a task is one Timeout, and a message between stages no event at all unless somebody waits for
it (its link keeps a free-at clock). Where kernels and collectives slow each other, a change of rate interrupts the
processes it concerns, and they go on with what is left of their work.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from sim.engine.program import Program, Times
from sim.engine.recursion import rate_of

Steps = Generator[simpy.Event, Any, None]


def run(program: Program) -> Times:
    """Run every stream of the program to its end."""
    return (_Shared(program) if program.contended else _Alone(program)).run()


def _events(env: simpy.Environment) -> int:
    """Events an environment that has run to its end has processed: all it ever numbered."""
    return next(env._eid)


class _Alone:
    """Streams whose tasks take as long as they take, whoever runs beside them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.env = simpy.Environment()
        self.start = [0.0] * len(program)
        self.end: list[float | None] = [None] * len(program)
        self.signal: list[simpy.Event | None] = [None] * len(program)  # fires when the task ends
        self.sends: list[list[int]] = [[] for _ in range(len(program))]
        self.free = [0.0] * len(program.tracks)
        for track, queue in zip(program.tracks, program.queues, strict=True):
            if track.kind == "link":
                for task in queue:
                    self.sends[program.after[task][0]].append(task)

    def run(self) -> Times:
        for number, track in enumerate(self.program.tracks):
            if track.kind != "link" and self.program.queues[number]:
                self.env.process(self._stream(number))
        self.env.run()
        return Times(self.start, [end or 0.0 for end in self.end], _events(self.env))

    def _stream(self, track: int) -> Steps:
        env, start, end, signal = self.env, self.start, self.end, self.signal
        seconds, after, tracks = self.program.seconds, self.program.after, self.program.track
        kinds = self.program.tracks
        for task in self.program.queues[track]:
            for j in after[task]:
                if kinds[tracks[j]].kind == "link":
                    sender = after[j][0]
                    if end[sender] is None:
                        yield self._signal(sender)
                    wait = (end[j] or 0.0) - env.now
                    if wait > 0.0:
                        yield env.timeout(wait)
                elif end[j] is None:
                    yield self._signal(j)
            start[task] = env.now
            done = env.timeout(seconds[task])
            waiting, signal[task] = signal[task], done
            yield done
            self._finish(task, waiting)

    def _finish(self, task: int, waiting: simpy.Event | None) -> None:
        self.end[task] = self.env.now
        if waiting is not None:
            waiting.succeed()
        for message in self.sends[task]:
            link = self.program.track[message]
            leave = max(self.env.now, self.free[link])
            self.start[message] = leave
            self.end[message] = self.free[link] = leave + self.program.seconds[message]

    def _signal(self, task: int) -> simpy.Event:
        event = self.signal[task]
        if event is None:
            event = self.signal[task] = self.env.event()
        return event


class _Shared:
    """Streams that slow each other: a task keeps what is left of its work across changes of its rate."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.env = simpy.Environment()
        self.start = [0.0] * len(program)
        self.end = [-1.0] * len(program)
        self.signal: dict[int, simpy.Event] = {}
        self.process: dict[int, simpy.Process] = {}
        self.rate: dict[int, float] = {}
        self.running: list[dict[int, int]] = [{} for _ in range(1 + max(t.domain for t in program.tracks))]

    def run(self) -> Times:
        for track, queue in enumerate(self.program.queues):
            if queue:
                self.process[track] = self.env.process(self._stream(track))
        self.env.run()
        return Times(self.start, self.end, _events(self.env))

    def _stream(self, track: int) -> Steps:
        env, program = self.env, self.program
        domain = self.running[program.tracks[track].domain]
        for task in program.queues[track]:
            for j in program.after[task]:
                if self.end[j] < 0.0:
                    yield self.signal.setdefault(j, env.event())
            self.start[task] = env.now
            domain[track] = task
            self._share(domain, track)
            yield from self._work(track, program.seconds[task])
            del domain[track]
            self._share(domain, track)
            self.end[task] = env.now
            if task in self.signal:
                self.signal.pop(task).succeed()

    def _work(self, track: int, left: float) -> Steps:
        while left > 0.0:
            rate, begin = self.rate[track], self.env.now
            try:
                yield self.env.timeout(left / rate)
                left = 0.0
            except simpy.Interrupt:
                left -= (self.env.now - begin) * rate

    def _share(self, domain: dict[int, int], me: int) -> None:
        """Set the rates of a domain after `me` came or went; the others whose rate changed are interrupted.

        A kernel slows nobody, so that its coming and going sets its own rate alone.
        """
        if me in domain:
            self.rate[me] = rate_of(self.program, me, domain[me], domain)
        if self.program.tracks[me].kind == "compute":
            return
        for track, task in domain.items():
            rate = rate_of(self.program, track, task, domain)
            if track != me and rate != self.rate[track]:
                self.rate[track] = rate
                self.process[track].interrupt()
