"""SimPy's environment with its loop in one frame: half of what an event costs is the way to it."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Any

import simpy.core
from simpy.events import NORMAL, Event, Timeout

Queued = tuple[float, int, int, Event]


class Environment(simpy.core.Environment):
    """A SimPy environment that runs until nothing is left to happen.

    Events, processes and their order are SimPy's: (time, priority, sequence).
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._queue: list[Queued] = []  # type: ignore[assignment]
        self._eid = count()
        self._active_proc = None

    @property
    def events(self) -> int:
        """Events scheduled so far (asked for once: it counts as one)."""
        return next(self._eid)

    def timeout(self, delay: float = 0.0, value: Any = None) -> Timeout:
        """Fires after a delay."""
        if delay < 0.0:
            raise ValueError(f"a negative delay of {delay}")
        return self.at(self._now + delay, value)

    def at(self, moment: float, value: Any = None) -> Timeout:
        """Fires at a moment."""
        event = _blank(Timeout)
        event.env, event.callbacks, event._value, event._ok = self, [], value, True
        event._delay = moment - self._now
        heappush(self._queue, (moment, NORMAL, next(self._eid), event))
        return event

    def run(self, until: Any = None) -> Any:
        """Every event in its order; `until`, as SimPy has it."""
        if until is not None:
            return super().run(until)
        queue = self._queue
        while queue:
            moment, _, _, event = heappop(queue)
            self._now = moment
            callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):
                raise event._value
        return None


_blank = object.__new__
