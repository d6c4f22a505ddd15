"""One power model, published times, and what holds of every result."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim import load_scenario, simulate
from sim.errors import InputError
from sim.files import build, document_of
from sim.report.run import render
from sim.simulation import model_of
from sim.simulation.invariants import check_result
from sim.simulation.power import LOWEST_CLOCK, SECANTS, TOLERANCE, _highest_clock
from sim.simulation.stepping import record_of


@pytest.fixture(scope="module")
def scenario():
    values = {"workload": {"family": "gpt2"}, "cluster": "dgx-h100", "target": {"steps": 1}, "plan": {"sub_batch": 16}}
    return build(document_of(values, "power"))


def capped(scenario, cap):
    chip = scenario.accelerator
    return replace(scenario, accelerator=replace(chip, power=replace(chip.power, cap_w=cap)))


def test_the_average_power_keeps_the_cap_and_the_clock_follows(scenario):
    """Below the mean of a free step the clock falls until the mean is the cap (within 1 %), and time grows."""
    free = simulate(scenario, levers=False)
    assert free.energy.clock == 1.0
    assert free.energy.mean_device_w <= scenario.accelerator.power.peak_w
    cap = 0.8 * free.energy.mean_device_w
    held = simulate(capped(scenario, cap), levers=False)
    assert 0.99 * cap < held.energy.mean_device_w <= cap
    assert held.energy.clock < 1.0
    assert held.step.time_s > free.step.time_s
    arithmetic = held.energy.by_kind["arithmetic"] / free.energy.by_kind["arithmetic"]
    assert arithmetic == pytest.approx(held.energy.clock**2)


def test_a_flop_and_a_byte_at_each_level_have_their_price(scenario):
    """H100: a FLOP is what idle leaves of 700 W at full rate; HBM3 4.5 pJ, SRAM 0.13 pJ and a link 13 pJ a bit.

    Shares are those of the step, and a capped clock makes FLOPs cheaper, not bytes.
    """
    chip, free = scenario.accelerator, simulate(scenario, levers=False)
    entry = chip.compute["bf16"]
    full = entry.peak_flops * entry.achievable * chip.sustained
    assert free.energy.flop_j == pytest.approx((chip.power.peak_w - chip.power.idle_w) / full)
    assert free.energy.byte_j == pytest.approx({"cache": 1.04e-12, "memory": 36e-12, "link": 104e-12})
    line = next(line for line in render(free).splitlines() if "a byte moved" in line)
    share = 100 * free.energy.by_kind["memory"] / free.energy.step_j
    assert f"a FLOP {1e12 * free.energy.flop_j:.3g} pJ" in line
    assert f"memory 36 ({share:.2g} %)" in line
    held = simulate(capped(scenario, 0.8 * free.energy.mean_device_w), levers=False).energy
    assert held.flop_j == pytest.approx(free.energy.flop_j * held.clock**2)
    assert held.byte_j == free.energy.byte_j


def test_a_cap_above_what_a_step_draws_changes_nothing(scenario):
    """The mean of a step decides, not that of its hungriest op."""
    free = simulate(scenario, levers=False)
    assert simulate(capped(scenario, free.energy.mean_device_w + 1.0), levers=False).step == free.step


def test_a_cap_at_idle_power_is_refused(scenario):
    """No clock keeps it."""
    idle = scenario.accelerator.power.idle_w
    with pytest.raises(InputError, match="idle power"):
        simulate(capped(scenario, idle), levers=False)


def test_a_published_time_belongs_to_its_chip_and_sub_batch():
    """Hestness et al. 2019, section 6: 17.06 s for 128 samples on a chip of 15.67 TFLOP/s and 898 GB/s."""
    name = "paper/case-study-3-data-parallel-1024"
    for change in (
        "plan.sub_batch=64",
        'accelerator.compute.formats.fp32.peak="31 TFLOP/s"',
        'accelerator.memory.bandwidth="2 TB/s"',
    ):
        with pytest.raises(InputError, match=r"training\.compute_s of 17\.06 s was published"):
            simulate(load_scenario(name, [change]), levers=False, must_fit=False)


def test_no_result_executes_more_than_the_peaks(scenario):
    """A step shorter than its FLOPs at peak, or of no finite time, is refused."""
    result = simulate(scenario, levers=False)
    record = record_of(scenario, model_of(scenario, None), result.plan)
    check_result(result, record, scenario.accelerator)
    for seconds in (result.step.time_s * result.hfu * 0.5, float("nan"), -1.0):
        with pytest.raises(InputError):
            check_result(replace(result, step=replace(result.step, time_s=seconds)), record, scenario.accelerator)


@pytest.mark.parametrize("layers", [[-1, 13], [12, 0]])
def test_negative_and_empty_stages_are_refused(scenario, layers):
    """Every stage holds a block at least."""
    with pytest.raises(InputError, match="must be at least 1"):
        replace(scenario.plan, pipeline=2, stage_layers=tuple(layers), global_batch=64, sub_batch=1)


def test_device_hours_are_hours_of_every_device(scenario):
    """Seconds to the target · devices / 3600."""
    result = simulate(scenario, levers=False)
    assert result.cost.device_hours == pytest.approx(result.time_to_target.seconds * result.devices / 3600.0)


@given(
    st.lists(st.tuples(st.floats(0.1, 1.0), st.floats(0.0, 400.0)), max_size=4), st.floats(0.0, 3.0), st.floats(0, 1)
)
@example([(0.5, 1.0)], 1e-07, 0.5)
def test_the_clock_of_a_limit_is_the_one_that_halving_finds(jumps, power, share):
    """Whatever a step draws, as long as a faster clock draws no less."""
    idle_w, asked = 100.0, []

    def mean_w(clock):
        asked.append(clock)
        return idle_w + 1.0 + 300.0 * clock**power + sum(height for place, height in jumps if clock >= place)

    least, full_w = mean_w(LOWEST_CLOCK), mean_w(1.0)
    limit = least + share * (full_w - least)
    if limit >= full_w:
        return
    low, high = LOWEST_CLOCK, 1.0
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if mean_w(middle) <= limit else (low, middle)
    asked.clear()
    assert _highest_clock(mean_w, idle_w, limit, full_w) == low
    assert len(asked) <= 2 * (SECANTS + 10)  # both ends of each cell tried
