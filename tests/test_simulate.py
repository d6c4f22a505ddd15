"""The whole chain: scenario to result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from sim.errors import InfeasibleError, InputError
from sim.files import load_scenario
from sim.files.models import load_model_file
from sim.files.scenario import build, document_of
from sim.report.run import render, to_json
from sim.scenario import PlanRequest, Scenario, Training
from sim.simulation import simulate

COMMAND = ["run", "paper/case-study-5-layer-parallel", "--json"]
KEYS = {
    "": "schema_version scenario projection plan memory step time_to_target energy cost bottleneck provenance",
    "projection": "target_error dataset_units samples parameters data_scale model_scale",
    "plan": "devices data_parallel tensor_parallel pipeline_parallel sub_batch global_batch",
    "step": "time_s compute_s exposed_communication_s bubble_s input_stall_s mfu hfu",
    "time_to_target": "seconds steps samples days_per_epoch p05_s p50_s p95_s",
}


def run(name: str, *sets: str, **options: object):
    """Simulate a scenario of the library with overrides."""
    return simulate(load_scenario(name, sets), **options)


VISION = (
    "workload.family=vit-b16",
    "workload.numerics.sparse_products=[mlp.*]",
    "plan.sub_batch=8",
    "cluster=dgx-a100",
)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ("cluster.accelerator=v100-sxm2-32gb", "workload.numerics.sparse_pattern"),
        ("workload.numerics.sparse_products=[mpl.*]", "workload.numerics.sparse_products"),
        ("workload.numerics.sparse_kept=0.25", "workload.numerics.sparse_kept"),
    ],
)
def test_sparse_products_a_chip_or_a_model_has_not_are_refused(change: str, path: str):
    """A V100 multiplies zeros like other values; a misspelt name is no product; 2:4 keeps a half."""
    with pytest.raises(InputError) as caught:
        simulate(build(document_of({"name": "v", "target": {"steps": 1}}, "vision", [*VISION, change])))
    assert [problem.path for problem in caught.value.problems] == [path]


def test_the_parts_of_a_step_add_up():
    """Compute, exposed communication, bubble and input stall are the step."""
    step = run("paper/word-lm").step
    parts = step.compute_s + step.exposed_communication_s + step.bubble_s + step.input_stall_s
    assert parts == pytest.approx(step.time_s, rel=1e-9)


def test_both_engines_agree():
    """SimPy and the recursion give the same step to 1e-9."""
    times = [run("paper/word-lm", engine=engine, levers=False).step.time_s for engine in ("simpy", "recursion")]
    assert times[0] == pytest.approx(times[1], rel=1e-9)


def test_time_to_target_follows_the_batch():
    """E = E_min(1 + B/B_c): at the critical batch twice the samples of one pass are needed."""
    result = run("paper/frontier-word-lm", "training.critical_batch=128 samples", levers=False)
    goal = result.time_to_target
    assert goal is not None
    assert result.projection is not None
    assert goal.samples == pytest.approx(2 * result.projection.samples)
    assert goal.seconds == pytest.approx(2 * goal.days_per_epoch * 86400)


def test_a_domain_without_a_critical_batch_says_so():
    """The character model has neither a critical batch nor passes: at least one pass, flagged in text and JSON."""
    result = run("paper/frontier-char-lm", levers=False)
    assert result.time_to_target is not None
    assert result.time_to_target.critical_batch is None
    assert "no critical batch is known" in render(result)
    assert "at least (one pass)" in render(result).splitlines()[0]
    assert "how many passes this domain needs is not known" in to_json(result)["time_to_target"]["at_least"]
    assert any("lower bound" in note for note in result.extrapolated)


def test_a_domain_that_knows_its_passes_counts_them():
    """RNN-T's reference points: 35.7 passes at small batch, twice that at the critical batch of 3,690."""
    result = run("paper/frontier-speech", "plan.sub_batch=3690", levers=False)
    one_pass = result.projection.samples / result.plan.global_batch * result.step.time_s
    assert result.time_to_target.days_per_epoch * 86400 == pytest.approx(one_pass)
    assert result.time_to_target.samples == pytest.approx(2 * 35.7 * result.projection.samples)
    assert "35.7 passes" in render(result)
    assert any("another metric" in note for note in result.extrapolated)


def test_an_error_of_another_metric_is_not_converted():
    """A perplexity is no nat per word."""
    with pytest.raises(InputError, match="nothing is converted"):
        run("paper/word-lm", "target.error=3", "target.metric=perplexity")


def test_faster_hardware_is_faster():
    """Twice the link rate shortens exposed communication, and the lever said so."""
    slow = run("paper/case-study-3-data-parallel-1024", levers=False)
    wide = run("paper/case-study-3-data-parallel-1024", "cluster.levels.0.link.bandwidth=112 GB/s", levers=False)
    assert wide.step.exposed_communication_s == pytest.approx(slow.step.exposed_communication_s / 2, rel=1e-6)


def test_what_does_not_fit_is_an_answer_with_levers():
    """The paper's frontier model on 32 GB: need, capacity, levers."""
    with pytest.raises(InfeasibleError) as caught:
        run("paper/frontier-word-lm", "accelerator.memory.capacity=32 GB")
    reason = caught.value.reason
    assert reason.need_bytes > reason.have_bytes == pytest.approx(32e9)
    assert reason.levers


def test_a_searched_plan_needs_its_batch():
    """`plan: auto` without a global batch, and no critical batch to try some by, says what is missing."""
    with pytest.raises(InputError, match="global_batch"):
        run("paper/case-study-1-roofline", "plan.search=true", "scaling=null", "target.steps=10")


def test_published_inputs_are_shown_as_inputs():
    """The cache-aware compute time stands in the report as an input with its source."""
    result = run("paper/case-study-2-cache-aware", levers=False)
    assert result.step.compute_s == pytest.approx(17.06)
    assert "17.06 s" in result.provenance.inputs[0]
    assert "PPoPP 2019" in result.provenance.inputs[0]


def test_json_has_the_promised_keys():
    """Keys that scripts rely on, and a reason beside every null."""
    body = to_json(run("paper/word-lm"))
    for part, keys in KEYS.items():
        assert set(keys.split()) <= set(body[part] if part else body), part
    assert {"total_bytes", "capacity_bytes", "fits", "count"} <= set(body["memory"]["per_device"])
    for key in ("energy", "cost"):
        assert body[key] is not None or body[f"{key}_reason"]
    json.dumps(body, allow_nan=False)


def test_the_same_scenario_gives_the_same_bytes_in_any_process():
    """Two processes with different hash seeds print identical JSON."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", f"from sim.cli import main; main({COMMAND!r})"],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(("domain", "unroll"), [("word-lm", 80), ("char-lm", 150), ("nmt", 26), ("speech", 75)])
def test_full_sequences_are_those_of_the_domain(domain, unroll):
    """Every scenario of the frontier runs; a pass of full sequences takes units per sample / unroll of the time."""
    goal = run(f"paper/frontier-{domain}", levers=False).time_to_target
    per_sample = load_scenario(f"paper/frontier-{domain}").scaling.units_per_sample
    assert goal.days_per_epoch_full == pytest.approx(goal.days_per_epoch * per_sample / unroll)


def test_an_image_is_an_image():
    """Nothing is unrolled: there is no second figure."""
    assert run("paper/frontier-image", levers=False).time_to_target.days_per_epoch_full is None


def llama_under_the_word_lm(**training: float) -> Scenario:
    """Llama 2 7B, a published model, trained to the target of the paper's word language model."""
    scenario = load_scenario("paper/word-lm")
    model = load_model_file("llama2-7b")
    workload = replace(scenario.workload, family=model.family, sizes=model.sizes, published=True)
    return replace(scenario, workload=workload, plan=PlanRequest(sub_batch=1), training=Training(**training))


def test_a_packed_sample_holds_what_it_computes():
    """llama2-7b computes 4,096 tokens a sample: the word LM's data fill data / 4,096 samples, not one per sentence of
    25 words; its critical batch, measured in sentences, counts the same words."""
    result = simulate(llama_under_the_word_lm(), must_fit=False, levers=False)
    assert result.parameters == pytest.approx(6.738e9, rel=1e-3)  # published, not the projection's
    assert result.projection.samples == pytest.approx(result.projection.dataset_units / 4096)
    goal = result.time_to_target
    steps = result.projection.dataset_units / 4096 / result.plan.global_batch
    assert goal.days_per_epoch * 86400 == pytest.approx(steps * result.step.time_s)
    sentences = run("paper/word-lm", levers=False).time_to_target.critical_batch.samples
    assert goal.critical_batch.samples == pytest.approx(sentences * 25.35 / 4096)


def test_a_step_of_a_packed_model_is_judged_by_the_tokens_it_takes():
    """One notion of units: the word LM's critical batch is 100,000 tokens (McCandlish et al. 2018), a sample 4,096.

    Data / 4,096 / B steps are one pass; at B samples the target takes 1 + 4,096·B/100,000 times that, not
    1 + B/3,945 (25 words a sample in the critical batch, 4,096 in the data), which would leave next to none of it.
    """
    result = simulate(llama_under_the_word_lm(), must_fit=False, levers=False)
    goal, batch = result.time_to_target, result.plan.global_batch
    one_pass = result.projection.dataset_units / 4096 / batch * result.step.time_s
    assert goal.days_per_epoch * 86400 == pytest.approx(one_pass)
    assert goal.seconds == pytest.approx(one_pass * (1 + 4096 * batch / 100_000), rel=1e-3)


def test_a_packed_sample_cannot_hold_more_than_it_computes():
    """5,000 words in a sample of 4,096 tokens."""
    with pytest.raises(InputError, match=r"training.units_per_sample: must be at most the 4096 units"):
        simulate(llama_under_the_word_lm(units_per_sample=5000), must_fit=False)
