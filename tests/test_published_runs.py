"""Published runs from a framework's name and the degrees their papers print, nothing else: step time and memory."""

from __future__ import annotations

import pytest

from sim.files import load_scenario
from sim.files.library import names
from sim.simulation import simulate

PUBLISHED = {
    "gpt3-175b": 18.13,  # Korthikanti et al. 2022, table 5: full recomputation
    "bloom-176b": 105.2,  # bigscience, tr11-176B-ml: iteration 12695
    # 2.664 M H800 hours for 14.8 T tokens (arXiv 2412.19437, table 1)
    "deepseek-v3": 15360 * 4096 / (14.8e12 / (2.664e6 * 3600)) / 2048,
}


def test_every_run_has_its_figure() -> None:
    """A new one needs a published step time."""
    assert {name for name in names("scenarios") if name.startswith("runs/")} == {f"runs/{name}" for name in PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_step_times_within_eight_percent(name: str) -> None:
    """As printed, and in memory."""
    result = simulate(load_scenario(f"runs/{name}"), levers=False, engine="recursion")
    assert result.step.time_s == pytest.approx(PUBLISHED[name], rel=0.08)
    assert result.fullest.fits
