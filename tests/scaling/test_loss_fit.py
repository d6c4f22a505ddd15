"""Loss laws fitted to runs."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.files.scaling import load_domain
from sim.scaling import LossLaw, loss_at
from sim.scaling.loss_fit import Run, fit_loss

TRUTH = LossLaw(400.0, 1500.0, 0.33, 0.37, 1.7)


def runs(law, noise=0.0, unique=None):
    """A grid of sizes and data."""
    rng = np.random.default_rng(0)
    grid = [(n, d) for n in np.geomspace(1e7, 1e10, 6) for d in np.geomspace(1e9, 1e11, 6)]
    return [
        Run(n, d, unique or d, loss_at(law, n, d, unique) * float(np.exp(noise * rng.standard_normal())))
        for n, d in grid
    ]


def test_exact_runs_give_the_law_back():
    """Every constant to 1 %, the loss to 1e-4."""
    law = fit_loss(runs(TRUTH)).law
    for name in ("size_coefficient", "data_coefficient", "size_exponent", "data_exponent", "irreducible"):
        assert getattr(law, name) == pytest.approx(getattr(TRUTH, name), rel=0.01)
    assert loss_at(law, 1e11, 1e12) == pytest.approx(loss_at(TRUTH, 1e11, 1e12), rel=1e-4)


def test_diverged_runs_bend_nothing():
    """Two of 36 runs at twice their loss."""
    spoilt = [
        Run(r.parameters, r.units, r.unique, r.loss * (2 if k in (3, 20) else 1)) for k, r in enumerate(runs(TRUTH))
    ]
    law = fit_loss(spoilt).law
    assert loss_at(law, 1e11, 1e12) == pytest.approx(loss_at(TRUTH, 1e11, 1e12), rel=2e-3)


def test_a_prior_fills_in_what_runs_cannot_tell():
    """One run: the published law, shifted within its errors; without a prior refused."""
    prior = load_domain("chinchilla").loss
    one = [Run(1e9, 2e10, 2e10, 2.6)]
    assert fit_loss(one, prior).law.size_exponent == pytest.approx(prior.size_exponent, abs=0.06)
    with pytest.raises(InputError, match="at least 8 runs"):
        fit_loss(one)
