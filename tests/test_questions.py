"""The scenarios of `domains` and `today`: each runs; its date is arithmetic of its laws, or near a published one."""

from __future__ import annotations

import pytest

from sim.files import load_scenario
from sim.files.library import names
from sim.simulation import simulate

DAY = 86400.0
DOMAINS = {  # α, β, σ, βp, target, units per sample, passes, critical batch (samples): tables 1 and 3, domain files
    "word-lm": (13.0, -0.066, 940, 0.68, 2.48, 25.35, 1.0, 3945),
    "char-lm": (9.39, -0.092, 12, 0.89, 0.70, 118, 1.0, None),
    "nmt": (3.06, -0.128, 640, 0.68, 0.12, 29.2, 6.0, None),
    "speech": (30.5, -0.291, 2400, 0.54, 0.04, 79, 35.7, 3690),
    "image": (15.0, -0.309, 20000, 0.57, 0.05, 1.0, 35.0, 47200),
}
FIXED = {  # samples of the data set, passes, critical batch, share that speed-ups leave
    "resnet50": (1281167, 35.0, 47200, 1.0),
    "bert": (8.0243534e10 / 512, 0.0148, 12700, 0.5),
    "dlrm": (4195197692, 0.775, 247000, 1.0),
}
PUBLISHED = {  # tokens, sequence, days, allowed
    "gpt3-175b": (300e9, 2048, 34.0, 0.15),  # Narayanan et al. 2021, from their own step
    "llama2-70b": (2e12, 4096, 1720320 / 2048 / 24, 0.15),  # GPU hours, restarts and the rest included
    "llama3-405b": (15.6e12, 8192, 30.84e6 / 16384 / 24, 0.30),
}


def run(name):
    """The answer of a scenario of the library."""
    return simulate(load_scenario(name), levers=False)


def is_steps_times_step(result):
    """Nothing but steps happens on the way."""
    goal = result.time_to_target
    return goal.seconds == pytest.approx(goal.steps * result.step.time_s, rel=1e-9)


def test_every_scenario_is_tried_here():
    """A new one needs its arithmetic."""
    folders = {f"domains/{name}" for name in DOMAINS} | {f"today/{name}" for name in (*FIXED, *PUBLISHED, "chinchilla")}
    assert {name for name in names("scenarios") if name.startswith(("domains/", "today/"))} == folders


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_from_its_curve_to_the_date(name):
    """m = (ε/α)^(1/β), p = σ·m^βp, steps = passes·m/u·(1/B + 1/B_c), 1,024 replicas of the model."""
    alpha, beta, sigma, power, target, per_sample, passes, critical = DOMAINS[name]
    result = run(f"domains/{name}")
    m, batch = (target / alpha) ** (1 / beta), result.plan.global_batch
    assert result.projection.dataset_units == pytest.approx(m, rel=1e-9)
    assert result.parameters == pytest.approx(sigma * m**power, rel=0.01)
    steps = passes * m / per_sample * (1 / batch + (1 / critical if critical else 0.0))
    assert result.time_to_target.steps == pytest.approx(steps, rel=1e-6)
    assert is_steps_times_step(result)
    assert result.plan.data == result.devices == 1024
    assert bool(result.time_to_target.at_least) == (name in ("word-lm", "char-lm"))


@pytest.mark.parametrize("name", FIXED)
def test_a_data_set_of_fixed_size(name):
    """steps = E_min·(1 + B/B_c)/B, with the passes and batches of the reference convergence points."""
    samples, passes, critical, left = FIXED[name]
    result = run(f"today/{name}")
    batch = result.plan.global_batch
    assert result.time_to_target.steps == pytest.approx(samples * passes * (1 / batch + 1 / critical) * left, rel=1e-6)
    added = result.campaign.startup_s + result.campaign.evaluation_s
    assert result.time_to_target.seconds == pytest.approx(
        result.time_to_target.steps * result.step.time_s + added, rel=1e-6
    )
    assert result.considered > 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_language_model_beside_its_published_time(name):
    """tokens / (sequence · batch) steps; days near the published ones."""
    tokens, sequence, days, allowed = PUBLISHED[name]
    result = run(f"today/{name}")
    goal = result.time_to_target
    assert goal.steps == pytest.approx(tokens / sequence / result.plan.global_batch, rel=1e-9)
    assert is_steps_times_step(result)
    assert goal.seconds / DAY == pytest.approx(days, rel=allowed)


def test_the_loss_of_chinchilla():
    """L(N, D) = 1.8172 + 482.01/N^0.3478 + 2085.43/D^0.3658 is the target, N and D near 70 G and 1.4 T."""
    result = run("today/chinchilla")
    n, d = result.projection.parameters, result.projection.dataset_units
    assert 1.8172 + 482.01 / n**0.3478 + 2085.43 / d**0.3658 == pytest.approx(1.974, rel=1e-6)
    assert n == pytest.approx(70e9, rel=0.1)
    assert d == pytest.approx(1.4e12, rel=0.1)
    assert is_steps_times_step(result)
