"""Many campaigns at once in numpy: the same arithmetic as `run`, one array element per seed.

For policies that declare it: failures without memory, replacements always at hand, copies that outlive every failure,
no planned stops. Everything else runs in SimPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.engine.campaign.progress import Pauses
from sim.engine.campaign.records import Work
from sim.records import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Campaigns of many seeds; arrays by seed (s), with the meaning of the same names in `Outcome`."""

    wall_s: Floats
    ideal_s: float
    checkpoint_s: Floats
    evaluation_s: Floats
    restart_s: Floats
    failures: NDArray[np.int64]

    @property
    def goodput(self) -> Floats:
        return np.asarray(self.ideal_s / self.wall_s, dtype=np.float64)


def vectorised(work: Work) -> bool:
    """Whether the policies of `work` declare this form."""
    return (
        len(work.phases) == 1
        and len(work.phases[0].tiers) == 1
        and work.spares is None
        and work.maintenance is None
        and all(source.process.memoryless and not source.slows for source in work.sources)
        and all(work.phases[0].tiers[0].survives >= source.blast for source in work.sources)
    )


def simulate_campaigns(work: Work, seeds: int, seed: int = 0) -> Outcomes:
    """`seeds` campaigns; random numbers are drawn by the failure, so that works that differ in times share them."""
    phase = work.phases[0]
    tier, pauses, total, step_s, rate = phase.tiers[0], phase.pauses, phase.steps, phase.step_s, work.rate
    again = work.detect_s + work.restart_s
    draw = np.random.default_rng(np.random.SeedSequence(seed))
    done, now = np.zeros(seeds), np.full(seeds, work.startup_s)
    written, read = np.zeros(seeds), np.zeros(seeds)
    failures = np.zeros(seeds, dtype=np.int64)
    running = np.arange(seeds)
    while running.size:
        gaps = draw.standard_exponential(seeds)[running] / rate if rate else np.full(running.size, np.inf)
        at = done[running]
        ends = _wall(step_s, pauses, at, np.full(running.size, total)) <= gaps
        over = running[ends]
        now[over] += _wall(step_s, pauses, done[over], np.full(over.size, total))
        written[over] += (total // tier.every - done[over] // tier.every) * tier.pause_s
        done[over] = total
        running, gaps, at = running[~ends], gaps[~ends], at[~ends]
        now[running] += gaps
        failures[running] += 1
        copy = _last_multiple(step_s, pauses, at, gaps - tier.lag_s, tier.every)
        copy = np.maximum(copy, at)
        written[running] += (copy // tier.every - at // tier.every) * tier.pause_s
        done[running] = copy
        seconds = again + np.where(copy > 0, tier.restore_s, 0.0)
        extra, more = _restarts(draw, rate, seconds, running, seeds)
        now[running] += extra
        read[running] += extra
        failures[running] += more
    evaluations = np.zeros(seeds)
    if phase.evaluation:
        evaluations += (total // phase.evaluation[0]) * phase.evaluation[1]
    return Outcomes(now, work.ideal_s, written, evaluations, read, failures)


def _restarts(
    draw: np.random.Generator, rate: float, seconds: Floats, running: NDArray[np.intp], seeds: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Time until a restart of `seconds` gets through, and the failures before it does."""
    spent, failed = np.zeros(running.size), np.zeros(running.size, dtype=np.int64)
    left = np.arange(running.size)
    while left.size:
        gaps = draw.standard_exponential(seeds)[running[left]] / rate
        through = gaps >= seconds[left]
        spent[left] += np.where(through, seconds[left], gaps)
        failed[left] += ~through
        left = left[~through]
    return spent, failed


def _wall(step_s: float, pauses: Pauses, a: Floats, b: Floats) -> Floats:
    seconds = (b - a) * step_s
    for every, pause_s in pauses:
        seconds += (b // every - a // every) * pause_s
    return seconds


def _last_multiple(step_s: float, pauses: Pauses, a: Floats, seconds: Floats, every: float) -> Floats:
    slope = step_s + sum(pause_s / e for e, pause_s in pauses)
    b = np.floor((a + np.maximum(seconds, 0.0) / slope) / every) * every
    while (late := (b > a) & (_wall(step_s, pauses, a, b) > seconds)).any():
        b[late] -= every
    while (early := _wall(step_s, pauses, a, b + every) <= seconds).any():
        b[early] += every
    return b
