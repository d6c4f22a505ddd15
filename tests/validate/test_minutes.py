"""Minutes to a published accuracy without the row's own passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.files import load_scenario
from sim.simulation import simulate
from sim.validation.minutes import _samples, warm_up_s
from sim.validation.published import load_validation_set
from sim.validation.sets import find_set, validate
from sim.validation.validation import requests


def test_bert_takes_its_samples_from_the_reference_points():
    """E = 2.32 M·(1 + B/12,700): 4.64 M at the critical batch, whatever the row says of itself."""
    spec = load_validation_set(find_set("minutes_bert"))
    request = next(r for r in requests(spec) if not r.skip)
    assert _samples(spec, request, 12700.0) == pytest.approx(4.64e6, rel=0.001)
    other = replace(request, row={**request.row, "converge_epochs_or_samples": "1", "time_to_train_min": "1"})
    assert _samples(spec, other, 12700.0) == _samples(spec, request, 12700.0)


def test_a_round_is_predicted_from_the_others():
    """Epochs of its own round change nothing; those of another round of its recipe do."""
    spec = load_validation_set(find_set("minutes_resnet"))
    request = next(r for r in requests(spec) if r.row["round"] == "v2.0" and r.row["global_batch_size"])

    def doubled(edition):
        rows = (
            {**row, "converge_epochs_or_samples": str(2 * float(row["converge_epochs_or_samples"] or 0))}
            if row["round"] == edition
            else row
            for row in spec.rows
        )
        return replace(spec, rows=tuple(rows))

    batch = float(request.row["global_batch_size"])
    known = _samples(spec, request, batch)
    assert _samples(doubled("v2.0"), request, batch) == known
    assert _samples(doubled("v1.0"), request, batch) != known
    assert _samples(doubled("v0.6"), request, batch) == known


@pytest.mark.slow
def test_minutes_of_resnet_50():
    """Each round left out: median at most 12 %, mean at most 18 %, skill near the 0.5 asked for."""
    report = validate(find_set("minutes_resnet"))
    assert report.overall[-1].rows.median_abs_error <= 0.12
    assert report.overall[-1].rows.mean_abs_error <= 0.18
    assert report.overall[-1].rows.skill >= 0.45


def test_the_warm_up_is_what_other_rounds_took_beyond_their_steps():
    """Runs on 4, 8 and 64 devices: 600 s for 10 passes of 1,000 samples at 20/s leave 100 s; its own round, and a run
    on eight times the devices, do not count."""
    spec = load_validation_set(find_set("minutes_resnet"))

    def row(edition, devices, minutes):
        told = {"steady_samples_per_s_between_evals": "20", "converge_epochs_or_samples": "10"}
        return told | {"round": edition, "n_accel": devices, "time_to_train_min": minutes}

    rows = (row("a", "4", "10"), row("b", "8", "99"), row("a", "64", "50"))
    small = replace(spec, rows=rows, template={**spec.template, "data_set_samples": 1000})
    assert warm_up_s(small, row("b", "8", "")) == pytest.approx(600 - 10 * 1000 / 20)
    assert warm_up_s(small, row("c", "1024", "")) == 0.0


def test_papers_take_the_passes_of_their_recipe():
    """Goyal et al. 2017: 90 passes of 1,281,167 images whatever the batch."""
    spec = load_validation_set(find_set("minutes_papers"))
    request = next(r for r in requests(spec) if not r.skip)
    assert _samples(spec, request, 8192.0) == _samples(spec, request, 256.0) == pytest.approx(90 * 1281167)


@pytest.mark.parametrize(("when", "rate"), [("2018-03", 0.593), ("2018-05", 0.870), ("2019", 1.0)])
def test_the_date_of_the_software_sets_the_rate_of_its_kernels(tmp_path, when, rate):
    """A board of TPU v2 nearly doubles its rate from TensorFlow 1.7 to 1.11 (DAWNBench); a date names the release."""
    path = tmp_path / "board.yaml"
    path.write_text(
        "name: board\nworkload: {family: resnet50}\ncluster: {extends: tpu-v2-pod, devices: 4}\n"
        f"framework: tensorflow\nsoftware_date: {when}\nplan: {{sub_batch: 256}}\ntarget: {{steps: 1}}\n"
    )
    scenario = load_scenario(str(path))
    assert scenario.workload.numerics.kernel_rate == rate
    images_per_s = 1024 / simulate(scenario, levers=False).step.time_s
    newest = replace(scenario.workload.numerics, kernel_rate=1.0)
    best = 1024 / simulate(replace(scenario, workload=replace(scenario.workload, numerics=newest))).step.time_s
    assert images_per_s / best == pytest.approx(rate, rel=0.01)
