"""Stacks that compute: the update and sums of gradients off the bus, by arithmetic.

Four times the bus inside the stacks is HBM-PIM's 1.229 TB/s of 307 GB/s (Kwon et al., ISSCC 2021; recalled).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.device import Accelerator, Memory, default_power, op_energy, op_time, time_ops
from sim.device.energy import ops_energy
from sim.errors import InputError
from sim.ops import Gemm, Pointwise
from sim.workload.records import Numerics
from sim.workload.update import update_ops
from tests.plan.tiny import CHIP

PIM = replace(CHIP, memory=replace(CHIP.memory, near=4.0, near_energy=0.5))
WEIGHTS = 1e9
ADAM = 16.0 + 14.0  # B per weight: reads fp32 gradient, two moments, master; writes moments, master, bf16 copy


def powered(chip: Accelerator) -> Accelerator:
    return replace(chip, power=default_power(400.0, chip.compute, dram_pj_per_bit=4.0))


def test_the_update_runs_inside_the_stacks() -> None:
    """1e9 weights at 1 TB/s: 30 ms over the bus, 7.5 ms at four times it, and not a byte on the bus."""
    ops = update_ops(WEIGHTS, Numerics(gradients="fp32"))
    plain, near = time_ops(ops, CHIP), time_ops(ops, PIM)
    assert plain.seconds == pytest.approx(WEIGHTS * ADAM / 1e12)
    assert plain.dram_bytes == pytest.approx(WEIGHTS * ADAM)
    assert near.seconds == near.memory_bound_s == pytest.approx(WEIGHTS * ADAM / 4e12)
    assert near.dram_bytes == 0.0


def test_bytes_inside_a_stack_cost_their_share() -> None:
    """32 pJ/B over the bus; half of it inside."""
    ops = update_ops(WEIGHTS, Numerics(gradients="fp32"))
    assert ops_energy(ops, powered(CHIP)).dram_j == pytest.approx(WEIGHTS * ADAM * 32e-12)
    assert ops_energy(ops, powered(PIM)).dram_j == pytest.approx(WEIGHTS * ADAM * 32e-12 / 2)


@pytest.mark.parametrize(("near", "crossing"), [(1.0, 2.0), (1.25, 1.6), (2.0, 1.0), (8.0, 1.0)])
def test_a_gradient_added_into_its_sum_crosses_the_bus_once(near: float, crossing: float) -> None:
    """The sum is read and written, 2·4·m·n bytes; a stack twice as fast as the bus adds as fast as it is sent."""
    op = Gemm("weight gradient", 4096, 4096, 64, out_format="fp32", accumulate=True, transposed=True)
    chip = powered(replace(CHIP, memory=replace(CHIP.memory, near=near, near_energy=0.5 if near > 1.0 else None)))
    inputs, total = 2 * 4096 * 64 * 2, 4.0 * 4096 * 4096
    time = op_time(op, chip)
    assert time.dram_bytes == pytest.approx(inputs + crossing * total)
    assert time.seconds == pytest.approx((inputs + crossing * total) / 1e12)
    spared = (2.0 - crossing) * total
    assert op_energy(op, chip).dram_j == pytest.approx((inputs + crossing * total + spared / 2) * 32e-12)


def test_what_a_layer_computes_stays_on_the_chip() -> None:
    """Activations go on to the matrix unit: stacks that compute do not touch them."""
    op = Pointwise("gelu", 1e9, 2e9, 2e9)
    assert op_time(op, PIM) == op_time(op, CHIP)


def test_a_share_without_such_stacks_is_refused() -> None:
    with pytest.raises(InputError, match="near_energy"):
        Memory(1e9, 1e12, 1.0, near_energy=0.5)
    with pytest.raises(InputError, match="near"):
        Memory(1e9, 1e12, 1.0, near=0.5)
