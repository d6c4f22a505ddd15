"""Learning curves fitted to points drawn from known ones."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.scaling.curve_fit import Shard, fit_curve
from sim.validation.learning import coverage


def pilot(alpha, beta, floor, sizes, noise=0.0, seed=0, best_guess=None):
    """Shards on a known curve, with log-normal noise, flat at the best guess."""
    rng = np.random.default_rng(seed)
    errors = alpha * np.asarray(sizes) ** beta + floor
    errors = errors if best_guess is None else np.minimum(errors, best_guess)
    errors = errors * np.exp(noise * rng.standard_normal(len(errors)))
    return [Shard(float(m), float(e), row) for row, (m, e) in enumerate(zip(sizes, errors, strict=True), start=2)]


SIZES = 1e6 * 2.0 ** np.arange(10)


def test_exact_points_give_the_constants_back():
    """No noise: α, β and γ to the grid, and the curve far beyond the largest shard."""
    found = fit_curve(pilot(20.0, -0.3, 0.05, SIZES))
    assert found.curve.beta == pytest.approx(-0.3, rel=1e-3)
    assert found.curve.irreducible == pytest.approx(0.05, rel=5e-3)
    assert found.at(1e12) == pytest.approx(20.0 * 1e12**-0.3 + 0.05, rel=5e-3)
    assert found.floor_identified
    assert found.warnings == ()


def test_ninety_per_cent_bands_cover_ninety_per_cent():
    """100 synthetic pilots: within four standard deviations of 90 % (`validate fit_coverage` draws 500)."""
    fitted, inside = coverage(100, 1)
    assert abs(inside / fitted - 0.9) < 4 * (0.9 * 0.1 / fitted) ** 0.5


def test_a_floor_that_cannot_be_told_is_said_aloud():
    """A pure power law with 2 % noise: γ may be anything from 0, loudly."""
    found = fit_curve(pilot(13.0, -0.1, 0.0, SIZES, noise=0.02))
    assert not found.floor_identified
    assert found.intervals["irreducible"][0] == 0.0
    assert "NOT identified" in found.warnings[0]


def test_guessing_shards_are_found_and_left_out():
    """Four shards at the error of guessing, 5: dropped without being told the best guess."""
    sizes = 1e3 * 4.0 ** np.arange(14)
    shards = pilot(60.0, -0.2, 0.0, sizes, noise=0.005, best_guess=5.0)
    flat = [s for s in shards if 60.0 * s.units**-0.2 > 5.05]
    found = fit_curve(shards)
    assert len(flat) >= 3
    assert {d.shard.units for d in found.dropped} >= {s.units for s in flat}
    assert found.curve.beta == pytest.approx(-0.2, abs=0.02)
    assert found.best_guess_below == found.used[0].units


def test_a_broken_run_is_left_out_by_name():
    """One shard at twice its error."""
    shards = pilot(20.0, -0.3, 0.0, SIZES, noise=0.005)
    shards[5] = Shard(shards[5].units, 2 * shards[5].error, shards[5].row)
    found = fit_curve(shards)
    assert [d.shard.row for d in found.dropped] == [7]
    assert found.curve.beta == pytest.approx(-0.3, abs=0.03)


def test_what_identifies_nothing_is_refused():
    """Three sizes; a span of four; noise that fits any slope."""
    with pytest.raises(InputError, match="at least 4 different sizes"):
        fit_curve(pilot(20.0, -0.3, 0.0, SIZES[:3]))
    with pytest.raises(InputError, match="8 times the smallest"):
        fit_curve(pilot(20.0, -0.3, 0.0, [1e6, 1.5e6, 2e6, 4e6]))
    with pytest.raises(InputError, match="almost any slope"):
        fit_curve([Shard(float(m), error) for m, error in zip(SIZES, (1.0, 0.7, 0.9, 0.6, 0.8), strict=False)])
