"""Collectives that run at the same time: fluid jobs that slow each other down equally.

A collective is one job: the time it takes alone (`work_s`) and the share of every link class it then keeps busy.
With rates r_j ≤ 1 (1 = as fast as alone) and loads a_jc, every class c obeys Σ_j r_j·a_jc ≤ 1; the rates are the
max-min fair ones *in r*, so jobs that meet on a full class are slowed by the same factor whatever bytes they move.
(Max-min in bytes/s would throttle an NVLink job that touches a NIC for 1 % of its bytes to the NIC's rate.)

Jobs with equal loads always have equal rates, hence one service clock per class of jobs and a heap of targets:
a launch or a finish costs O(log n + classes), and at most three SimPy events per job.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import TypeAlias

from simpy.core import Environment
from simpy.events import NORMAL, Event

Signature: TypeAlias = tuple[tuple[str, float], ...]
Mix: TypeAlias = tuple[tuple[Signature, int], ...]

_MEMO_LIMIT = 4096
_DONE = 1e-12  # of a job's work: what rounding may leave over


def fair_rates(mix: Mix) -> dict[Signature, float]:
    """Max-min fair slowdown factors of `mix` (job loads, how many such jobs): progressive filling, each rate ≤ 1.

    Raise all rates together; a link class c is full at level (1 − frozen use) / Σ loads of the jobs still rising;
    the jobs on the first full class stop there; jobs that meet no full class stop at 1.
    """
    rates: dict[Signature, float] = {}
    rising = dict(mix)
    left: dict[str, float] = {link: 1.0 for signature, _ in mix for link, load in signature if load > 0.0}
    while rising:
        demand = dict.fromkeys(left, 0.0)
        for signature, count in rising.items():
            for link, load in signature:
                if load > 0.0:
                    demand[link] += count * load
        levels = {link: left[link] / total for link, total in demand.items() if total > 0.0}
        level = min(levels.values(), default=1.0)
        if level >= 1.0:
            return rates | dict.fromkeys(rising, 1.0)
        full = {link for link, value in levels.items() if value <= level * (1.0 + 1e-12)}
        for signature in [s for s in rising if any(link in full and load > 0.0 for link, load in s)]:
            count = rising.pop(signature)
            rates[signature] = level
            for link, load in signature:
                if load > 0.0:
                    left[link] = max(left[link] - count * load * level, 0.0)
    return rates


class _JobClass:
    """All running jobs with the same loads: served seconds so far, and a heap of (target, sequence, event, work)."""

    __slots__ = ("heap", "rate", "served")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Event, float]] = []
        self.rate = 1.0
        self.served = 0.0


class SharedLinks:
    """Links shared by concurrent collectives inside a SimPy environment.

    >>> env = Environment()
    >>> links = SharedLinks(env)
    >>> a, b = links.launch(1.0, {"nic": 1.0}), links.launch(1.0, {"nic": 1.0})
    >>> env.run(env.all_of([a, b])) is not None, env.now
    (True, 2.0)
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._classes: dict[Signature, _JobClass] = {}
        self._memo: dict[Mix, dict[Signature, float]] = {}
        self._signatures: dict[tuple[tuple[str, float], ...], Signature] = {}
        self._clock = env.now
        self._wake_at = float("inf")
        self._version = 0
        self._sequence = 0

    def launch(self, work_s: float, loads: Mapping[str, float]) -> Event:
        """Start a collective that takes `work_s` alone and then loads each link class by `loads` (0…1).

        The returned event fires when it is done.
        """
        event = self._env.event()
        if work_s <= 0.0:
            return event.succeed()
        signature = self._signature(loads)
        self._advance()
        members = self._classes.get(signature)
        if members is None:
            members = self._classes[signature] = _JobClass()
        self._sequence += 1
        heappush(members.heap, (members.served + work_s, self._sequence, event, work_s))
        self._share()
        return event

    @property
    def running(self) -> int:
        """Collectives in flight."""
        return sum(len(members.heap) for members in self._classes.values())

    def _signature(self, loads: Mapping[str, float]) -> Signature:
        raw = tuple(loads.items())
        found = self._signatures.get(raw)
        if found is None:
            found = self._signatures[raw] = tuple(sorted((k, v) for k, v in raw if v > 0.0))
        return found

    def _advance(self) -> None:
        """Bring every service clock to now."""
        elapsed = self._env.now - self._clock
        if elapsed > 0.0:
            for members in self._classes.values():
                members.served += members.rate * elapsed
            self._clock = self._env.now

    def _share(self) -> None:
        """Set the rates of the present mix and make sure a wake-up is due no later than the next finish."""
        mix = tuple(sorted((signature, len(members.heap)) for signature, members in self._classes.items()))
        rates = self._memo.get(mix)
        if rates is None:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            rates = self._memo[mix] = fair_rates(mix)
        nearest = float("inf")
        for signature, members in self._classes.items():
            members.rate = rate = rates[signature]
            left = (members.heap[0][0] - members.served) / rate
            nearest = min(nearest, left)
        due = self._env.now + max(nearest, 0.0)
        if due < self._wake_at:
            self._schedule(due)

    def _schedule(self, due: float) -> None:
        """One pending wake-up counts; an earlier one outdates it by version number."""
        self._version += 1
        self._wake_at = due
        wake = Event(self._env)
        wake._ok, wake._value = True, self._version
        if wake.callbacks is not None:
            wake.callbacks.append(self._on_wake)
        self._env.schedule(wake, NORMAL, due - self._env.now)

    def _on_wake(self, wake: Event) -> None:
        if wake.value != self._version:
            return
        self._wake_at = float("inf")
        self._advance()
        for signature in list(self._classes):
            self._finish(signature)
        if self._classes:
            self._share()

    def _finish(self, signature: Signature) -> None:
        """Complete the jobs whose target is reached (to the resolution of the clock)."""
        members = self._classes[signature]
        heap = members.heap
        resolution = 4e-16 * self._env.now * members.rate
        while heap and heap[0][0] - members.served <= _DONE * heap[0][3] + resolution:
            heappop(heap)[2].succeed()
        if not heap:
            del self._classes[signature]
