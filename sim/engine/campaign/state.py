"""Where a campaign stands: steps done, copies of the state that exist, time spent on what."""

from __future__ import annotations

from typing import Final

from sim.engine.campaign.progress import Pace
from sim.engine.campaign.records import Blast, Phase, Tier

Position = tuple[int, float]  # phase, steps done in it
START: Final = Tier("start", 1.0, 0.0, 0.0, 0.0, Blast.CLUSTER)  # the state before the first step
PARTS: Final = ("startup", "checkpoint", "evaluation", "restart", "wait", "degraded", "maintenance")
NOTHING: Final[tuple[Position, Tier]] = ((0, 0.0), START)


class State:
    """The book of one campaign."""

    __slots__ = (
        "copies",
        "factor",
        "newest",
        "pace",
        "phase",
        "phases",
        "spent",
        "stage",
        "step",
        "tiers",
        "unfinished",
        "weakest",
    )

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        self.phases, self.phase = phases, -1
        self.factor = 1.0  # how many times longer a step takes on the nodes at work
        self.weakest = min((t.survives for phase in phases for t in phase.tiers), default=Blast.CLUSTER)
        self.copies: dict[str, tuple[Position, Tier]] = {}  # tier → its newest finished copy
        self.newest = NOTHING  # of all tiers
        self.unfinished: dict[str, tuple[float, Position, Tier]] = {}  # tier → when finished, which
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.go(0, 0.0)

    def go(self, phase: int, step: float) -> None:
        """Be at this position."""
        self.step = step  # done in this phase
        if phase != self.phase:
            self.phase = phase
            if phase < len(self.phases):
                self.stage, self.tiers = self.phases[phase], self.phases[phase].tiers
                self.pace = Pace(self.stage.step_s * self.factor, self.stage.pauses)

    def slow(self, factor: float) -> None:
        """Steps of this length from now on."""
        if factor != self.factor:
            self.factor = factor
            self.pace = Pace(self.stage.step_s * factor, self.stage.pauses)

    @property
    def done_s(self) -> float:
        """Steps done, as seconds with all devices."""
        done = sum(phase.steps * phase.step_s for phase in self.phases[: self.phase])
        return done + (self.step * self.phases[self.phase].step_s if self.phase < len(self.phases) else 0.0)

    def copy(self, pace: Pace, started: float, since: float) -> None:
        """Note the copies that steps from `self.step` on have made in the `since` seconds after `started`."""
        step = self.step
        for tier in self.tiers:
            if self.unfinished:
                self._finish(tier.name, started + since)
            done = made = pace.last_multiple(step, since, tier.every)
            if made <= step:
                continue
            if tier.lag_s:
                done = pace.last_multiple(step, since - tier.lag_s, tier.every)
                if made > done:
                    ready = started + pace.wall(step, made) + tier.lag_s
                    self.unfinished[tier.name] = (ready, (self.phase, made), tier)
            if done > step:
                self.copies[tier.name] = copy = ((self.phase, done), tier)
                if copy[0] > self.newest[0]:
                    self.newest = copy

    def _finished(self, position: Position, tier: Tier) -> None:
        self.copies[tier.name] = copy = (position, tier)
        if position > self.newest[0]:
            self.newest = copy

    def _finish(self, name: str, now: float) -> None:
        """A copy under way at the last stop may have been written by now."""
        if name in self.unfinished and self.unfinished[name][0] <= now:
            _, position, tier = self.unfinished.pop(name)
            self._finished(position, tier)

    def advance(self, pace: Pace, to: float) -> None:
        """Steps up to `to` count: note what they cost besides themselves."""
        step, spent, stage = self.step, self.spent, self.stage
        for tier in self.tiers:
            spent["checkpoint"] += (to // tier.every - step // tier.every) * tier.pause_s
        if stage.evaluation:
            every, seconds = stage.evaluation
            spent["evaluation"] += (to // every - step // every) * seconds
        if pace.step_s != stage.step_s:
            spent["degraded"] += (to - step) * (pace.step_s - stage.step_s)
        self.step = to
        if to >= stage.steps:
            self.go(self.phase + 1, 0.0)

    def save(self) -> Tier:
        """A copy of this very moment in the safest tier."""
        tier = self.tiers[-1]
        self._finished((self.phase, self.step), tier)
        self.unfinished.clear()
        return tier

    def lose(self, blast: Blast) -> None:
        """Copies that do not outlive such a failure are gone, and those not finished."""
        if self.unfinished:
            self.unfinished.clear()
        if blast <= self.weakest:
            return
        gone = [name for name, (_, tier) in self.copies.items() if tier.survives < blast]
        for name in gone:
            del self.copies[name]
        self.newest = max(self.copies.values(), key=lambda copy: copy[0], default=NOTHING)
