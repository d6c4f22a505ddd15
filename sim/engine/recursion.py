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
        self.domain = [track.domain for track in program.tracks]
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
        self.left = [0.0] * len(program.tracks)  # seconds of work left at rate 1 of a track's running task
        self.rate = [0.0] * len(program.tracks)
        self.since = [0.0] * len(program.tracks)
        self.due = [0] * len(program.tracks)  # the finish that counts, by its serial number
        self.running: list[dict[int, int]] = [{} for _ in range(shape.domains)]
        self.heap: list[tuple[float, int, int]] = []  # when, serial number, task that ends or −1 − track that begins
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
        now, serial, task = heapq.heappop(self.heap)
        self.events += 1
        if task < 0:
            self._begin(-1 - task, now)
        elif serial == self.due[self.program.track[task]]:
            self._finish(task, now)

    def _drain(self) -> None:
        """Let arrive what is under way or sent, as far as no collective begins before, on the heap or later known."""
        tracks = self.program.tracks
        while True:
            links = [track for track in self.ready if tracks[track].kind != "compute"]
            self.ready = [track for track in self.ready if tracks[track].kind == "compute"]
            for track in links:
                self._next(track)
            if not self.heap:
                return
            when, _, task = self.heap[0]
            track = self.program.track[task] if task >= 0 else -1 - task
            if (task < 0 and tracks[track].kind == "stream") or when > self._unmet(tracks[track].domain):
                return
            self._event()

    def _unmet(self, domain: int) -> float:
        """Until when no collective of a domain begins that is not on the heap, whatever its kernels wait for."""
        barrier, kernels = self.barrier[domain], self.program.shape.kernels[domain]
        if barrier == NEVER:
            return INFINITE
        head = self.head[kernels]
        if barrier < head:  # its kernel has ended, others may keep it waiting; or runs, and its end is on the heap
            return INFINITE if self.busy[kernels] and barrier == head - 1 else 0.0
        return self.free[kernels] + self.done[domain][barrier + 1] - self.done[domain][head]

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
        """All kernels and messages that nothing disturbs from now on, in one pass: tasks come after what they wait
        for."""
        program, shape, end, free, head = self.program, self.program.shape, self.end, self.free, self.head
        limit = [self._reach(number) for number in range(len(program.tracks))]  # the last place to lead to
        begins = (
            queue[at]
            for track, queue, at, most in zip(program.tracks, program.queues, head, limit, strict=True)
            if track.kind == "compute" and at < len(queue) and at <= most
        )
        first = min(begins, default=len(program))
        done = [self.done[track.domain] for track in program.tracks]
        until = [self._until(track.domain) for track in program.tracks]
        barred = [t.kind == "link" and u < INFINITE for t, u in zip(program.tracks, until, strict=True)]
        start, waiting, place = self.start, self.waiting, shape.place
        rows = (program.track, place, program.after, program.seconds)
        for task, (track, at, after, lasts) in enumerate(zip(*(row[first:] for row in rows), strict=True), first):
            if at != head[track] or at > limit[track]:
                continue
            begin = free[track]
            for j in after:
                if end[j] > begin:
                    begin = end[j]
                elif end[j] < 0.0:
                    limit[track] = -1
                    break
            else:
                if barred[track] and begin + lasts > end[j] + until[track] - done[track][place[j] + 1]:
                    limit[track] = -1
                    self.ready.append(track)
                    continue
                start[task] = begin
                end[task] = free[track] = begin + lasts
                head[track] = at + 1
                if task in waiting:
                    self.ready += waiting.pop(task)

    def _reach(self, track: int) -> int:
        """The last place of a track that surely meets no collective before another kernel has ended."""
        if self.busy[track]:
            return -1
        if self.program.tracks[track].kind == "compute":
            return self.barrier[self.program.tracks[track].domain]
        return NEVER if track in self.program.shape.posted else -1

    def _calm(self, domain: int, ended: float, place: int) -> float:
        """Until when no collective begins, the kernel at `place` having ended: the kernels up to the barrier take that
        long."""
        until = self._until(domain)
        return until if until == INFINITE else ended + until - self.done[domain][place + 1]

    def _until(self, domain: int) -> float:
        """Seconds of the kernels of a domain up to its barrier."""
        barrier = self.barrier[domain]
        return INFINITE if barrier == NEVER else self.done[domain][barrier + 1]

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
        heapq.heappush(self.heap, (start, self.serial, -1 - track))

    def _begin(self, track: int, now: float) -> None:
        task = self.program.queues[track][self.head[track]]
        running = self.running[self.domain[track]]
        self.head[track] += 1
        running[track] = task
        self.start[task] = self.since[track] = now
        self.left[track] = self.program.seconds[task]
        self.rate[track] = 0.0
        if track in self.program.sharing:
            self._need(track, -1)
        self._share(running, now)

    def _finish(self, task: int, now: float) -> None:
        track = self.program.track[task]
        running = self.running[self.domain[track]]
        del running[track]
        self.busy[track] = False
        self.free[track] = self.end[task] = now
        if task in self.waiting:
            self.ready += self.waiting.pop(task)
        if running:
            self._share(running, now)
        if track in self.program.sharing:
            queue, head = self.program.queues[track], self.head[track]
            self._need(track, self.program.shape.kernel_before[queue[head]] if head < len(queue) else NEVER)
        self.ready.append(track)

    def _need(self, track: int, place: int) -> None:
        """The kernel the next collective of a sharing stream waits for (−1: it runs, or may begin at once)."""
        domain = self.domain[track]
        before = self.barrier[domain]
        self.needs[domain][track] = place
        self.barrier[domain] = min(self.needs[domain].values())
        self.leapt = self.leapt or self.barrier[domain] - before > LEAP

    def _share(self, domain: dict[int, int], now: float) -> None:
        """Give every running task of a domain its rate; those whose rate changed get a new finish time."""
        for track, rate in zip(domain, rates_of(self.program, domain), strict=True):
            before = self.rate[track]
            if rate != before:
                left = self.left[track]
                if before > 0.0:
                    left = max(0.0, left - (now - self.since[track]) * before)
                self.left[track], self.since[track], self.rate[track] = left, now, rate
                self.serial += 1
                self.due[track] = self.serial
                heapq.heappush(self.heap, (now + left / rate, self.serial, domain[track]))


def rates_of(program: Program, running: dict[int, int]) -> list[float]:
    """Speeds of all that runs in a domain (track → task), 1 when alone (see `Shape.shares`)."""
    if len(running) == 1:
        return [1.0]
    shares = program.shape.shares(tuple(running))
    return [share or 1.0 / program.stretch[task] for share, task in zip(shares, running.values(), strict=True)]
