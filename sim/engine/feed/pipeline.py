"""The input pipeline of one device in SimPy: stages joined by stores of as many places as batches are fetched ahead.

A stage takes a place ahead of it before it begins a batch, so a full pipeline stops its producers. With steady times
the wait per step is max(0, slowest stage - step); with one stage of exponential times and N batches fetched ahead, the
one in use included, it is that of the queue M/D/1/N (`queue.py`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final, TypeAlias

import simpy

from sim.records import dataclass

Events: TypeAlias = "Generator[simpy.Event, Any, None]"
STEPS: Final = 512
WARM_UP: Final = 64


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the way: seconds per batch of one device."""

    name: str
    seconds: float
    random: bool = False  # exponential with that mean


@dataclass(frozen=True, slots=True)
class Feed:
    """Waiting for input: seconds per step (mean), its standard error, and the stage at fault."""

    stall_s: float
    error_s: float
    limit: str
    events: int


def steady_stall_s(stages: Sequence[Stage], step_s: float) -> float:
    """D/D/1: the slowest stage sets the pace."""
    return max(0.0, max((stage.seconds for stage in stages), default=0.0) - step_s)


def simulate_feed(stages: Sequence[Stage], step_s: float, prefetch: int, *, steps: int = STEPS, seed: int = 0) -> Feed:
    """Steps of `step_s`, each of which needs a batch that has come through all `stages`."""
    limit = max(stages, key=lambda stage: stage.seconds).name
    run = _Run(stages, step_s, prefetch, seed)
    run.env.run(run.env.process(run.consume(steps + WARM_UP)))
    waits = run.waits[WARM_UP:]
    mean = sum(waits) / len(waits)
    length = max(1, len(waits) // 16)
    means = [sum(waits[i : i + length]) / len(waits[i : i + length]) for i in range(0, len(waits), length)]
    spread = sum((m - mean) ** 2 for m in means) / max(1, len(means) - 1)
    return Feed(mean, (spread / len(means)) ** 0.5, limit, run.events)


class _Run:
    """One device: its stages, the stores between them, the training step that empties the last."""

    def __init__(self, stages: Sequence[Stage], step_s: float, prefetch: int, seed: int) -> None:
        self.env = simpy.Environment()
        self.step_s = step_s
        self.waits: list[float] = []
        self.events = 0
        self.ready = [simpy.Store(self.env) for _ in stages]
        self.places = [simpy.Container(self.env, capacity=prefetch, init=prefetch) for _ in stages]
        for number, stage in enumerate(stages):
            self.env.process(self.produce(number, stage, seed))

    def produce(self, number: int, stage: Stage, seed: int) -> Events:
        """Take a place ahead, take a batch from behind, work on it, pass it on."""
        draw = _gaps(stage, seed, number)
        while True:
            yield self.places[number].get(1)
            if number:
                yield self.ready[number - 1].get()
                yield self.places[number - 1].put(1)
            yield self.env.timeout(next(draw))
            self.events += 3
            yield self.ready[number].put(None)

    def consume(self, steps: int) -> Events:
        """The training: wait for a batch, hold it for a step."""
        for _ in range(steps):
            asked = self.env.now
            yield self.ready[-1].get()
            self.waits.append(self.env.now - asked)
            yield self.env.timeout(self.step_s)
            self.events += 2
            yield self.places[-1].put(1)


def _gaps(stage: Stage, seed: int, number: int) -> Generator[float, None, None]:
    if not stage.random:
        while True:
            yield stage.seconds
    import numpy as np  # noqa: PLC0415  (start-up time: only where something is drawn)

    draw = np.random.default_rng(np.random.SeedSequence([seed, number]))
    while True:
        yield from (draw.standard_exponential(256) * stage.seconds).tolist()
