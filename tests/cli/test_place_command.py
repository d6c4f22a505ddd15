"""`foretrain place`: op graphs of the paper on unequal devices."""

from __future__ import annotations

import json

import pytest

SMALL = ("--set", "workload.parameters=1e9", "--set", "plan.sub_batch=64", "--rounds", "8", "--draws", "16")
PAIR = ("--devices", "a100-sxm4-80gb,v100-sxm2-32gb")


@pytest.mark.parametrize("scenario", ["paper/ops-word-lm", "paper/ops-nmt"])
def test_the_learned_placement_stands_beside_the_baselines(run, scenario):
    """Never slower than layer by layer, greedy, or one device; every stretch of every layer is placed."""
    outcome = run("place", scenario, *PAIR, *SMALL, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    body = json.loads(outcome.out)
    how = {p["how"]: p for p in body["placements"]}
    assert list(how) == ["learned", "layer by layer", "greedy", "all on a100-sxm4-80gb"]
    assert how["learned"]["fits"]
    assert how["learned"]["time_s"] <= min(p["time_s"] for p in how.values() if p["fits"])
    assert all(len(devices) == 5 and set(devices) <= {0, 1} for devices in how["learned"]["layers"].values())
    assert all(0.0 <= share <= 1.0 for p in how.values() for share in p["busy"])


def test_the_report_names_devices_and_layers(run):
    """Same seed, same text."""
    first, again = (run("place", "paper/ops-word-lm", *PAIR, *SMALL, "--seed", "3").out for _ in range(2))
    assert first == again
    assert "device 1: v100-sxm2-32gb" in first
    assert "2 lstm 2" in first


def test_a_model_too_large_for_the_devices_is_infeasible(run):
    """The paper's frontier model on two chips: exit 3 with need and capacity."""
    outcome = run("place", "paper/ops-nmt", *PAIR, "--rounds", "1", "--draws", "2")
    assert outcome.code == 3
    assert "no placement" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--devices", "a100-sxm4-80gb,v100-sxm2-32"), 'did you mean "v100-sxm2-32gb"'),
        ((*PAIR, "--link", "3"), "needs a unit"),
        ((*PAIR, "--link", "0 GB/s"), "must be positive"),
        (("--devices", ","), "must name 1 to 10 accelerators"),
        ((*PAIR, "--set", "plan.tensor=2", "--set", "cluster.devices=2"), "no degree but data"),
    ],
)
def test_wrong_arguments_are_bad_input(run, arguments, message):
    """Exit 2 and what would do."""
    outcome = run("place", "paper/ops-nmt", *arguments, *SMALL)
    assert outcome.code == 2
    assert message in outcome.err
