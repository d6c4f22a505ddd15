"""Learning curves, size laws and their inverses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError, UnreachableError
from sim.scaling import LearningCurve, SizeLaw, data_for, data_scale, error_at, parameters_for, samples_at, steps_at
from sim.scaling.laws import region

WORD = LearningCurve(alpha=13.0, beta=-0.066, best_guess=math.log(10004))


def test_word_curve_passes_through_the_state_of_the_art():
    """PPoPP 2019 table 1: 768 M words give 3.37 nat/word."""
    assert error_at(WORD, 768e6) == pytest.approx(3.37, rel=1e-3)


def test_data_scale_is_the_ratio_of_errors_to_the_power_of_one_over_beta():
    """exp(ln(3.37/2.48)/0.066) by hand."""
    assert data_scale(WORD, 3.37, 2.48) == pytest.approx(math.exp(math.log(3.37 / 2.48) / 0.066), rel=1e-12)


@given(st.floats(1e3, 1e15), st.floats(0.1, 100), st.floats(-0.5, -0.05), st.floats(0, 0.09))
@settings(max_examples=50, deadline=None)
def test_inverse_undoes_the_curve(units, alpha, beta, floor):
    """m(ε(m)) = m wherever the power-law term is not lost beside the floor."""
    curve = LearningCurve(alpha, beta, irreducible=floor)
    error = error_at(curve, units)
    if error - floor > 1e-4 * floor:
        assert data_for(curve, error) == pytest.approx(units, rel=1e-6)


def test_three_regions():
    """Small data: guessing; middle: power law; large: the irreducible error dominates."""
    curve = LearningCurve(alpha=13.0, beta=-0.25, irreducible=0.1, best_guess=5.0)
    assert [region(curve, m) for m in (10.0, 1e5, 1e13)] == ["best-guess", "power-law", "irreducible"]
    assert error_at(curve, 10.0) == 5.0


def test_a_curve_that_still_falls_is_not_irreducible():
    """From 2.9 to 2.2 above a floor of 1.7 the power-law term outweighs nothing, yet the error still falls."""
    curve = LearningCurve(alpha=100.0, beta=-0.25, irreducible=1.7)
    for error in (2.9, 2.2):
        assert region(curve, data_for(curve, error)) == "power-law"


def test_target_at_the_floor_is_unreachable():
    """At or below γ no amount of data helps."""
    with pytest.raises(UnreachableError, match=r"at or below the irreducible error 0\.1"):
        data_for(LearningCurve(alpha=1.0, beta=-0.3, irreducible=0.1), 0.1)


def test_target_at_the_best_guess_is_already_reached():
    """A target that guessing reaches is a mistake of the input."""
    with pytest.raises(InputError, match="already reached by guessing"):
        data_for(WORD, 9.3)


@pytest.mark.parametrize("error", [0.0, -1.0, math.nan, math.inf])
def test_target_must_be_a_positive_number(error):
    """Zero, negative, NaN and infinite targets are refused."""
    with pytest.raises(InputError, match="must be a positive number"):
        data_for(WORD, error)


def test_size_law():
    """Word LM: 9.4e-4 million · (77e9)^0.68 = 23.77 B parameters (paper table 3: 23.8 B)."""
    assert parameters_for(SizeLaw(940.0, 0.68), 77e9) == pytest.approx(23.77e9, rel=1e-3)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(1, 1e6))
@settings(max_examples=50, deadline=None)
def test_steps_and_samples_obey_mccandlish(min_steps, critical, batch):
    """(S/S_min − 1)(E/E_min − 1) = 1 with E_min = B_c·S_min, and E = S·B."""
    steps, samples = steps_at(min_steps, critical, batch), samples_at(min_steps * critical, critical, batch)
    assert samples == pytest.approx(steps * batch, rel=1e-9)
    excess_steps, excess_samples = steps / min_steps - 1, samples / (min_steps * critical) - 1
    if min(excess_steps, excess_samples) > 1e-5:
        assert excess_steps * excess_samples == pytest.approx(1.0, rel=1e-6)
