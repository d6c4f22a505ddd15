"""The fast way through a program: max-plus recursion, and a heap of finish times where durations depend on neighbours.

start(i) = max(end(task before i on its track), max over dependencies end(j));  end(i) = start(i) + seconds(i)

Only collectives slow what runs beside them. While every collective of a domain surely waits for a later kernel, its
kernels and messages follow the recursion, however far ahead of the heap; the heap orders the rest in time.
"""

from __future__ import annotations

import heapq
from itertools import accumulate
from typing import Final

from sim.engine.program import Program, Times

UNKNOWN: Final = -1.0
NEVER: Final = 2**60
INFINITE: Final = float("inf")
LEAP: Final = 8  # kernels: where collectives stay away for so many, all stages may go on in one pass
PARTS: Final = 8  # of the program: the share that must lie ahead for that


def run(program: Program) -> Times:
    """Start and end of every task; equal to the SimPy run of the same program."""
    if program.contended:
        return _Fluid(program).run()
    return Times(*_max_plus(program), 0)


def _max_plus(program: Program) -> tuple[list[float], list[float]]:
    free = [0.0] * len(program.tracks)
    start: list[float] = []
    end: list[float] = []
    for track, seconds, after in zip(program.track, program.seconds, program.after, strict=True):
        t = free[track]
        for j in after:
            if end[j] > t:
                t = end[j]
        start.append(t)
        t += seconds
        end.append(t)
        free[track] = t
    return start, end


class _Fluid:
    """Tasks as fluids whose rates change when a neighbour in their domain starts or ends."""

    def __init__(self, program: Program) -> None:
        self.program = program
        shape, count = program.shape, len(program)
        self.start = [0.0] * count
        self.end = [UNKNOWN] * count
        self.head = [0] * len(program.tracks)
        self.free = [0.0] * len(program.tracks)
        self.waiting: dict[int, list[int]] = {}  # task → tracks that go on when its end is known
        self.ready: list[int] = []  # tracks to look at
        self.busy = [False] * len(program.tracks)  # a track with a task in the heap
        # of every sharing stream the kernel (its place) its next collective waits for: none begins before that ended
        self.needs: list[dict[int, int]] = [{} for _ in range(shape.domains)]
        for track in program.sharing:
            self.needs[program.tracks[track].domain][track] = shape.kernel_before[program.queues[track][0]]
        self.barrier = [min(needs.values(), default=NEVER) for needs in self.needs]
        self.done = [
            [0.0, *accumulate(map(program.seconds.__getitem__, program.queues[track]))] if needs else []
            for track, needs in zip(shape.kernels, self.needs, strict=True)
        ]  # seconds of the kernels of a domain before each place, where it has sharing streams
        self.left: dict[int, float] = {}  # seconds of work left at rate 1 of a running task
        self.rate: dict[int, float] = {}
        self.since: dict[int, float] = {}
        self.version: dict[int, int] = {}
        self.running: list[dict[int, int]] = [{} for _ in range(shape.domains)]
        self.heap: list[tuple[float, int, int, int]] = []
        self.serial = 0
        self.events = 0
        self.leapt = False  # a domain's next collective waits for a much later kernel than the one before it did

    def run(self) -> Times:
        self._lead()
        self.ready = [track for track, queue in enumerate(self.program.queues) if queue]
        self._look()
        while self.heap:
            self._event()
            if self.leapt:
                self.leapt = False
                if self._calm_everywhere():
                    self._drain()
                    self._lead()
            self._look()
        return Times(self.start, self.end, self.events)

    def _event(self) -> None:
        now, _, task, version = heapq.heappop(self.heap)
        self.events += 1
        if task < 0:
            self._begin(-1 - task, now)
        elif version == self.version[task]:
            self._finish(task, now)

    def _drain(self) -> None:
        """Let arrive what is under way or sent, as far as no collective begins before."""
        tracks = self.program.tracks
        while True:
            links = [track for track in self.ready if tracks[track].kind != "compute"]
            self.ready = [track for track in self.ready if tracks[track].kind == "compute"]
            for track in links:
                self._next(track)
            if not self.heap or ((task := self.heap[0][2]) < 0 and tracks[-1 - task].kind == "stream"):
                return
            self._event()

    def _calm_everywhere(self) -> bool:
        """Whether no collective runs and a good part of the program lies before the next ones."""
        if min(self.barrier) < 0:
            return False
        tracks, queues = self.program.tracks, self.program.queues
        ahead = (
            min(self.barrier[track.domain], len(queue)) - head
            for track, queue, head in zip(tracks, queues, self.head, strict=True)
            if track.kind == "compute"
        )
        return sum(ahead) * PARTS > len(self.program)

    def _lead(self) -> None:
        """All kernels that nothing disturbs from now on, in one pass: tasks come after what they wait for."""
        program, end, free, messages = self.program, self.end, self.free, self.program.shape.messages
        domain_of = [track.domain if track.kind == "compute" else -1 for track in program.tracks]
        limit = [
            self.barrier[domain] if domain >= 0 and not busy else -1
            for domain, busy in zip(domain_of, self.busy, strict=True)
        ]  # the last kernel to lead to
        seconds, place, head, waiting = program.seconds, program.shape.place, self.head, self.waiting
        for task, (track, after) in enumerate(zip(program.track, program.after, strict=True)):
            at = place[task]
            if at > limit[track] or at < head[track]:
                continue
            begin = free[track]
            for j in after:
                if end[j] > begin:
                    begin = end[j]
                elif end[j] < 0.0:
                    limit[track] = -1
                    break
            else:
                self.start[task] = begin
                begin += seconds[task]
                end[task] = free[track] = begin
                head[track] = at + 1
                if task in waiting:
                    self.ready += waiting.pop(task)
                if task in messages:
                    calm = self._calm(domain_of[track], begin, at)
                    for message in messages[task]:
                        self._post(message, begin, calm)

    def _calm(self, domain: int, ended: float, place: int) -> float:
        """Until when no collective begins, the kernel at `place` having ended: the kernels up to the barrier take that
        long."""
        barrier, done = self.barrier[domain], self.done[domain]
        return INFINITE if barrier == NEVER else ended + done[barrier + 1] - done[place + 1]

    def _look(self) -> None:
        """Go on with every track something has changed for."""
        while self.ready:
            track = self.ready.pop()
            if self.program.tracks[track].kind == "compute":
                self._kernels(track)
            else:
                self._next(track)

    def _kernels(self, track: int) -> None:
        """The kernels of a domain as far as they are known to run undisturbed."""
        program, end, waiting = self.program, self.end, self.waiting
        queue, domain = program.queues[track], program.tracks[track].domain
        barrier, place, free = self.barrier[domain], self.head[track], self.free[track]
        if self.busy[track]:
            return
        after, seconds, messages = program.after, program.seconds, program.shape.messages
        while place < len(queue):
            task = queue[place]
            for j in after[task]:
                if end[j] < 0.0:
                    waiting.setdefault(j, []).append(track)
                    break
                if end[j] > free:
                    free = end[j]
            else:
                if barrier < place:
                    self._push(track, free)
                    break
                self.start[task] = free
                free += seconds[task]
                place += 1
                end[task] = free
                if task in waiting:
                    self.ready += waiting.pop(task)
                if task in messages:
                    calm = self._calm(domain, free, place - 1)
                    for message in messages[task]:
                        self._post(message, free, calm)
                continue
            break
        self.head[track], self.free[track] = place, free

    def _post(self, message: int, ready: float, calm: float) -> None:
        """A message whose kernel ends at `ready`, if it surely arrives before any collective begins, `calm`."""
        link = self.program.track[message]
        if not self.busy[link] and self.program.queues[link][self.head[link]] == message:
            leave = self.free[link]
            if leave < ready:
                leave = ready
            arrive = leave + self.program.seconds[message]
            if arrive <= calm:
                self.start[message] = leave
                self.end[message] = self.free[link] = arrive
                self.head[link] += 1
                if message in self.waiting:
                    self.ready += self.waiting.pop(message)
                return
        self.ready.append(link)

    def _next(self, track: int) -> None:
        """The next transfer of a stream or link waits in the heap for its start, once that is known."""
        queue = self.program.queues[track]
        if self.busy[track] or self.head[track] >= len(queue):
            return
        task, free = queue[self.head[track]], self.free[track]
        for j in self.program.after[task]:
            if self.end[j] < 0.0:
                self.waiting.setdefault(j, []).append(track)
                return
            free = max(free, self.end[j])
        self._push(track, free)

    def _push(self, track: int, start: float) -> None:
        self.busy[track] = True
        self.serial += 1
        heapq.heappush(self.heap, (start, self.serial, -1 - track, 0))

    def _begin(self, track: int, now: float) -> None:
        task = self.program.queues[track][self.head[track]]
        domain = self.program.tracks[track].domain
        running = self.running[domain]
        self.head[track] += 1
        running[track] = task
        self.start[task] = self.since[task] = now
        self.left[task] = self.program.seconds[task]
        self.rate[task] = 0.0
        self.version[task] = 0
        self._need(track, domain, -1)
        self._share(running, now)

    def _finish(self, task: int, now: float) -> None:
        track = self.program.track[task]
        domain = self.program.tracks[track].domain
        del self.running[domain][track]
        self.busy[track] = False
        self.free[track] = self.end[task] = now
        self.ready += self.waiting.pop(task, ())
        self._share(self.running[domain], now)
        queue, head = self.program.queues[track], self.head[track]
        self._need(track, domain, self.program.shape.kernel_before.get(queue[head], -1) if head < len(queue) else NEVER)
        self.ready.append(track)

    def _need(self, track: int, domain: int, place: int) -> None:
        """The kernel the next collective of a sharing stream waits for (−1: it runs, or may begin at once)."""
        if track in self.needs[domain]:
            before = self.barrier[domain]
            self.needs[domain][track] = place
            self.barrier[domain] = min(self.needs[domain].values())
            self.leapt = self.leapt or self.barrier[domain] - before > LEAP

    def _share(self, domain: dict[int, int], now: float) -> None:
        """Give every running task of a domain its rate; those whose rate changed get a new finish time."""
        for track, task in domain.items():
            rate = rate_of(self.program, track, task, domain)
            if rate == self.rate[task]:
                continue
            self.left[task] = max(0.0, self.left[task] - (now - self.since[task]) * self.rate[task])
            self.since[task] = now
            self.rate[task] = rate
            self.version[task] += 1
            self.serial += 1
            heapq.heappush(self.heap, (now + self.left[task] / rate, self.serial, task, self.version[task]))


def rate_of(program: Program, track: int, task: int, running: dict[int, int]) -> float:
    """Speed of a task beside what runs in its domain (`running`: track → task), 1 when alone.

    A kernel beside a collective that steals: 1/stretch. A collective among n on links of one level: 1/n
    (messages between stages do not slow each other: they leave by links of their own direction).
    """
    me = program.tracks[track]
    if me.kind == "compute":
        stolen = any(program.tracks[other].steals for other in running)
        return 1.0 / program.stretch[task] if stolen else 1.0
    if me.level < 0:
        return 1.0
    others = (program.tracks[other] for other in running if other != track)
    return 1.0 / (1 + sum(o.level == me.level and "stream" in (o.kind, me.kind) for o in others))
