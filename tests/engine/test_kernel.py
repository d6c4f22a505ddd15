"""The environment with its loop in one frame runs what SimPy's own runs: simpy.Environment is the oracle."""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import pytest
import simpy

from sim.engine.kernel import Environment

Log = list[tuple[float, int, str]]


def story(env: simpy.Environment, seed: int) -> Log:
    """Processes that wait, meet at the same moments, signal, start and interrupt each other."""
    draw, log = random.Random(seed), Log()
    signals = [env.event() for _ in range(8)]

    def one(number: int) -> Generator[simpy.Event, Any, None]:
        for turn in range(20):
            try:
                yield env.timeout(draw.choice((0.0, 0.25, 0.5, 1.0 / 3.0)))
                log.append((env.now, number, f"turn {turn}"))
                if not signals[number].triggered and draw.random() < 0.3:
                    signals[number].succeed(number)
                if draw.random() < 0.2:
                    log.append((env.now, number, f"heard {(yield draw.choice(signals) | env.timeout(0.5))}"[:20]))
                if draw.random() < 0.2:
                    other = draw.choice(processes)
                    if other.is_alive and other is not env.active_process:
                        other.interrupt(number)
            except simpy.Interrupt as interrupt:
                log.append((env.now, number, f"interrupted by {interrupt.cause}"))

    processes = [env.process(one(number)) for number in range(8)]
    env.run()
    return log


@pytest.mark.parametrize("seed", range(20))
def test_the_same_story_in_the_same_order(seed: int) -> None:
    assert story(Environment(), seed) == story(simpy.Environment(), seed)


def test_a_process_that_fails_tells_why() -> None:
    """As SimPy does: whoever runs the environment gets the error."""
    env = Environment()

    def wrong() -> Generator[simpy.Event, Any, None]:
        yield env.timeout(1.0)
        raise ArithmeticError("as planned")

    env.process(wrong())
    with pytest.raises(ArithmeticError, match="as planned"):
        env.run()


def test_until_a_moment_and_until_an_event() -> None:
    env = Environment()
    env.run(2.5)
    assert env.now == 2.5
    assert env.run(env.timeout(1.0, "done")) == "done"
    assert env.now == 3.5
    with pytest.raises(ValueError, match="negative"):
        env.timeout(-1.0)
