"""A step as a program: tracks (streams of a class of ranks) that run their tasks in order, each after its dependencies.

Both engines run the same program: `streams.run` with SimPy processes, `recursion.run` by
start = max(end of the task before on the track, ends of the dependencies).
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

from sim.records import dataclass

TrackKind = Literal["compute", "stream", "link"]


@dataclass(frozen=True, slots=True)
class Track:
    """A stream of one class of identical ranks.

    `compute` runs kernels, `stream` collectives in issue order, `link` messages that leave when their sender is done.
    Tracks of one `domain` (stage) share its device: a collective that `steals` slows the kernels beside it, and
    streams of one `level` (of the cluster's links, −1: none) share bandwidth, all slowed alike.
    """

    name: str
    kind: TrackKind
    domain: int
    axis: str = ""
    level: int = -1
    steals: bool = False


class Times(NamedTuple):
    """When every task started and ended (s), and how many events that took."""

    start: list[float]
    end: list[float]
    events: int


class Program:
    """Tasks in an order in which each comes after all it waits for; complete before it is run."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.queues: list[list[int]] = []
        self.track: list[int] = []
        self.seconds: list[float] = []
        self.after: list[tuple[int, ...]] = []
        self.name: list[object] = []  # what str() shows on the timeline
        self.stretch: list[float] = []
        self.inside: dict[int, tuple[tuple[str, float], ...]] = {}  # task → collectives within it, for the timeline
        self.about: list[tuple[tuple[str, object], ...]] = []  # of every task, for the timeline

    def __len__(self) -> int:
        return len(self.track)

    def add_track(self, track: Track) -> int:
        self.tracks.append(track)
        self.queues.append([])
        return len(self.tracks) - 1

    def add(self, track: int, name: object, seconds: float, after: tuple[int, ...] = (), stretch: float = 1.0) -> int:
        """Append a task; `stretch` is how many times longer a kernel takes beside a collective that steals."""
        task = len(self.track)
        self.queues[track].append(task)
        self.track.append(track)
        self.name.append(name)
        self.seconds.append(seconds)
        self.after.append(after)
        self.stretch.append(stretch)
        return task

    def timed(self, seconds: list[float], stretch: list[float]) -> Program:
        """The same tasks with other durations."""
        other = Program()
        other.tracks, other.queues, other.track = self.tracks, self.queues, self.track
        other.after, other.name = self.after, self.name
        other.seconds, other.stretch = seconds, stretch
        other.shape = self.shape
        return other

    @cached_property
    def shape(self) -> Shape:
        """What follows from tracks and dependencies alone."""
        return Shape(self)

    @cached_property
    def sharing(self) -> frozenset[int]:
        """Streams whose collectives slow what runs beside them in their domain, or are slowed."""
        used = [n for n, queue in enumerate(self.queues) if queue]
        stretched = {
            self.tracks[n].domain
            for n in used
            if self.tracks[n].kind == "compute" and any(self.stretch[task] > 1.0 for task in self.queues[n])
        }
        busy: dict[tuple[int, int], int] = {}
        for n in used:
            where = (self.tracks[n].domain, self.tracks[n].level)
            busy[where] = busy.get(where, 0) + (self.tracks[n].kind != "compute" and self.tracks[n].level >= 0)
        streams = ((n, self.tracks[n]) for n in used if self.tracks[n].kind == "stream")
        return frozenset(n for n, t in streams if (t.steals and t.domain in stretched) or busy[t.domain, t.level] > 1)

    @property
    def contended(self) -> bool:
        """Whether any task's duration depends on what runs beside it."""
        return bool(self.sharing)


class Shape:
    """The structure of a program: where tasks stand in their queues, and which messages leave right after a kernel."""

    def __init__(self, program: Program) -> None:
        tracks, after = program.tracks, program.after
        self.tracks = tracks
        self._shares: dict[tuple[int, ...], tuple[float, ...]] = {}
        self.domains = 1 + max((t.domain for t in tracks), default=-1)
        self.kernels = [-1] * self.domains  # the compute track of every domain
        self.place = [0] * len(program)
        self.before = [-1] * len(program)  # the task before each on its track, −1 for the first
        self.messages: dict[int, tuple[int, ...]] = {}  # kernel → messages that wait for it alone
        self.posted: set[int] = set()  # links that carry nothing else
        for number, (track, queue) in enumerate(zip(tracks, program.queues, strict=True)):
            if track.kind == "compute" and self.kernels[track.domain] < 0:
                self.kernels[track.domain] = number
            for place, task in enumerate(queue):
                self.place[task] = place
            for left, right in pairwise(queue):
                self.before[right] = left
        for number, (track, queue) in enumerate(zip(tracks, program.queues, strict=True)):
            mine = self.kernels[track.domain]
            if track.kind == "link" and all(len(after[m]) == 1 and program.track[after[m][0]] == mine for m in queue):
                self.posted.add(number)
                for message in queue:
                    self.messages[after[message][0]] = (*self.messages.get(after[message][0], ()), message)
        self.kernel_before: dict[int, int] = {}  # collective → place of the last kernel of its domain it waits for
        for track, queue in zip(tracks, program.queues, strict=True):
            if track.kind == "stream":
                mine = self.kernels[track.domain]
                for task in queue:
                    places = (self.place[j] for j in after[task] if program.track[j] == mine)
                    self.kernel_before[task] = max(places, default=-1)

    def shares(self, running: tuple[int, ...]) -> tuple[float, ...]:
        """Of each of the tracks that run in a domain its speed, 0 where the stretch of its kernel says it.

        A kernel beside a collective that steals: 1/stretch. A collective among n on links of one level: 1/n
        (messages between stages do not slow each other: they leave by links of their own direction).
        """
        if running not in self._shares:
            self._shares[running] = tuple(self._share(me, running) for me in running)
        return self._shares[running]

    def _share(self, me: int, running: tuple[int, ...]) -> float:
        mine = self.tracks[me]
        if mine.kind == "compute":
            return 0.0 if any(self.tracks[other].steals for other in running) else 1.0
        if mine.level < 0:
            return 1.0
        others = (self.tracks[other] for other in running if other != me)
        return 1.0 / (1 + sum(o.level == mine.level and "stream" in (o.kind, mine.kind) for o in others))
