"""Speed of plans on real models: a step of 8,192 devices, and a search over more than 10,000 plans."""

from __future__ import annotations

import pytest

from sim.engine import simulate_step
from sim.files import build, document_of
from sim.files.hardware import load_accelerator
from sim.files.models import preset
from sim.network import Communicator
from sim.plan import Plan, prepare
from sim.plan.candidates import candidates, layouts, limits_of
from sim.plan.framework import Framework
from sim.search import search
from sim.search.screen import Screen
from sim.workload.records import Numerics
from tests.benchmarks.conftest import cpu

NUMERICS = Numerics("bf16", "bf16", "bf16", "fp32", attention="flash")
CHIP = load_accelerator("h100-sxm5-80gb")


def cluster(devices):
    """DGX H100 systems with that many devices in all."""
    values = {
        "workload": {"family": "gpt2"},
        "cluster": {"extends": "dgx-h100-superpod", "devices": devices},
        "target": {"steps": 1},
    }
    return Communicator(build(document_of(values, "benchmark")).cluster)


def gpt3(overlap):
    """GPT-3 as TP8 × PP16 × DP64 on 8,192 devices, 64 micro-batches."""
    plan = Plan(
        1, 4096, data=64, tensor=8, pipeline=16, sequence_parallel=True, framework=Framework(overlap_gradients=overlap)
    )
    return prepare(preset("gpt3-175b"), plan, NUMERICS, CHIP, cluster(8192))


@pytest.mark.parametrize(("overlap", "events"), [(False, 3000), (True, 3000)])
def test_gpt3_on_8192_devices_is_a_few_thousand_events(overlap, events):
    """TP8 × PP16 × DP64, 64 micro-batches; gradients and messages share links only where both are under way."""
    assert simulate_step(gpt3(overlap)).events <= events


@pytest.mark.speed
@pytest.mark.parametrize(("overlap", "most"), [(False, 0.8), (True, 0.8)])
def test_gpt3_on_8192_devices_takes_about_a_calibration_loop(ratio, overlap, most):
    """The step of the test above, after set-up."""
    prepared = gpt3(overlap)
    assert ratio(lambda: simulate_step(prepared)) < most


@pytest.mark.speed
def test_a_search_over_ten_thousand_plans_takes_seconds(ratio):
    """Goal: 10 s, which is 500 times the calibration loop; DeepSeek-V3 on 2,048 devices."""
    model, communicator = preset("deepseek-v3"), cluster(2048)
    limits = limits_of({}, model)
    assert len(list(candidates(model, 2048, 15360, limits))) >= 10_000
    assert ratio(lambda: search(model, NUMERICS, CHIP, communicator, 15360, limits), times=1) < 500


@pytest.mark.speed
def test_the_closed_form_screens_a_plan_twenty_times_faster_than_the_engine_runs_one():
    """A plan of a pipeline, memory and time, against its simulation."""
    model, communicator = preset("llama2-70b"), cluster(512)
    screen = Screen(model, NUMERICS, CHIP, communicator)
    every = []
    plans = list(layouts(model, 512, 1024, limits_of({}, model)))
    screened = cpu(lambda: every.extend(screen.run(plans)), 1) / len(every)
    deep = [c.plan for c in every if c.least_s is not None and c.plan.pipeline >= 4 and c.plan.micro_batches >= 32]
    prepared = [screen.record(plan) for plan in deep[:3]]
    simulated = cpu(lambda: [simulate_step(p) for p in prepared]) / len(prepared)
    assert screened < simulated / 20
