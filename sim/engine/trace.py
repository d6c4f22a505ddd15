"""The timeline of a step as Chrome / Perfetto trace events (JSON, gzip where the name ends in .gz).

A process per stage, a thread per stream; complete events ("X", microseconds) that never overlap on a thread; counters
("C") for the memory of a stage as micro-batches come and go, and for the streams and links that are busy. An event's
`args` name its layer and ops with FLOPs and bytes, or the buffer of its collective.
Format: Chromium "Trace Event Format" document.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sim.engine.records import Slice, Step
from sim.plan.records import DeviceMemory

Event = dict[str, object]
PASS: Final = re.compile(r"(forward|backward) \d+( chunk \d+)?")  # of one micro-batch, whatever part of it


def trace_events(step: Step, memory: Sequence[DeviceMemory] = ()) -> list[Event]:
    """All events of a step simulated with `trace=True`; `memory`: one entry per stage, for the counters."""
    tracks = list(dict.fromkeys(s.track for s in step.slices))
    stages = list(dict.fromkeys(_stage(track) for track in tracks))
    events: list[Event] = []
    for pid, stage in enumerate(stages):
        events.append({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": stage}})
    place = {track: (stages.index(_stage(track)), tid) for tid, track in enumerate(tracks)}
    for track, (pid, tid) in place.items():
        events.append({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": _stream(track)}})
    events += [_complete(s, *place[s.track]) for s in step.slices if s.end_s > s.start_s]
    for pid, stage in enumerate(stages):
        mine = [s for s in step.slices if _stage(s.track) == stage]
        events += _load(mine, pid)
        if pid < len(memory):
            events += _memory(mine, memory[pid].bytes_by_kind, pid)
    return events


def trace_file(step: Step, memory: Sequence[DeviceMemory] = (), packed: bool = False) -> bytes:
    """The timeline as a file, gzipped if `packed`; the same step gives the same bytes."""
    text = json.dumps({"displayTimeUnit": "ms", "traceEvents": trace_events(step, memory)}, separators=(",", ":"))
    data = text.encode()
    return gzip.compress(data, mtime=0) if packed else data


def _stage(track: str) -> str:
    return track.split(" / ")[0]


def _stream(track: str) -> str:
    return track.split(" / ")[-1]


def _complete(s: Slice, pid: int, tid: int) -> Event:
    start = s.start_s * 1e6
    event: Event = {"ph": "X", "name": s.name, "pid": pid, "tid": tid, "ts": start, "dur": s.end_s * 1e6 - start}
    return event | {"args": dict(s.about)} if s.about else event


def _counter(name: str, pid: int, points: Iterable[tuple[float, float]]) -> list[Event]:
    return [{"ph": "C", "name": name, "pid": pid, "ts": t * 1e6, "args": {"value": value}} for t, value in points]


def _levels(changes: Iterable[tuple[float, float]], start: float) -> list[tuple[float, float]]:
    """Running sum of changes, one point per moment."""
    level, points = start, {0.0: start}
    for t, change in sorted(changes):
        level += change
        points[t] = level
    return list(points.items())


def _load(slices: Sequence[Slice], pid: int) -> list[Event]:
    """How many collectives and messages of a stage are under way."""
    busy = [s for s in slices if _stream(s.track) != "compute"]
    changes = [(s.start_s, 1.0) for s in busy] + [(s.end_s, -1.0) for s in busy]
    return _counter("links busy", pid, _levels(changes, 0.0)) if busy else []


def _memory(slices: Sequence[Slice], kinds: Mapping[str, float], pid: int) -> list[Event]:
    """Bytes held: what stays, and activations that come with forward and go with backward passes."""
    passes: dict[str, list[Slice]] = {}
    for s in slices:
        which = PASS.match(s.name) if _stream(s.track) == "compute" else None
        if which is not None:
            passes.setdefault(which.group(), []).append(s)
    changes = [
        (max(s.end_s for s in parts), -1.0) if name.startswith("backward") else (min(s.start_s for s in parts), 1.0)
        for name, parts in passes.items()
    ]
    held = _levels(changes, 0.0)
    most = max((value for _, value in held), default=0.0)
    moving = kinds.get("activations", 0.0)
    still = sum(kinds.values()) - moving
    return _counter("memory bytes", pid, [(t, still + moving * value / max(most, 1.0)) for t, value in held])
