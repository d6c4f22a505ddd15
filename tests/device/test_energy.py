"""Energy by level."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.device import Accelerator, Compute, default_power, op_energy, op_time, ops_energy
from sim.errors import InputError
from sim.files.generations import list_generations, load_generation
from sim.ops import Gemm, Pointwise


def test_full_rate_product_draws_about_peak_power(a100: Accelerator) -> None:
    """The FLOP energy is what is left of 400 W at full rate, so a large product draws 280-400 W."""
    op = Gemm("g", 8192, 8192, 8192)
    watts = op_energy(op, a100).total_j / op_time(op, a100).seconds
    assert 280 < watts <= 400


def test_streaming_is_movement_and_products_are_arithmetic(a100: Accelerator) -> None:
    """A pointwise op spends its dynamic energy on DRAM, a large product on arithmetic."""
    stream = op_energy(Pointwise("p", 1e9, 2e9, 2e9), a100)
    product = op_energy(Gemm("g", 8192, 8192, 8192), a100)
    assert stream.movement_j > 5 * stream.arithmetic_j
    assert product.arithmetic_j > 5 * product.movement_j
    dram = 4e9 - a100.cache.capacity_bytes / 2
    assert a100.power is not None
    assert stream.dram_j == pytest.approx(dram * a100.power.dram_byte_j)


def test_energy_adds_up_and_unknown_power_is_zero(a100: Accelerator) -> None:
    """Σ count · energy; a chip without power figures has none."""
    op = Gemm("g", 512, 512, 512, count=7)
    assert ops_energy([op], a100).total_j == pytest.approx(7 * op_energy(op, a100).total_j)
    assert ops_energy([op], replace(a100, power=None)).total_j == 0.0


def test_a_vector_flop_beside_a_matrix_unit_costs_no_more_than_the_v100s() -> None:
    """3 TFLOP/s of a vector unit cannot draw a board's 280 W (93 pJ each): 4.4 pJ per byte; alone it draws the rest."""
    vector, matrix = Compute(3e12, 0.9, matrix=False), Compute(46e12, 0.95)
    both = default_power(280.0, {"fp32": vector, "bf16": matrix})
    assert both.flop_j["fp32"] == pytest.approx(17.6e-12)
    alone = default_power(280.0, {"fp32": vector})
    dynamic = 280.0 * 0.88
    assert alone.flop_j["fp32"] == pytest.approx(dynamic / 2.7e12)
    assert both.flop_j["bf16"] == pytest.approx(dynamic / (46e12 * 0.95))
    assert both.link_byte_j == pytest.approx(104e-12)


def test_generations_are_complete_and_unknown_ones_are_refused() -> None:
    """Every generation has fractions in (0, 1] and positive overhead; evidence is required by the record."""
    for kind in map(load_generation, list_generations()):
        fractions = [*kind.achievable.values(), kind.memory_achievable, kind.pointwise, kind.sustained]
        assert all(0.0 < fraction <= 1.0 for fraction in fractions)
        assert kind.kernel_overhead_s > 0.0
    with pytest.raises(InputError, match=r"unknown generation.*ampere"):
        load_generation("ampre")
