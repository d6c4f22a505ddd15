"""Chips whose making is published come back from their budgets; the coefficients are those the data give."""

from __future__ import annotations

import pytest

from sim.files.process import load_known_chips, load_process
from sim.horizon.chip_check import FIGURES, check_chips, fitted

FIVE = ("a100", "h100", "tpu-v4", "mi300x", "b200")


@pytest.mark.parametrize("name", FIVE)
def test_a_known_chip_comes_back(name: str) -> None:
    """Peak, bandwidth and power of the data sheets within 20 %; only A100 had a part in any coefficient."""
    rows = [row for row in check_chips().rows if row.chip == name]
    assert [row.figure for row in rows] == list(FIGURES)
    assert all(abs(row.error) <= 0.20 for row in rows)
    assert all(bool(row.fit) == (name == "a100") for row in rows)


def test_most_figures_of_held_out_chips_lie_in_their_ranges() -> None:
    """Of four chips, three figures each: all but one at most."""
    inside, figures = check_chips().inside
    assert figures == 12
    assert inside >= 11


def test_it_does_better_than_area_times_a_constant() -> None:
    """Mean squared error over the five, of every figure."""
    rows = [row for row in check_chips().rows if row.chip in FIVE]
    for figure in FIGURES:
        mine = sum(row.error**2 for row in rows if row.figure == figure)
        assert mine < 0.5 * sum(row.null_error**2 for row in rows if row.figure == figure)


@pytest.mark.parametrize("core", ["simt", "systolic"])
def test_the_coefficients_are_those_the_fitted_chips_give(core: str) -> None:
    """As hardware/process/cores.yaml prints them, to their digits."""
    kept, again = load_process().cores[core], fitted(core)
    assert again.delivery == pytest.approx(kept.delivery.value, rel=1e-3)
    assert again.control == pytest.approx(kept.control.value, rel=1e-3)
    assert again.clock == pytest.approx(kept.clock.value, rel=1e-3)
    assert again.energy is None or again.energy == pytest.approx(kept.energy.value, rel=0.02)  # follows step times


def test_no_chip_held_out_has_a_part_in_a_coefficient() -> None:
    """The five but A100 are in no fit, and no memory's rate is a median over them."""
    known = load_known_chips()
    assert [name for name in FIVE if known[name].fit] == ["a100"]
    named = " ".join(stack.rate.source for stack in load_process().stacks.values())
    assert not any(word in named for word in ("A100", "H100", "MI300X", "B200", "TPU v4 "))
