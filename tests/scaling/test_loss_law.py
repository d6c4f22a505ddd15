"""Loss against model size and data: published optima, inverses, repeated data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import UnreachableError
from sim.files.scaling import load_domain
from sim.scaling import LossLaw, Repeats, loss_at, optimum, optimum_for_compute, optimum_with_repeats

BESIROGLU = LossLaw(482.01, 2085.43, 0.3478, 0.3658, 1.8172)
C4 = LossLaw(521.0, 1488.0, 0.3526596, 0.3526596, 1.869, repeats=Repeats(15.387756, 5.309743))


@pytest.mark.parametrize(
    ("name", "tokens_per_parameter"), [("chinchilla", 18.4), ("chinchilla-hoffmann", 59.1), ("data-constrained", 19.5)]
)
def test_tokens_per_parameter_of_the_published_constants(name, tokens_per_parameter):
    """At Chinchilla's 5.76e23 FLOPs, recomputed by hand from each paper's constants."""
    law = load_domain(name).loss
    parameters, tokens = optimum_for_compute(law, 5.76e23)
    assert tokens / parameters == pytest.approx(tokens_per_parameter, rel=0.01)
    assert 6 * parameters * tokens == pytest.approx(5.76e23)


laws = st.builds(
    LossLaw,
    st.floats(100, 1e4),
    st.floats(100, 1e4),
    st.floats(0.2, 0.6),
    st.floats(0.2, 0.6),
    st.floats(0.5, 2.0),
)


@given(laws, st.floats(0.05, 2.0), st.floats(0.5, 2.0))
@settings(max_examples=60, deadline=None)
def test_the_optimum_reaches_the_loss_at_the_least_flops(law, excess, stretch):
    """L(N, D) is the target, and no other N that reaches it needs fewer FLOPs."""
    loss = law.irreducible + excess
    parameters, units = optimum(law, loss)
    assert loss_at(law, parameters, units) == pytest.approx(loss, rel=1e-9)
    rest = excess - law.size_coefficient / (stretch * parameters) ** law.size_exponent
    if rest > 0:
        other = (law.data_coefficient / rest) ** (1 / law.data_exponent)
        assert stretch * parameters * other >= parameters * units * (1 - 1e-9)


@given(st.floats(1e18, 1e26))
@settings(max_examples=30, deadline=None)
def test_the_two_inverses_agree(flops):
    """The loss at the best N and D of a budget asks for the same N and D."""
    for law in (BESIROGLU, load_domain("kaplan").loss):
        parameters, units = optimum_for_compute(law, flops)
        assert optimum(law, loss_at(law, parameters, units)) == pytest.approx((parameters, units), rel=1e-6)


def test_kaplan_prints_its_own_limits():
    """With unlimited data L(N) = (Nc/N)^0.076: 1.5 B parameters give 2.25 nat (by hand)."""
    law = load_domain("kaplan").loss
    assert loss_at(law, 1.5e9, 1e30) == pytest.approx((6.4e13 / 1.5e9) ** 0.076, rel=1e-6)


def test_a_unit_repeated_is_worth_less():
    """Muennighoff et al., eq. 5: after 15.39 repeats 1/e of the worth is left; four passes cost little."""
    fresh, four, many = (loss_at(C4, 1e8, 16e9, unique) for unique in (16e9, 4e9, 0.4e9))
    assert fresh < four < many
    assert four / fresh < 1.005
    worth = 4e9 * (1 + 15.387756 * (1 - math.exp(-3 / 15.387756)))
    size = C4.size_coefficient / 1e8**C4.size_exponent
    assert four == pytest.approx(C4.irreducible + size + C4.data_coefficient / worth**C4.data_exponent, rel=1e-9)


def test_too_little_data_has_a_floor():
    """However often 100 M tokens are repeated, 2.2 nat stay out of reach; with 20 G the answer repeats them."""
    with pytest.raises(UnreachableError, match="however often"):
        optimum_with_repeats(C4, 2.2, 1e8)
    parameters, units = optimum_with_repeats(C4, 2.4, 2e10)
    assert units > 2e10
    assert loss_at(C4, parameters, units, 2e10) == pytest.approx(2.4, rel=1e-6)
    assert 6 * parameters * units > 6 * math.prod(optimum(C4, 2.4))
