"""The campaign in SimPy: one process jumps from failure to failure, stop to stop, phase to phase.

Between two of these the number of steps and pauses done follows from arithmetic (`progress`), so a campaign costs two
events per failure, however many steps it has.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import numpy as np
import simpy

from sim.engine.campaign.progress import next_step, wall
from sim.engine.campaign.records import Outcome, Source, Work
from sim.engine.campaign.recovery import Pool
from sim.engine.campaign.state import State
from sim.engine.kernel import Environment
from sim.engine.records import Slice
from sim.errors import Unreachable, UnreachableError

Failure = tuple[float, int, Source]  # when, number of the source, the source
Events = Generator[simpy.Event, Any, None]
NEVER: Final = float("inf")
MOST_EVENTS: Final = 500_000
"""Of one campaign, failures counted too: some 5 s of computing, 200 times what a long campaign takes."""
MOST_KNOWN: Final = 1024  # failures of a seed that are remembered


def simulate_campaign(work: Work, seed: int = 0, trace: bool = False) -> Outcome:
    """One campaign of `work`; the same seed gives the same one."""
    run = _Run(work, seed, trace)
    run.env.process(run.job())
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
        draw = np.random.default_rng(streams[index])
        return ((startup_s + t, index, source) for t in source.process.arrivals(draw, source.count, source.mtbf_s))

    arrivals = [times(index, source) for index, source in enumerate(sources)]
    return arrivals[0] if len(arrivals) == 1 else heapq.merge(*arrivals, key=lambda failure: failure[:2])


class _Run:
    """One campaign under way."""

    def __init__(self, work: Work, seed: int, trace: bool) -> None:
        self.env = Environment()
        self.work = work
        self.state = State(work.phases)
        self.spans: list[Slice] | None = [] if trace else None
        self.marks: list[tuple[float, float, int, int]] = []
        self.pool = Pool(work.nodes, work.spares, work.repair_s)
        self.failures = failures_of(work, seed) if work.sources else iter(())
        self.failure = next(self.failures, None)
        self.slow_until: list[float] = []
        self.maintenance = work.maintenance[0] if work.maintenance else NEVER
        self.stop = self.maintenance  # the next moment at which training is stopped on purpose
        self.by = [0] * len(work.sources)
        self.stops = self.events = 0
        self.left = MOST_EVENTS  # events and failures
        self.slowness: dict[int, float] = {work.nodes: 1.0}
        self.again_s = work.detect_s + work.restart_s
        self.factor = 1.0  # how many times longer a step takes on the nodes at work

    def job(self) -> Events:
        if self.work.startup_s:
            yield from self.stand("startup", self.work.startup_s)
        state, phases = self.state, self.work.phases
        while state.phase < len(phases):
            now = self.env.now
            step_s = phases[state.phase].step_s * self.factor
            to, need = self.until(step_s, now)
            hit = self.failure
            if hit is not None and hit[0] < now + need and not hit[2].slows:
                yield self.pass_time("steps", hit[0] - now)
                self.roll_back(step_s, now, hit[0])
                if self.pool.spares is not None:
                    yield from self.await_nodes()
                seconds = self.again_s + state.newest[1].restore_s
                hit = self.failure
                if hit is not None and hit[0] < self.env.now + seconds:
                    seconds = yield from self.restart()
                state.spent["restart"] += seconds
                yield self.pass_time("restart", seconds)
                state.go(*state.newest[0])
                self.mark()
                continue
            yield self.pass_time("steps", need)
            state.copy(step_s, now, need)
            state.advance(step_s, to)
            self.absorb(self.env.now)
            self.mark()
            if self.stop <= self.env.now and state.phase < len(phases):
                yield from self.planned()

    def until(self, step_s: float, now: float) -> tuple[float, float]:
        """The step at which this stretch ends unless a failure ends it, and the seconds to it."""
        state, hit, stop = self.state, self.failure, self.stop
        to = state.phases[state.phase].steps
        need = (to - state.step) * step_s
        if hit is not None and hit[0] < min(stop, now + need) and not hit[2].slows:
            return to, need  # fails before, whatever the pauses
        need = wall(step_s, state.pauses, state.step, to)
        slows = hit is not None and hit[2].slows
        if hit is not None and slows:
            stop = min(stop, hit[0])
        if stop < now + need:
            to = min(next_step(step_s, state.pauses, state.step, stop - now), to)
            need = wall(step_s, state.pauses, state.step, to)
        if hit is not None and slows and hit[0] <= now + need:
            self.take(hit)
        return to, need

    def roll_back(self, step_s: float, started: float, now: float) -> None:
        """To the newest copy that outlives the failure of this moment."""
        state = self.state
        state.copy(step_s, started, now - started)
        self.absorb(now)
        copy = state.newest[0]
        if copy[1] > state.step and copy[0] == state.phase:  # made in this stretch, hence in this phase
            state.advance(step_s, copy[1])

    def restart(self) -> Generator[simpy.Event, Any, float]:
        """Seconds of the start that gets through, after those that fail."""
        while True:
            seconds = self.again_s + self.state.newest[1].restore_s
            hit, now = self.failure, self.env.now
            if hit is None or hit[0] >= now + seconds:
                return seconds
            if not hit[2].slows:
                yield from self.stand("restart", hit[0] - now)
            self.absorb(hit[0])
            if self.pool.spares is not None:
                yield from self.await_nodes()

    def planned(self) -> Events:
        """Maintenance, a slow node found, a node back from repair: a fresh copy, then start again without loss."""
        now, before = self.env.now, self.factor
        upkeep, found = self.maintenance <= now, any(t <= now for t in self.slow_until)
        self.slow_until = [t for t in self.slow_until if t > now]
        self.refresh(now)
        if not upkeep and not found and self.factor >= before:
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

    def await_nodes(self) -> Events:
        """Until the recovery policy lets training go on."""
        self.refresh(self.env.now)
        while not self.work.recovery.may_run(self.pool, self.factor):
            yield from self.stand("wait", self.pool.next_back - self.env.now)
            self.absorb(self.env.now)
            self.refresh(self.env.now)

    def absorb(self, until: float) -> None:
        """Take in every failure up to then."""
        while self.failure is not None and self.failure[0] <= until:
            self.take(self.failure)

    def take(self, failure: Failure) -> None:
        """What one failure breaks, and the copies it destroys."""
        when, number, source = failure
        self.by[number] += 1
        self.left -= 1
        if source.slows:
            heapq.heappush(self.slow_until, when + self.work.slow_found_s)
            self.refresh(when)
        else:
            self.state.lose(source.blast)
            if self.pool.spares is not None:
                self.pool.settle(when)
                self.pool.fail(source.nodes, when)
        self.failure = next(self.failures, None)
        if self.left < 0:
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
        self.factor = self.slowness[nodes] * (work.slow_factor if self.slow_until else 1.0)
        found = self.slow_until[0] if self.slow_until else NEVER
        back = self.pool.next_back if work.recovery.elastic and self.pool.missing else NEVER
        self.stop = min(self.maintenance, found, back)

    def mark(self) -> None:
        """Note what is done by now, where somebody asked for a trace."""
        if self.spans is not None:
            self.marks.append((self.env.now, self.state.done_s, sum(self.by), self.stops))

    def stand(self, kind: str, seconds: float) -> Events:
        """The devices wait for something other than a step."""
        self.state.spent[kind] += seconds
        yield self.pass_time(kind, seconds)

    def pass_time(self, kind: str, seconds: float) -> simpy.Event:
        self.events += 1
        self.left -= 1
        if self.left < 0:
            self.give_up()
        if self.spans is not None and seconds > 0:
            self.spans.append(Slice(f"campaign / {kind}", kind, self.env.now, self.env.now + seconds))
        return self.env.timeout(seconds)

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
