"""Published runs from a framework's name and the degrees their papers print, nothing else: step time and memory."""

from __future__ import annotations

from typing import Any

import pytest

from sim.files.scenario import build, document_of
from sim.result import Result
from sim.simulation import simulate

GPT3 = {
    "framework": "megatron-lm",
    "software_date": "2022-05",
    "workload": {
        "family": "gpt3-175b",
        "numerics": {"compute": "fp16", "activations": "fp16", "weights": "fp16", "gradients": "fp16"},
    },
    "cluster": {"extends": "dgx-a100-superpod", "devices": 64},
    "plan": {"global_batch": 64, "sub_batch": 1, "tensor": 8, "pipeline": 8, "virtual_stages": 3, "recompute": "full"},
}
BLOOM = {
    "framework": "megatron-deepspeed",
    "software_date": "2022-03",
    "workload": "bloom-176b",
    "cluster": {"extends": "jean-zay-a100", "devices": 384},
    "accelerator": "a100-sxm4-80gb",
    "plan": {
        "global_batch": 2048, "sub_batch": 2, "tensor": 4, "pipeline": 12, "recompute": "full", "sharding": "optimizer",
    },
}  # fmt: skip
DEEPSEEK = {
    "framework": "deepseek-v3",
    "workload": "deepseek-v3",
    "cluster": {"extends": "deepseek-h800", "devices": 2048},
    "plan": {"global_batch": 15360, "pipeline": 16, "expert": 64},
}


def run(values: dict[str, Any]) -> Result:
    """The simulated step, refused if it does not fit."""
    scenario = build(document_of({"target": {"steps": 1}, **values}, "run"))
    return simulate(scenario, levers=False, engine="recursion")


@pytest.mark.parametrize(
    ("values", "step_s"),
    [
        (GPT3, 18.13),  # Korthikanti et al. 2022, table 5: full recomputation
        (BLOOM, 105.2),  # bigscience, tr11-176B-ml: iteration 12695
    ],
)
def test_step_times_within_eight_percent(values: dict[str, Any], step_s: float) -> None:
    """As printed, and in memory."""
    result = run(values)
    assert result.step.time_s == pytest.approx(step_s, rel=0.08)
    assert result.fullest.fits


def test_deepseek_v3_fits_and_is_late_by_the_bubble_that_dualpipe_avoids() -> None:
    """2.664 M H800 hours for 14.8 T tokens (arXiv 2412.19437, table 1) are 19.9 s a step. 1F1B idles 15 of 135 passes;
    without them the step is within 8 %."""
    result, told = run(DEEPSEEK), 15360 * 4096 / (14.8e12 / (2.664e6 * 3600)) / 2048
    assert result.fullest.fits
    assert told == pytest.approx(19.9, abs=0.1)
    assert result.step.time_s > 1.08 * told
    assert result.step.time_s - result.step.bubble_s == pytest.approx(told, rel=0.08)
