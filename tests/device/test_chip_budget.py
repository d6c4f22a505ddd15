"""A chip from a budget: areas add up, power keeps its limit, what nothing fits in is refused with what binds."""

from __future__ import annotations

from dataclasses import fields, replace
from math import exp, pi, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.device.silicon import ChipBudget, ChipDesign, Figure, Process
from sim.device.silicon.band import bands
from sim.device.silicon.cost import good_share, gross_dies
from sim.errors import InputError
from sim.files.budget import BudgetFile, accelerator_of, bands_of, chip_of
from sim.files.hardware import build_accelerator
from sim.files.process import load_process

BUDGET = ChipBudget(area=600e-6, power_w=1000.0, stacks=8, node="n3", links=("nvlink5",))


def chip(**changes: Any) -> ChipDesign:
    """The chip of 600 mm², 1 kW and eight stacks, or of another budget."""
    return chip_of(BudgetFile("chip", replace(BUDGET, **changes)))


def refusals(**changes: Any) -> dict[str, str]:
    """What is refused of a budget: field → rule and hint."""
    with pytest.raises(InputError) as caught:
        chip(**changes)
    return {problem.path: f"{problem.rule} ({problem.hint})" for problem in caught.value.problems}


@given(
    area=st.floats(450e-6, 850e-6),
    matrix=st.floats(0.02, 0.12),
    cache=st.floats(0.0, 0.2),
    stacks=st.integers(1, 4),
    power=st.floats(400.0, 3000.0),
)
@settings(max_examples=40, deadline=None)
def test_areas_add_up_and_power_keeps_its_limit(
    area: float, matrix: float, cache: float, stacks: int, power: float
) -> None:
    """Σ blocks = area; the board draws at most its power; peak = 2·cores·width·clock."""
    made = chip(area=area, matrix_share=matrix, cache_share=cache, stacks=stacks, power_w=power)
    assert sum(block.area for block in made.blocks) == pytest.approx(area * 1e6, rel=1e-9)
    assert all(block.area >= 0.0 for block in made.blocks)
    assert made.power.total_w <= power * (1.0 + 1e-9)
    assert made.peak == pytest.approx(2.0 * made.cores * made.parts.width * made.clock_hz)
    assert made.cores <= made.cores_on_die


def test_memory_is_stacks_times_a_stack() -> None:
    """Eight stacks of HBM4: 16.4 TB/s and 288 GB; PHYs of 15 mm² each."""
    made = chip(year=2026)
    assert made.bandwidth == pytest.approx(8 * 2048e9)
    assert made.capacity_bytes == pytest.approx(8 * 36e9)
    assert {block.name: block.area for block in made.blocks}["memory PHYs"] == pytest.approx(120.0)


def test_a_share_left_empty_takes_what_the_rest_leaves() -> None:
    """A larger cache leaves fewer cores, fewer matrix units a larger cache."""
    assert chip(cache_share=0.3).cores < chip(cache_share=0.1).cores
    assert chip(matrix_share=0.05).cache_bytes > chip(matrix_share=0.1).cache_bytes
    assert chip(matrix_share=0.05, cache_share=0.1).blocks[-1].area > 100.0  # spare


def test_power_lowers_the_clock_and_not_the_peak() -> None:
    """(P − rest − memory) / (e·peak): half of what is left for arithmetic is half of the clock."""
    full = chip(power_w=1e5)
    rest = full.power.idle_w + full.power.memory_w
    half = chip(power_w=rest + 0.5 * full.power.full_w)
    assert half.power.sustained == pytest.approx(0.5)
    assert half.peak == full.peak
    assert full.power.sustained == load_process().blocks.sustained.value


def test_the_file_draws_what_the_design_says() -> None:
    """Sustained rate and memory traffic at the energies of the record are the board's power."""
    made = chip(power_w=700.0)
    found = build_accelerator(accelerator_of(BudgetFile("chip", BUDGET), made))
    assert found.power is not None
    rate = found.compute["bf16"].peak_flops * found.compute["bf16"].achievable * found.sustained
    moved = found.memory.bandwidth * found.memory.achievable
    drawn = found.power.idle_w + rate * found.power.flop_j["bf16"] + moved * found.power.dram_byte_j
    assert drawn == pytest.approx(700.0)
    assert found.power.peak_w == pytest.approx(700.0)
    assert found.power.flop_j["bf16"] == pytest.approx(made.power.flop_j)


def test_a_wafer_and_its_yield() -> None:
    """About 63 dies of an H100's size fit (TrendForce 60-65); no defects spoil none, spare cores save dies."""
    cut = (sqrt(814.0) + 0.2) ** 2
    assert gross_dies(814.0) == pytest.approx(pi * 147**2 / cut - 2 * pi * 147 / sqrt(2 * cut))
    assert gross_dies(814.0) == pytest.approx(63, rel=0.08)
    process = load_process()
    node = process.nodes["n5"]
    assert good_share(0.0, 500.0, 0, node, process.blocks) == pytest.approx(exp(-0.5))
    assert good_share(0.0, 500.0, 1, node, process.blocks) == pytest.approx(1.5 * exp(-0.5))
    assert good_share(300.0, 0.0, 0, node, process.blocks) == pytest.approx((1 + 0.3 / 3) ** -3)


def test_what_nothing_fits_in_is_refused_with_what_binds() -> None:
    """Area (18 + 120 + 6.6 + 11 and a core of 5.07 mm²), edge, reticle, power, interposer, each with a way out."""
    assert "smaller matrix_share" in refusals(matrix_share=0.5)["area"]
    assert "take 161 mm2" in refusals(area=100e-6, links=())["area"]
    assert "edge" in refusals(area=150e-6, stacks=12)["stacks"]
    assert "the reticle ends at 858 mm2" in refusals(area=2000e-6, dies=2)["dies"]
    assert "W of memory (at least" in refusals(power_w=300.0)["power_w"]
    assert "interposers end" in refusals(area=4000e-6, dies=6, stacks=10)["stacks"]


def test_every_unknown_name_is_told_at_once() -> None:
    """With the nearest known one."""
    found = refusals(node="n33", memory="HBM9", core="smt", links=("nvlink55",))
    assert set(found) == {"node", "memory", "core", "links.0"}
    assert 'did you mean "simt"?' in found["core"]


def test_dies_below_carry_memory_links_and_cache() -> None:
    """As MI300X: the compute dies keep their area for cores."""
    below = chip(io_node="n6", dies=8)
    assert below.cores > chip(dies=8).cores
    assert {block.name for block in below.blocks if block.below} == {
        "last-level cache", "memory PHYs", "link lanes", "fabric", "host, clocks and rest",
    }  # fmt: skip
    assert below.cost.dies > chip(dies=8).cost.dies


def test_a_band_is_what_the_ranges_leave_open() -> None:
    """HBM4's rate is 2,048 to 2,750 GB/s by its sources; nothing else moves it. The power ends at its limit."""
    found = {band.name: band for band in bands_of(BudgetFile("chip", BUDGET))}
    assert found["bandwidth"].low == pytest.approx(8 * 2048e9)
    assert found["bandwidth"].high == pytest.approx(8 * 2750e9)
    assert found["peak"].low < found["peak"].value < found["peak"].high
    assert found["power"].high <= BUDGET.power_w


def test_no_range_no_band() -> None:
    """Coefficients that are known exactly leave nothing open."""

    def exact(record: Any) -> Any:
        figures = {f.name: getattr(record, f.name) for f in fields(record)}
        pinned = {n: replace(v, low=v.value, high=v.value) for n, v in figures.items() if isinstance(v, Figure)}
        return replace(record, **pinned)

    process = load_process()
    sure = Process(
        {name: exact(node) for name, node in process.nodes.items()},
        {name: exact(stack) for name, stack in process.stacks.items()},
        {name: exact(core) for name, core in process.cores.items()},
        exact(process.blocks),
    )
    found = bands(chip(), sure, lambda budget, _: chip(cache_share=budget.cache_share))
    assert all(band.low == band.value == band.high for band in found)


@given(
    area=st.floats(1e-9, 1e-2),
    power_w=st.floats(1e-3, 1e6),
    stacks=st.integers(1, 64),
    year=st.floats(2016.0, 2035.0),
    core=st.sampled_from(["simt", "systolic"]),
    matrix_share=st.none() | st.floats(0.001, 0.99),
    cache_share=st.none() | st.floats(0.0, 4.0),
    width=st.none() | st.integers(16, 2**20),
    dies=st.none() | st.integers(1, 64),
    io_node=st.sampled_from(["", "n6"]),
    enabled=st.none() | st.floats(0.01, 1.0),
)
@settings(max_examples=150, deadline=None)
def test_every_budget_is_a_chip_or_refused(**stated: Any) -> None:
    """No budget is anything but a chip whose areas add up, or a list of what is wrong with a way out of each."""
    made, problems = None, ()
    try:
        made = chip_of(BudgetFile("chip", ChipBudget(**stated)))
    except InputError as error:
        problems = error.problems
    assert all(problem.hint for problem in problems)
    if made is None:
        return
    on_die = sum(block.area for block in made.blocks if not block.below)
    assert on_die == pytest.approx(made.parts.area, rel=1e-9)
    assert accelerator_of(BudgetFile("chip", made.budget), made).compute.formats["fp32"].peak > 0.0
    assert made.cost.total > 0.0
