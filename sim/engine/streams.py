"""The reference engine: one SimPy process per stream of a class of identical ranks.

A kernel is one Timeout, a message between stages no event at all unless somebody waits for it (its link keeps a free-at
clock), as long as surely no collective runs beside it: none begins before the kernel it waits for has ended. Where
kernels, messages and collectives slow each other, a change of rate sets a new end for the tasks it concerns; who would
wake after that is interrupted, and who wakes before it goes on with what is left of its work.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any, Final

from simpy.events import Event, Process
from simpy.exceptions import Interrupt

from sim.engine.kernel import Environment
from sim.engine.program import Program, Times
from sim.engine.recursion import rates_of

Steps = Generator[Event, Any, None]

SOONER: Final = suppress(Interrupt)
UNKNOWN: Final = -1.0
NEVER: Final = 2**60


def run(program: Program) -> Times:
    """Run every stream of the program to its end."""
    return _Streams(program).run()


class _Streams:
    """All streams of a program; `end` of a task is known once it has begun and nothing can slow it any more."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.env = Environment()
        shape = program.shape
        self.start = [0.0] * len(program)
        self.end = [UNKNOWN] * len(program)
        self.signal: dict[int, Event] = {}  # fires when the end of a task is known
        self.process: dict[int, Process] = {}
        tracks = len(program.tracks)
        self.rate, self.since, self.left = [1.0] * tracks, [0.0] * tracks, [0.0] * tracks  # of the task that runs
        self.finish, self.wake = [0.0] * tracks, [0.0] * tracks  # when it ends, and when its process looks again
        self.running: list[dict[int, int]] = [{} for _ in range(shape.domains)]  # what may be slowed: track → task
        self.free = [0.0] * tracks
        # of every sharing stream the kernel (its place) its next collective waits for: none begins before that ended
        self.needs: list[dict[int, int]] = [{} for _ in range(shape.domains)]
        for track in program.sharing:
            self.needs[program.tracks[track].domain][track] = shape.kernel_before[program.queues[track][0]]
        self.barrier = [min(needs.values(), default=NEVER) for needs in self.needs]
        self.done = [
            [0.0, *accumulate(map(program.seconds.__getitem__, program.queues[track]))] if needs else []
            for track, needs in zip(shape.kernels, self.needs, strict=True)
        ]  # seconds of the kernels of a domain before each place, where it has sharing streams

    def run(self) -> Times:
        program, shape = self.program, self.program.shape
        for number, (track, queue) in enumerate(zip(program.tracks, program.queues, strict=True)):
            if not queue or number in shape.posted:
                continue
            if track.kind == "compute":
                self.process[number] = self.env.process(self._kernels(number))
            else:
                self.process[number] = self.env.process(self._transfers(number, queue))
        self.env.run()
        return Times(self.start, self.end, self.env.events)

    def _kernels(self, track: int) -> Steps:
        """The compute stream of a domain."""
        env, program, start, end, barrier = self.env, self.program, self.start, self.end, self.barrier
        domain = program.tracks[track].domain
        after, seconds, messages, signal = program.after, program.seconds, program.shape.messages, self.signal
        free = 0.0
        for place, task in enumerate(program.queues[track]):
            for j in after[task]:
                while end[j] < 0.0:
                    yield self._known(j)
                if end[j] > free:
                    free = end[j]
            if barrier[domain] >= place:
                start[task] = free
                end[task] = free = free + seconds[task]
                if task in signal:
                    signal.pop(task).succeed()
                for message in messages.get(task, ()):
                    self._post(message, free, place, domain)
                now = env.now
                yield env.at(now + (free - now) if free > now else now)
            else:
                if free > env.now:
                    yield env.timeout(free - env.now)
                yield from self._beside(track, task)
                free = env.now
                for message in messages.get(task, ()):
                    self._post(message, free, place, domain)

    def _transfers(self, track: int, tasks: Sequence[int]) -> Steps:
        """Collectives of a stream, or messages of a link, one after the other."""
        env, program, end, free = self.env, self.program, self.end, self.free
        domain = program.tracks[track].domain
        shared = track in program.sharing
        for task in tasks:
            if shared:
                self._need(domain, track, program.shape.kernel_before[task])
            for j in program.after[task]:
                while end[j] < 0.0:
                    yield self._known(j)
                free[track] = max(free[track], end[j])
            now = env.now
            if free[track] > now:
                yield env.at(now + (free[track] - now))
            if shared:
                self._need(domain, track, -1)
            yield from self._beside(track, task)
            free[track] = env.now
        if shared:
            self._need(domain, track, NEVER)

    def _message(self, task: int, before: int) -> Steps:
        """A message that may meet a collective on its way; `before`: the one that leaves its link first."""
        while before >= 0 and self.end[before] < 0.0:
            yield self._known(before)
        track = self.program.track[task]
        self.process[track] = self.env.active_process  # type: ignore[assignment]
        yield from self._transfers(track, (task,))

    def _post(self, message: int, ready: float, place: int, domain: int) -> None:
        """Hand over a message when its kernel has ended (`ready`); what surely meets no collective needs no process."""
        program, free, barrier = self.program, self.free, self.barrier[domain]
        track, before = program.track[message], program.shape.before[message]
        if barrier > place and (before < 0 or self.end[before] >= 0.0):
            leave = free[track] if free[track] > ready else ready
            arrive = leave + program.seconds[message]
            # kernels up to the barrier end before any collective begins
            if barrier == NEVER or ready + self.done[domain][barrier + 1] - self.done[domain][place + 1] >= arrive:
                self.start[message] = leave
                free[track] = arrive
                self._settle(message, arrive)
                return
        self.env.process(self._message(message, before))

    def _beside(self, track: int, task: int) -> Steps:
        """A task that shares its domain with others."""
        env, finish = self.env, self.finish
        domain = self.running[self.program.tracks[track].domain]
        self.start[task] = self.since[track] = now = env.now
        self.left[track] = self.program.seconds[task]
        domain[track] = task
        self._share(domain, track)
        while finish[track] > now:
            self.wake[track] = finish[track]
            with SOONER:
                yield env.at(finish[track])
            now = env.now
        del domain[track]
        self._share(domain, track)
        self._settle(task, now)

    def _share(self, domain: dict[int, int], me: int) -> None:
        """Set the rates of a domain after `me` came or went; the others whose rate changed end at another moment.

        A kernel slows nobody, so that its coming and going sets its own rate alone.
        """
        program, now, came = self.program, self.env.now, me in domain
        slows = program.tracks[me].kind != "compute"
        if not came and not (slows and domain):
            return
        rates = rates_of(program, domain)
        if came:  # as the last
            self.rate[me] = rates.pop()
            self.finish[me] = now + self.left[me] / self.rate[me]
        for track, rate in zip(domain if slows else (), rates, strict=False):
            if rate == self.rate[track]:
                continue
            self.left[track] -= (now - self.since[track]) * self.rate[track]
            self.since[track], self.rate[track] = now, rate
            self.finish[track] = now + self.left[track] / rate
            if self.finish[track] < self.wake[track]:
                self.wake[track] = -1.0  # once is enough
                self.process[track].interrupt()

    def _need(self, domain: int, stream: int, place: int) -> None:
        self.needs[domain][stream] = place
        self.barrier[domain] = place if place < 0 else min(self.needs[domain].values())

    def _known(self, task: int) -> Event:
        """Fires when the end of a task is known."""
        return self.signal.setdefault(task, self.env.event())

    def _settle(self, task: int, end: float) -> None:
        self.end[task] = end
        if task in self.signal:
            self.signal.pop(task).succeed()
