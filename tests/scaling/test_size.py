"""What a model of a given size can reach, where the law asks for a larger one."""

from __future__ import annotations

import pytest

from sim.files import load_scenario
from sim.files.scaling import load_domain
from sim.scaling import error_of_size, loss_at, project
from sim.simulation import simulate


@pytest.mark.parametrize("name", ["word-lm", "char-lm", "nmt", "speech", "image"])
def test_the_size_the_law_asks_for_reaches_the_target(name):
    """Both laws read backwards give back the error they were read forwards with."""
    domain = load_domain(name)
    projection = project(domain)
    assert projection.parameters is not None
    assert error_of_size(domain, projection.parameters) == pytest.approx(projection.target_error, rel=1e-9)
    smaller = error_of_size(domain, projection.parameters / 100)
    assert smaller is not None
    assert smaller > projection.target_error


def test_a_loss_law_leaves_the_term_of_the_size():
    """L(N, infinity) = E + A/N^a."""
    domain = load_domain("chinchilla")
    law = domain.loss
    assert law is not None
    expected = law.irreducible + law.size_coefficient / 1e9**law.size_exponent
    assert error_of_size(domain, 1e9) == pytest.approx(expected, rel=1e-12)
    assert loss_at(law, 1e9, 1e12) > expected


def test_a_model_too_small_for_its_target_is_said_to_be():
    """0.97 G parameters where 24.3 G are asked: the notes say whose size it is and what it can reach."""
    small = load_scenario("paper/word-lm", ["workload.parameters=1e9"])
    notes = simulate(small, levers=False).extrapolated
    assert any("the size of the model is set by the scenario" in note and "not 2.48" in note for note in notes)
    whole = simulate(load_scenario("paper/word-lm"), levers=False).extrapolated
    assert not any("set by the scenario" in note for note in whole)


def test_a_present_off_its_curve_is_named():
    """An error of today that the curve does not pass through."""
    odd = load_scenario("paper/word-lm", ["scaling.current_error=5.0"])
    assert any("its curve one of 3.37" in note for note in simulate(odd, levers=False).extrapolated)
