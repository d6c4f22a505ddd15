"""A step as a program: tracks (streams of a class of ranks) that run their tasks in order, each after its dependencies.

Both engines run the same program: `streams.run` with SimPy processes, `recursion.run` by
start = max(end of the task before on the track, ends of the dependencies).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

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
    """Tasks in an order in which each comes after all it waits for."""

    __slots__ = ("after", "inside", "name", "queues", "seconds", "stretch", "track", "tracks")

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.queues: list[list[int]] = []
        self.track: list[int] = []
        self.seconds: list[float] = []
        self.after: list[tuple[int, ...]] = []
        self.name: list[object] = []  # what str() shows on the timeline
        self.stretch: list[float] = []
        self.inside: dict[int, tuple[tuple[str, float], ...]] = {}  # task → collectives within it, for the timeline

    def __len__(self) -> int:
        return len(self.seconds)

    def add_track(self, track: Track) -> int:
        self.tracks.append(track)
        self.queues.append([])
        return len(self.tracks) - 1

    def add(self, track: int, name: object, seconds: float, after: tuple[int, ...] = (), stretch: float = 1.0) -> int:
        """Append a task; `stretch` is how many times longer a kernel takes beside a collective that steals."""
        task = len(self.seconds)
        self.queues[track].append(task)
        self.track.append(track)
        self.name.append(name)
        self.seconds.append(seconds)
        self.after.append(after)
        self.stretch.append(stretch)
        return task

    @property
    def contended(self) -> bool:
        """Whether any task's duration depends on what runs beside it."""
        used = [track for track, queue in zip(self.tracks, self.queues, strict=True) if queue]
        levels = [(t.domain, t.level) for t in used if t.kind == "stream" and t.level >= 0]
        links = {(t.domain, t.level) for t in used if t.kind == "link" and t.level >= 0}
        if len(set(levels)) < len(levels) or links & set(levels):
            return True
        stealing = {t.domain for t in used if t.steals}
        return any(
            self.stretch[task] > 1.0
            for track, queue in zip(self.tracks, self.queues, strict=True)
            if track.kind == "compute" and track.domain in stealing
            for task in queue
        )
