"""The fast way through a program: max-plus recursion, and a heap of finish times where durations depend on neighbours.

start(i) = max(end(task before i on its track), max over dependencies end(j));  end(i) = start(i) + seconds(i)

Only collectives slow what runs beside them, so that the recursion holds up to the first collective of each domain, and
the heap takes over from there.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from sim.engine.program import Program, Times


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


def _undisturbed(program: Program, end: list[float]) -> tuple[list[bool], list[int]]:
    """Tasks that surely run beside no collective, and how many of every track: kernels up to the one the first
    collective of their domain waits for, and messages that arrive before that one ends; each with all it waits for.
    """
    # `end` is exact as far as only undisturbed tasks come before
    place, limit = program.shape.place, _first_collectives(program)
    last: list[float] = []  # of a track: the place, of a link the time, up to which it is undisturbed
    for track in program.tracks:
        cut = limit.get(track.domain)
        if track.kind == "stream":
            last.append(-1.0)
        elif cut is None:
            last.append(float("inf"))
        else:
            last.append(cut[0] if track.kind == "compute" else end[cut[1]] if cut[1] >= 0 else -1.0)
    link = [track.kind == "link" for track in program.tracks]
    head = [0] * len(program.tracks)
    whole = [True] * len(program.tracks)  # whether all tasks of the track up to now are
    alone = [False] * len(program)
    for task, (number, after) in enumerate(zip(program.track, program.after, strict=True)):
        if not whole[number]:
            continue
        calm = (end[task] if link[number] else place[task]) <= last[number]
        for j in after if calm else ():
            if not alone[j]:
                calm = False
                break
        if calm:
            alone[task] = True
            head[number] += 1
        else:
            whole[number] = False
    return alone, head


def _first_collectives(program: Program) -> dict[int, tuple[int, int]]:
    """Of every domain with collectives that slow others: the kernel (its place, its number) none of them begins
    before; (−1, −1) where one may begin at once."""
    shape = program.shape
    limit: dict[int, tuple[int, int]] = {}
    for stream in program.sharing:
        domain = program.tracks[stream].domain
        place = min(shape.kernel_before[task] for task in program.queues[stream])
        first = (place, program.queues[shape.kernels[domain]][place] if place >= 0 else -1)
        limit[domain] = min(limit.get(domain, first), first)
    return limit


class _Fluid:
    """Tasks as fluids whose rates change when a neighbour in their domain starts or ends."""

    def __init__(self, program: Program) -> None:
        self.program = program
        count = len(program)
        self.start, self.end = _max_plus(program)
        done, self.head = _undisturbed(program, self.end)
        self.ready: dict[int, float] = defaultdict(float)  # earliest start, from tasks that are done
        self.missing: dict[int, int] = defaultdict(int)
        self.followers: dict[int, list[int]] = defaultdict(list)
        for task, after in enumerate(program.after):
            for j in () if done[task] else set(after):
                if done[j]:
                    self.ready[task] = max(self.ready[task], self.end[j])
                else:
                    self.missing[task] += 1
                    self.followers[j].append(task)
        for queue, head in zip(program.queues, self.head, strict=True):
            if 0 < head < len(queue):
                self.ready[queue[head]] = max(self.ready[queue[head]], self.end[queue[head - 1]])
        self.left = [0.0] * count  # seconds of work left at rate 1
        self.rate = [0.0] * count
        self.since = [0.0] * count
        self.version = [0] * count
        self.running: list[dict[int, int]] = [{} for _ in range(program.shape.domains)]
        self.heap: list[tuple[float, int, int, int]] = []
        self.serial = 0

    def run(self) -> Times:
        for track in range(len(self.program.tracks)):
            self._begin(track, 0.0)
        events = 0
        while self.heap:
            now, _, task, version = heapq.heappop(self.heap)
            events += 1
            if task < 0:
                self._begin(-1 - task, now)
            elif version == self.version[task]:
                self._finish(task, now)
        return Times(self.start, self.end, events)

    def _begin(self, track: int, now: float) -> None:
        """Start the next task of a track if it is free and everything before the task is done."""
        queue = self.program.queues[track]
        domain = self.running[self.program.tracks[track].domain]
        if track in domain or self.head[track] >= len(queue):
            return
        task = queue[self.head[track]]
        if self.missing[task]:
            return
        if self.ready[task] > now:  # woken when what it waits for, done without a heap, has ended
            self.serial += 1
            heapq.heappush(self.heap, (self.ready[task], self.serial, -1 - track, 0))
            return
        self.head[track] += 1
        domain[track] = task
        self.start[task] = now
        self.left[task] = self.program.seconds[task]
        self.since[task] = now
        self.rate[task] = 0.0
        self._share(domain, now)

    def _finish(self, task: int, now: float) -> None:
        track = self.program.track[task]
        domain = self.running[self.program.tracks[track].domain]
        del domain[track]
        self.end[task] = now
        self.version[task] += 1
        self._share(domain, now)
        for follower in self.followers[task]:
            self.missing[follower] -= 1
        self._begin(track, now)
        for follower in self.followers[task]:
            self._begin(self.program.track[follower], now)

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
