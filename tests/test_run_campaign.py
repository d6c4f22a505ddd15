"""The campaign of a scenario: from its YAML to the result."""

from __future__ import annotations

import json
import math

import pytest

from sim.engine.campaign import renewal
from sim.errors import InputError, UnreachableError
from sim.files import document_of, load_scenario
from sim.files.scenario import build
from sim.report.run import render, to_json
from sim.simulation import simulate
from tests.files.conftest import SCENARIO

HOUR = 3600.0
FAILING = ("campaign.failures=[{mtbf: 20 h}]", "campaign.checkpoints={write: 60 s, read: 30 s}", "campaign.seeds=8")


@pytest.fixture
def small(tmp_path):
    """Four devices on a ring."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO.replace("plan:", "target: {steps: 2.0e+6}\nplan:", 1))
    return path


def run(path, *sets: str, **more: object):
    return simulate(load_scenario(path, sets), levers=False, **more)


def test_an_empty_campaign_is_step_time_times_steps(small) -> None:
    """To the last bit, and says what it leaves out."""
    result = run(small)
    assert result.campaign.wall_s == result.time_to_target.steps * result.step.time_s == result.time_to_target.seconds
    assert result.campaign.goodput == 1.0
    assert "failures" in result.campaign.not_modelled
    assert "nothing but steps" in render(result)


def test_seconds_to_the_target_are_those_of_the_campaign_and_the_waterfall_adds_up(small) -> None:
    result = run(small, *FAILING, "campaign.evaluation={every_samples: 100000, lasts: 3 s}", "campaign.startup=100 s")
    campaign = result.campaign
    assert result.time_to_target.seconds == campaign.wall_s
    assert result.time_to_target.p05_s <= result.time_to_target.p50_s <= result.time_to_target.p95_s
    assert sum(seconds for _, seconds in campaign.waterfall) == pytest.approx(campaign.wall_s)
    assert min(seconds for _, seconds in campaign.waterfall) >= 0.0


def test_an_evaluation_takes_its_samples_and_the_turn_of_the_host(small) -> None:
    """Every fourth step 100 samples at half the time of one in training, and 2 s of the framework."""
    batch = run(small).plan.global_batch
    asked = f"campaign.evaluation={{every_samples: {4 * batch}, samples: 100, work: 0.5}}"
    result = run(small, asked, "framework.evaluation_gap=2 s")
    each = 2.0 + 100 * 0.5 * result.step.compute_s / batch
    assert result.campaign.evaluation_s == pytest.approx(result.time_to_target.steps // 4 * each)


def test_the_interval_is_the_best_one_and_goodput_that_of_renewal(small) -> None:
    """Four devices of 20 h: 5 h between failures; 600 s of detection and 17.13 s of start."""
    result = run(small, *FAILING, "campaign.seeds=200", "target.steps=20000000")
    campaign = result.campaign
    rate = 4 / (20 * HOUR)
    shown = dict(campaign.intervals)
    assert shown["simulated"] == pytest.approx(renewal.optimal_interval_s(rate, 60.0), rel=0.01)
    again = 600.0 + 17.13 + 30.0
    assert campaign.goodput == pytest.approx(renewal.goodput(rate, shown["simulated"], 60.0, again), rel=0.003)
    assert campaign.engine == "numpy"


def test_a_phase_with_twice_the_batch_takes_half_the_steps(small) -> None:
    """All of the data at double batch, priced by its own step."""
    plain = run(small)
    batch = plain.plan.global_batch
    phases = f"campaign.phases=[{{start: 0, end: 1, global_batch: {2 * batch}}}]"
    double = run(small, phases)
    alone = run(small, f"plan.global_batch={2 * batch}")
    assert double.campaign.ideal_s == pytest.approx(plain.time_to_target.steps / 2 * alone.step.time_s)


def test_the_json_has_the_keys_of_the_design(small) -> None:
    body = to_json(run(small, *FAILING))["campaign"]
    assert {"goodput", "failures", "checkpoint_s", "restart_s", "input_stall_s", "evaluation_s", "waterfall"} <= set(
        body
    )
    assert body["input_stall_s"] is None
    assert "training.input" in body["input_stall_s_reason"]
    json.dumps(body, allow_nan=False)


def test_input_that_is_too_slow_is_waited_for_and_named(small) -> None:
    """One core decodes 1 sample in 10 s: the step is the batch of the node times that."""
    sets = (
        "cluster.host={name: h, accelerators: 4, cores: 1, memory: 1 GB, link_bandwidth: 1 GB/s}",
        "training.input={name: d, stored: 1 kB, decoded: 1 kB, core: 10 s}",
    )
    result = run(small, *sets)
    assert result.step.time_s == pytest.approx(10.0 * result.plan.global_batch)
    assert result.bottleneck.limit == "input"
    assert "host cores" in result.bottleneck.statement
    assert result.campaign.input_stall_s == pytest.approx(result.step.input_stall_s * result.time_to_target.steps)


def test_what_fits_into_the_memory_of_the_host_is_not_read_again(small) -> None:
    host = "cluster.host={name: h, accelerators: 4, cores: 1, memory: %s, link_bandwidth: 1 TB/s}"
    store = "cluster.storage={name: s, node_read: 1 kB/s, node_write: 1 kB/s}"
    data = "training.input={name: d, stored: 1 kB, decoded: 1 kB, core: 0 s, samples: 1000000, cached_share: 1}"
    half = run(small, host % "500 MB", store, data)
    assert half.step.time_s == pytest.approx(0.5 * half.plan.global_batch)
    assert run(small, host % "1 GB", store, data).step.input_stall_s == 0.0


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["campaign.failures=[{component: device}]"], "has none"),
        (["campaign.failures=[{mtbf: 1 h, shape: 0.7}]"], "belongs to the process weibull"),
        (["campaign.failures=[{mtbf: 1 h, process: weibull}]"], "is required for weibull"),
        (["campaign.recovery={spares: 5, repair: 1 h}", "campaign.startup=1 s"], "at most the 1 nodes"),
        (["campaign.recovery={spares: 1}"], "go together"),
        (
            ["campaign.phases=[{start: 0, end: 0.5}, {start: 0.4, end: 1}]"],
            "overlaps the phase before it",
        ),
        (["campaign.phases=[{start: 0.5, end: 0.5}]"], "must lie after start"),
        (["campaign.maintenance={every: 30 days, lasts: 1 h}"], "needs checkpoints"),
        (["campaign.maintenance={every: 1 h, lasts: 2 h}"], "stops would overlap"),
        (["campaign.evaluation={every_samples: 10}"], "either samples or lasts"),
        (["campaign.evaluation={every_samples: 10, lasts: 1 s, work: 0.5}"], "belongs to samples"),
        (["cluster.storage={name: s, node_read: 1 GB/s}"], "storage needs a bandwidth"),
        (["training.input={name: d, stored: 1 kB, decoded: 1 kB, core: 1 s}"], "cluster.host"),
        (["campaign.checkpoints={write: 1 s, read: 1 s}"], "is required where nothing fails"),
    ],
)
def test_what_makes_no_sense_is_refused(small, sets: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(small, *sets)


def test_a_checkpoint_longer_than_the_time_between_failures_makes_no_progress(small) -> None:
    """Exit 4 with the reason and what would help."""
    with pytest.raises(UnreachableError, match=r"no progress.*levers: .*storage ten times as fast"):
        run(small, "campaign.failures=[{mtbf: 1 h}]", "campaign.checkpoints={write: 2000 s, read: 1 s}")
    with pytest.raises(UnreachableError, match=r"without checkpoints"):
        run(small, "campaign.failures=[{mtbf: 1 h}]", "target.steps=100000000")


def test_goodput_is_never_better_with_more_to_do(small) -> None:
    """Failures, then also evaluations, then also maintenance."""
    walls = [
        run(small, *FAILING[: 2 if n else 0], *more).campaign.wall_s
        for n, more in enumerate(
            [
                (),
                ("campaign.seeds=8",),
                ("campaign.seeds=8", "campaign.evaluation={every_samples: 100000, lasts: 3 s}"),
            ]
        )
    ]
    assert walls == sorted(walls)
    assert not math.isclose(walls[0], walls[1])


def test_a_copy_holds_what_fully_sharded_devices_hold_of_the_state() -> None:
    """Weights, moments and master copy in the memory record of all devices, each byte on one of them."""
    result = simulate(
        build(
            document_of(
                {
                    "target": {"steps": 10},
                    "workload": "gpt2-medium",
                    "cluster": {"extends": "dgx-a100", "devices": 4},
                    "plan": {"sub_batch": 2, "data": 4, "sharding": "full"},
                    "campaign": {"checkpoints": {"interval": "10 min"}},
                },
                "s",
            )
        ),
        levers=False,
    )
    held = sum(d.count * d.bytes_by_kind[kind] for d in result.memory for kind in ("weights", "optimizer", "master"))
    assert f"a copy of the state: {held:.4g} B" in result.campaign.notes
