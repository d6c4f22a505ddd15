"""Samples and steps against the batch, passes, and what is refused."""

from __future__ import annotations

import pytest

from sim.errors import InputError, UnreachableError
from sim.files.scaling import load_domain
from sim.scaling import CriticalBatch, Errors, LearningCurve, critical_batch_of, effort, parse_critical_batch, project
from sim.scaling.batch import samples_as_it_grows


def test_a_critical_batch_has_a_unit():
    """`3945` alone is refused with both spellings; samples and the domain's unit are read."""
    with pytest.raises(InputError, match='write "3945 samples" or "3945 words"'):
        parse_critical_batch(3945, "word")
    with pytest.raises(InputError, match="neither in samples nor in words"):
        parse_critical_batch("3945 images", "word")
    assert parse_critical_batch("3,945 samples", "word").in_samples(25.35) == 3945
    assert parse_critical_batch("100000 words", "word").in_samples(25.0) == 4000


def test_resnet_50_knows_its_passes():
    """Reference points: 35 passes to 24.1 % at small batch; at a batch of 32,768 the points read 56 (55 to 57)."""
    domain = load_domain("imagenet-resnet50")
    at = project(domain, 0.241)
    critical, others = critical_batch_of(domain, at, None)
    assert {c.in_samples(1.0) for c in others} == {18800, 15000}
    samples = effort(domain, at, at.passes, 32768, critical, 1.0).samples
    assert samples / 1281167 == pytest.approx(56, rel=0.06)


def test_a_stricter_error_takes_the_passes_that_reached_it():
    """23.7 % was reached in 90 passes (Goyal et al. 2017), up to a batch of 8,192 and no further."""
    domain = load_domain("imagenet-resnet50")
    at = project(domain, 0.237)
    assert at.passes == 90
    critical, _ = critical_batch_of(domain, at, None)
    assert effort(domain, at, at.passes, 8192, critical, 1.0).samples >= 90 * 1281167
    with pytest.raises(UnreachableError, match="largest that reached it is 8,192 samples"):
        effort(domain, at, at.passes, 16384, critical, 1.0)
    with pytest.raises(InputError, match="errors reached"):
        project(domain, 0.01)


def test_a_growing_critical_batch_costs_more_than_its_last_value():
    """B_c = B·ε^(−1/x) is smaller early in a run; with a constant error the integral is E_min·(1 + B/B_c)."""
    curve = LearningCurve(alpha=20.0, beta=-0.2, best_guess=10.0)
    units = 1e9
    error = 20.0 * units**-0.2
    growing = CriticalBatch(units=1e6, error_exponent=0.21)
    last = growing.in_samples(1.0, error)
    grown = samples_as_it_grows(curve, growing, 1.0, units, last)
    assert grown > 2.0 * units
    flat = samples_as_it_grows(curve, CriticalBatch(samples=last), 1.0, units, last)
    assert flat == pytest.approx(2.0 * units, rel=1e-6)


def test_growth_of_the_critical_batch_by_hand():
    """On a pure power law E = m·(1 + (B/B_c)/(1 + β/x)) with B_c at the end: ∫ (m/m_end)^(−β·…)."""
    curve = LearningCurve(alpha=20.0, beta=-0.1)
    units, x = 1e9, 0.5
    growing = CriticalBatch(units=1e6, error_exponent=x)
    last = growing.in_samples(1.0, 20.0 * units**-0.1)
    factor = 1.0 / (1.0 - 0.1 / x)  # ∫_0^1 t^(β/x) dt with β/x = −0.2
    assert samples_as_it_grows(curve, growing, 1.0, units, last) == pytest.approx(units * (1 + factor), rel=2e-3)


def test_errors_name_constants_of_their_law():
    """A misspelt constant, a negative error, a correlation of three."""
    with pytest.raises(InputError, match="gamma is no constant of the learning curve") as caught:
        LearningCurve(1.0, -0.1, errors=Errors({"gamma": 0.1}, {"alpha beta": 2.0}))
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="must be at least 0"):
        Errors({"alpha": -1.0})
