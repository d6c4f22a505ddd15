"""Ranks that do not run alike: random jitter of kernels, met at every barrier by its exact maximum.

Ranks that exchange inside an op wait for the slowest of N. The largest of N independent draws has the distribution
F(x)^N, hence is one draw: x = F⁻¹(U^{1/N}), in the upper tail Φ⁻¹ evaluated at 1 − U^{1/N} = −expm1(ln(U)/N).
Data-parallel replicas run apart until a collective of theirs, which starts with the last of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sim.engine import recursion
from sim.engine.program import Program
from sim.engine.records import Spread
from sim.engine.step import build
from sim.errors import InputError, Problem
from sim.plan.step_record import StepRecord
from sim.records import dataclass

Floats = NDArray[np.float64]

JOINT_AXES = frozenset({"data", "expert", "norm"})  # collectives in which all replicas take part

DRAWN: Final = 64
DRAWN_PER_STAGE: Final = 4
"""Micro-batches drawn at most, in all and per stage of the pipeline."""
MOST_DRAWS: Final = 128_000_000
FEWEST: Final = 4
"""Random numbers drawn at most, some 10 s of computing, and steps drawn at least."""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Step times [s] of several steps drawn independently."""

    seconds: tuple[float, ...]

    @property
    def mean_s(self) -> float:
        return float(np.mean(self.seconds))

    @property
    def std_s(self) -> float:
        """Standard deviation of one step; that of n steps together is √n times it."""
        return float(np.std(self.seconds, ddof=1)) if len(self.seconds) > 1 else 0.0


def largest_of(ranks: int, uniform: Floats) -> Floats:
    """The largest of `ranks` standard normal draws, one for every uniform draw in (0, 1)."""
    return np.asarray(-ndtri(-np.expm1(np.log(uniform) / ranks)), dtype=np.float64)


def jittered_steps(record: StepRecord, sigma: float, *, steps: int = 16, seed: int = 0) -> StepTimes:
    """Step times when every kernel pass of every rank takes (1 + σ·z) times as long, z standard normal.

    All data-parallel replicas are kept apart as the vector axis.  Passes and collectives take what they take in the
    step without jitter, contention included (who runs beside whom is not drawn anew): without jitter it is that step.
    """
    if not 0.0 <= sigma < 1.0:
        raise InputError(Problem("must lie in [0, 1)", "training.jitter", str(sigma)))
    program = build(record)
    times = recursion.run(program)
    held = [end - start for start, end in zip(times.start, times.end, strict=True)]
    streams = np.random.SeedSequence(seed).spawn(steps)
    return StepTimes(tuple(_one(record, program, held, sigma, np.random.default_rng(s)) for s in streams))


def _one(record: StepRecord, program: Program, held: list[float], sigma: float, draw: np.random.Generator) -> float:
    """`held`: seconds every task takes without jitter."""
    plan = record.plan
    replicas, ranks = plan.data, plan.devices // (plan.data * plan.pipeline)
    free = np.zeros((len(program.tracks), replicas))
    ends: list[Floats] = []
    kernels = [track.kind == "compute" for track in program.tracks]
    joint = [track.axis in JOINT_AXES for track in program.tracks]
    for track, seconds, after in zip(program.track, held, program.after, strict=True):
        start = free[track]
        for j in after:
            start = np.maximum(start, ends[j])
        if joint[track]:
            start = np.full(replicas, start.max())
        end = start + (seconds * _factors(sigma, ranks, draw.random(replicas)) if kernels[track] else seconds)
        free[track] = end
        ends.append(end)
    return float(free.max())


def _factors(sigma: float, ranks: int, uniform: Floats) -> Floats:
    """How many times longer a pass takes on the slowest of `ranks`; `uniform` in [0, 1)."""
    inside = np.clip(1.0 - uniform, 2.0**-53, 1.0 - 2.0**-53)
    return np.maximum(0.0, 1.0 + sigma * largest_of(ranks, inside))


def _affordable(record: StepRecord) -> int:
    """Steps that can be drawn; InputError where they are too few for a band."""
    each = len(build(record).track) * record.plan.data
    if each * FEWEST > MOST_DRAWS:
        rule = f"at most {MOST_DRAWS // FEWEST:,} passes of all replicas are drawn for a step, this one has {each:,}"
        raise InputError(Problem(rule, "training.jitter", hint="training.jitter: 0, or fewer data-parallel ranks"))
    return MOST_DRAWS // each


def spread(record: StepRecord, step_s: float, sigma: float, *, draws: int = 32, seed: int = 0) -> Spread:
    """Steps of `step_s` [s] under jitter: the draws relative to the step without jitter.

    Of many micro-batches so many are drawn that fill and drain of the pipeline no longer count: the mean then grows as
    the step does, and the deviations of n times as many independent passes are 1/√n of it.
    """
    stages = len(record.stages)
    drawn = min(record.micro_batches, stages * max(DRAWN_PER_STAGE, -(-DRAWN // stages)))
    calmer = (drawn / record.micro_batches) ** 0.5
    few = record if drawn == record.micro_batches else record.with_micro_batches(drawn)
    draws = min(draws, _affordable(few))
    scale = step_s / jittered_steps(few, 0.0, steps=1).seconds[0]
    times = jittered_steps(few, sigma, steps=draws, seed=seed)
    mean = times.mean_s
    low, middle, high = (
        (mean + calmer * (float(p) - mean)) * scale for p in np.quantile(times.seconds, (0.05, 0.5, 0.95))
    )
    return Spread(sigma, draws, mean * scale, times.std_s * scale * calmer, low, middle, high)
