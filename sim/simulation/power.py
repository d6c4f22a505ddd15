"""One power model: the clock at which a step keeps the board's power, or the cap set below it.

P(s) = P_idle + s³·P_busy + (s²·E_arithmetic + E_movement) / (T(s)·devices). At clock s arithmetic takes 1/s of its time
and, the voltage following the clock, s² of its energy (dynamic energy C·V²); movement keeps both. What the limit holds
down is the mean over a step: boards let their power swing for longer than an op takes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from math import log
from typing import Final

from sim.errors import InputError, Problem
from sim.plan.energy import Energy, step_energy
from sim.plan.records import Plan
from sim.scenario import Scenario
from sim.simulation.stepping import slowest
from sim.workload.records import Model

LOWEST_CLOCK: Final = 0.1  # of the full clock; an A100's range is 210 to 1410 MHz (recalled)
TOLERANCE: Final = 1e-3  # of the clock
FLATTEST: Final = 0.05  # power of the clock below which halving tells more than a slope
SECANTS: Final = 3  # attempts; a step that changes what it waits for is halved upon


def within_power(scenario: Scenario, model: Model, plan: Plan, spent: Energy | None) -> Scenario:
    """The scenario itself where its step (at full clock: `spent`) stays below the limit, else with the clock that
    does."""
    chip = scenario.accelerator
    if chip.power is None or spent is None or scenario.training.compute_s is not None:
        return scenario
    limit = min(chip.power.peak_w, chip.power.cap_w or chip.power.peak_w)
    if limit <= chip.power.idle_w:
        rule = f"must lie above the idle power of {chip.power.idle_w:g} W"
        raise InputError(Problem(rule, "accelerator.power.cap", f"{limit:g} W"))
    full_w = spent.mean_device_w
    if full_w <= limit:
        return scenario
    clock = _highest_clock(lambda s: _mean_w(scenario.at_clock(s), model, plan), chip.power.idle_w, limit, full_w)
    return scenario.at_clock(clock)


def _highest_clock(mean_w: Callable[[float], float], idle_w: float, limit: float, full_w: float) -> float:
    """The clock at which halving the range would end, found from a few: power above idle goes as clock^n.

    Between the highest clock known to keep the limit and the lowest known not to, the cell of the halving that holds
    the clock expected is tried at both ends; they give n, and the next cell, until one end keeps the limit and the
    other does not.
    """
    known, n = {1.0: full_w}, 2.0  # voltage: the square of the clock, where movement sets the time
    fits, over, tried = 0.0, 1.0, 1.0
    for secant in chain([True] * SECANTS, repeat(False)):
        guess = tried * ((limit - idle_w) / (known[tried] - idle_w)) ** (1.0 / n) if n > FLATTEST else 0.0
        ends = _cell(guess if secant and fits < guess < over else (max(fits, LOWEST_CLOCK) + over) / 2)
        for clock in ends:
            if fits < clock < over:
                known[clock] = mean_w(clock)
                fits, over, tried = (clock, over, clock) if known[clock] <= limit else (fits, clock, clock)
        if ends == (fits, over) or over == LOWEST_CLOCK:
            break
        beside = min((clock for clock in known if clock != tried), key=lambda clock: abs(clock - tried))
        n = log((known[tried] - idle_w) / (known[beside] - idle_w)) / log(tried / beside)
    if over == LOWEST_CLOCK:
        rule = f"cannot be kept: at a clock of {LOWEST_CLOCK:g} of the full one this step draws {known[over]:.0f} W"
        raise InputError(Problem(rule, "accelerator.power.cap", f"{limit:g} W"))
    return fits


def _cell(clock: float) -> tuple[float, float]:
    """The two ends between which halving the range would stop, were this clock the highest to keep the limit."""
    low, high = LOWEST_CLOCK, 1.0
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if middle <= clock else (low, middle)
    return low, high


def _mean_w(scenario: Scenario, model: Model, plan: Plan) -> float:
    record, step = slowest(scenario, model, plan, "recursion")
    return step_energy(record, scenario.accelerator, step.time_s, None, step.input_stall_s).mean_device_w
