"""The campaign in SimPy: one process jumps from failure to failure, stop to stop, phase to phase.

Between two of these the number of steps and pauses done follows from arithmetic (`progress`), so a campaign costs two
events per failure, however many steps it has. The generator yields seconds to a callback that sets one event anew: a
process of SimPy, with a timeout made for each wait, would cost more than the arithmetic between two failures.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import Any, Final

import numpy as np
from simpy.events import NORMAL, Event

from sim.engine.campaign.failures.exponential import Exponential
from sim.engine.campaign.progress import Pace
from sim.engine.campaign.records import Blast, Outcome, Source, Work
from sim.engine.campaign.recovery import Pool
from sim.engine.campaign.state import State
from sim.engine.kernel import Environment
from sim.engine.records import Slice
from sim.errors import Unreachable, UnreachableError

Failure = tuple[float, int, Source]  # when, number of the source, the source
Waits = Generator[float, None, None]  # seconds to the next event
NEVER: Final = float("inf")
NOTHING: Final = Source("nothing", Exponential(), 0, NEVER, 0, Blast.DEVICE)
MOST_EVENTS: Final = 250_000
"""Of one campaign: under a second of computing, 150 times what a long campaign takes."""
MOST_KNOWN: Final = 1024  # failures of a seed that are remembered


def simulate_campaign(work: Work, seed: int = 0, trace: bool = False) -> Outcome:
    """One campaign of `work`; the same seed gives the same one."""
    run = _Run(work, seed, trace)
    job, schedule = run.job(), run.env.schedule

    def go_on(alarm: Event) -> None:
        for seconds in job:
            alarm.callbacks = calls
            schedule(alarm, NORMAL, seconds)
            return

    calls: list[Callable[[Any], None]] = [go_on]
    run.env.timeout(0.0).callbacks = calls
    run.env.run()
    return run.outcome()


def failures_of(work: Work, seed: int) -> Iterator[Failure]:
    """All failures in order of time, from the first step on; a random stream per source, by its place."""
    asked = (work.sources, work.startup_s, seed)
    light = all(source.process.memoryless for source in work.sources)  # others hold the age of every component
    return iter(_drawn(*asked)) if light else _arrivals(*asked)


@lru_cache(maxsize=64)
def _drawn(sources: tuple[Source, ...], startup_s: float, seed: int) -> Drawn:
    return Drawn(sources, startup_s, seed)


class Drawn:
    """Failures of one seed, the first of them remembered: campaigns that differ in other things meet the same ones."""

    def __init__(self, sources: tuple[Source, ...], startup_s: float, seed: int) -> None:
        self.of = (sources, startup_s, seed)
        self.known: list[Failure] = []
        self.coming = _arrivals(*self.of)

    def __iter__(self) -> Iterator[Failure]:
        known, coming = self.known, self.coming
        for place in range(MOST_KNOWN):
            if place == len(known):
                if (failure := next(coming, None)) is None:
                    return
                known.append(failure)
            yield known[place]
        yield from islice(_arrivals(*self.of), MOST_KNOWN, None)


def _arrivals(sources: tuple[Source, ...], startup_s: float, seed: int) -> Iterator[Failure]:
    streams = np.random.SeedSequence(seed).spawn(len(sources))

    def times(index: int, source: Source) -> Iterator[Failure]:
        arrivals = source.process.arrivals(np.random.default_rng(streams[index]), source.count, source.mtbf_s)
        return zip(map(float(startup_s).__add__, arrivals), repeat(index), repeat(source), strict=False)

    if not sources:
        return iter(())
    failures = [times(index, source) for index, source in enumerate(sources)]
    return failures[0] if len(failures) == 1 else heapq.merge(*failures, key=lambda failure: failure[:2])


class _Run:
    """One campaign under way."""

    def __init__(self, work: Work, seed: int, trace: bool) -> None:
        self.env = Environment()
        self.work = work
        self.state = State(work.phases)
        self.spans: list[Slice] | None = [] if trace else None
        self.marks: list[tuple[float, float, int, int]] = []
        self.pool = Pool(work.nodes, work.spares, work.repair_s)
        self.failures = chain(failures_of(work, seed), repeat((NEVER, 0, NOTHING)))
        self.slow_until: list[float] = []
        self.maintenance = work.maintenance[0] if work.maintenance else NEVER
        self.stop = self.maintenance  # the next moment at which training is stopped on purpose
        self.by = [0] * len(work.sources)
        self.stops = 0
        self.events = 0
        self.slowness: dict[int, float] = {work.nodes: 1.0}
        self.again_s = work.detect_s + work.restart_s
        self.failure_s, self.number, self.source = next(self.failures)
        self.hit_s = NEVER if self.source.slows else self.failure_s

    def job(self) -> Waits:
        """Everything that happens; yields how long the devices do what they do."""
        if self.work.startup_s:
            yield from self.stand("startup", self.work.startup_s)
        env, state, spent, last = self.env, self.state, self.state.spent, len(self.work.phases)
        traced, pooled = self.spans is not None, self.pool.spares is not None
        now = env.now
        while state.phase < last:
            pace, to, hit_s = state.pace, state.stage.steps, self.hit_s
            need = (to - state.step) * pace.step_s
            if hit_s >= self.stop or hit_s >= now + need:  # else it fails before, whatever the pauses
                to, need = self.until(pace, now)
                hit_s = self.hit_s
            if hit_s < now + need:
                since = hit_s - now
                if traced:
                    self.span("steps", since)
                yield since
                state.copy(pace, now, since)
                self.absorb(hit_s)
                copy = state.newest
                phase, step = copy[0]
                if step > state.step and phase == state.phase:  # made in this stretch, hence in this phase
                    state.advance(pace, step)
                else:
                    state.go(phase, step)
                now += since
                if pooled:
                    yield from self.await_nodes()
                    now = env.now
                seconds = self.again_s + state.newest[1].restore_s
                if self.failure_s < now + seconds:
                    seconds = yield from self.restart()
                    now = env.now
                spent["restart"] += seconds
                if traced:
                    self.span("restart", seconds)
                yield seconds
                now += seconds
                if state.newest is not copy:
                    state.go(*state.newest[0])
                self.events += 2
                if traced:
                    self.mark()
                continue
            if traced:
                self.span("steps", need)
            yield need
            self.events += 1
            state.copy(pace, now, need)
            state.advance(pace, to)
            self.absorb(env.now)
            if traced:
                self.mark()
            if self.stop <= env.now and state.phase < last:
                yield from self.planned()
            now = env.now

    def until(self, pace: Pace, now: float) -> tuple[float, float]:
        """The step at which this stretch ends unless a failure ends it, and the seconds to it."""
        state, stop, failure_s = self.state, self.stop, self.failure_s
        to = state.stage.steps
        need = pace.wall(state.step, to)
        slows = failure_s < self.hit_s
        if slows:
            stop = min(stop, failure_s)
        if stop < now + need:
            to = min(pace.next_step(state.step, stop - now), to)
            need = pace.wall(state.step, to)
        if slows and failure_s <= now + need:
            self.absorb(failure_s)
        return to, need

    def restart(self) -> Generator[float, None, float]:
        """Seconds of the start that gets through, after those that fail."""
        while True:
            seconds, hit_s = self.again_s + self.state.newest[1].restore_s, self.failure_s
            if hit_s >= self.env.now + seconds:
                return seconds
            if hit_s == self.hit_s:
                yield from self.stand("restart", hit_s - self.env.now)
            self.absorb(hit_s)
            if self.pool.spares is not None:
                yield from self.await_nodes()

    def planned(self) -> Waits:
        """Maintenance, a slow node found, a node back from repair: a fresh copy, then start again without loss."""
        now, before = self.env.now, self.state.factor
        upkeep, found = self.maintenance <= now, any(t <= now for t in self.slow_until)
        self.slow_until = [t for t in self.slow_until if t > now]
        self.refresh(now)
        if not upkeep and not found and self.state.factor >= before:
            return  # back from repair, but no plan uses it
        self.stops += 1
        tier = self.state.save()
        yield from self.stand("checkpoint", tier.pause_s + tier.lag_s)
        if upkeep and self.work.maintenance:
            every, lasts = self.work.maintenance
            yield from self.stand("maintenance", lasts)
            self.maintenance += every * ((self.env.now - self.maintenance) // every + 1.0)
        yield from self.stand("restart", self.work.restart_s + tier.restore_s)
        self.absorb(self.env.now)
        yield from self.await_nodes()
        self.state.go(*self.state.newest[0])

    def await_nodes(self) -> Waits:
        """Until the recovery policy lets training go on."""
        self.refresh(self.env.now)
        while not self.work.recovery.may_run(self.pool, self.state.factor):
            yield from self.stand("wait", self.pool.next_back - self.env.now)
            self.absorb(self.env.now)
            self.refresh(self.env.now)

    def absorb(self, until: float) -> None:
        """Take in every failure up to then: what it breaks, and the copies it destroys."""
        state = self.state
        while self.failure_s <= until < NEVER:
            source, pool = self.source, self.pool
            self.by[self.number] += 1
            if source.slows:
                heapq.heappush(self.slow_until, self.failure_s + self.work.slow_found_s)
                self.refresh(self.failure_s)
            else:
                if state.unfinished or source.blast > state.weakest:
                    state.lose(source.blast)
                if pool.spares is not None:
                    pool.settle(self.failure_s)
                    pool.fail(source.nodes, self.failure_s)
            self.failure_s, self.number, self.source = next(self.failures)
            self.hit_s = NEVER if self.source.slows else self.failure_s
            if self.events > MOST_EVENTS:
                self.give_up()

    def give_up(self) -> None:
        """UnreachableError: failures come faster than the campaign comes back from them."""
        done, days = self.state.done_s / self.work.ideal_s, self.env.now / 86400.0
        statement = (
            f"no progress: after {sum(self.by):,} failures in {days:.4g} days {100 * done:.3g} % of the training "
            f"is done ({MOST_EVENTS:,} events are simulated at most); levers: campaign.recovery (spares, repair), "
            "campaign.checkpoints, longer times between failures"
        )
        raise UnreachableError(Unreachable(statement))

    def refresh(self, now: float) -> None:
        """Speed and next stop with the nodes at work now."""
        self.pool.settle(now)
        nodes, work = self.pool.working, self.work
        if nodes not in self.slowness:
            self.slowness[nodes] = work.price(nodes) if work.price else NEVER
        self.state.slow(self.slowness[nodes] * (work.slow_factor if self.slow_until else 1.0))
        found = self.slow_until[0] if self.slow_until else NEVER
        back = self.pool.next_back if work.recovery.elastic and self.pool.missing else NEVER
        self.stop = min(self.maintenance, found, back)

    def mark(self) -> None:
        """Note what is done by now, where somebody asked for a trace."""
        if self.spans is not None:
            self.marks.append((self.env.now, self.state.done_s, sum(self.by), self.stops))

    def stand(self, kind: str, seconds: float) -> Waits:
        """The devices wait for something other than a step."""
        self.state.spent[kind] += seconds
        self.events += 1
        if self.events > MOST_EVENTS:
            self.give_up()
        self.span(kind, seconds)
        yield seconds

    def span(self, kind: str, seconds: float) -> None:
        """Note what happens from now on, where somebody asked for a trace."""
        if self.spans is not None and seconds > 0:
            self.spans.append(Slice(f"campaign / {kind}", kind, self.env.now, self.env.now + seconds))

    def outcome(self) -> Outcome:
        spent, wall_s, ideal = self.state.spent, self.env.now, self.work.ideal_s
        by: dict[str, int] = {}
        for source, count in zip(self.work.sources, self.by, strict=True):
            by[source.component] = by.get(source.component, 0) + count
        rest = wall_s - ideal - sum(spent.values())
        return Outcome(
            wall_s=wall_s,
            ideal_s=ideal,
            startup_s=spent["startup"],
            checkpoint_s=spent["checkpoint"],
            evaluation_s=spent["evaluation"],
            rework_s=max(0.0, rest) if any(self.by) else 0.0,
            restart_s=spent["restart"],
            spare_wait_s=spent["wait"],
            degraded_s=spent["degraded"],
            maintenance_s=spent["maintenance"],
            failures=sum(self.by),
            stops=self.stops,
            failures_by=by,
            events=self.events,
            spans=tuple(self.spans or ()),
            marks=tuple(self.marks),
        )
