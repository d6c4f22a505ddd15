"""Jitter and slow devices in a scenario: bands in the result, the same for the same seed, off by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.files.conftest import SCENARIO

JITTER = ("--set", "training.jitter=0.05")
SLOW = "training.slow_devices=[{rank: 2, factor: 1.5}]"


@pytest.fixture
def small(tmp_path):
    """A valid scenario of four devices."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    return path


def answer(run, small, *arguments):
    outcome = run("run", small, "--json", "--quiet", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)


def test_without_jitter_there_is_no_band(run, small):
    """`spread` and percentiles are null, the latter with a reason."""
    body = answer(run, small)
    assert body["step"]["spread"] is None
    assert body["time_to_target"]["p50_s"] is None
    assert body["time_to_target"]["p05_s_reason"]


def test_jitter_gives_bands_of_the_step_and_of_the_time_to_target(run, small):
    """Four devices meet at the reduction: the mean step lies above the step without jitter, p05 < p50 < p95."""
    body = answer(run, small, *JITTER)
    spread, goal = body["step"]["spread"], body["time_to_target"]
    assert spread["mean_s"] > body["step"]["time_s"]
    assert spread["p05_s"] < spread["p50_s"] < spread["p95_s"]
    assert goal["p05_s"] < goal["p50_s"] < goal["p95_s"]
    assert goal["p50_s"] == pytest.approx(goal["seconds"])
    assert goal["seconds"] == pytest.approx(goal["steps"] * spread["mean_s"])
    relative = (goal["p95_s"] - goal["p50_s"]) / goal["p50_s"]
    assert relative == pytest.approx(1.645 * spread["std_s"] / spread["mean_s"] / goal["steps"] ** 0.5, rel=1e-3)


def test_the_same_seed_gives_the_same_result_and_another_seed_another(run, small):
    """Byte for byte, also in another process with another hash seed."""
    first, again, other = (run("run", small, "--json", *JITTER, "--seed", s).out for s in (7, 7, 8))
    assert first == again != other
    command = [sys.executable, "-c", "from sim.cli import main; main()", "run", str(small), "--json", *JITTER]
    other_hashes = {**os.environ, "PYTHONHASHSEED": "99"}
    done = subprocess.run([*command, "--seed", "7"], capture_output=True, text=True, check=True, env=other_hashes)
    assert done.stdout == first


def test_a_slow_device_slows_all(run, small):
    """Data-parallel ranks wait for the slowest: compute takes as much longer as its kernels do."""
    even, uneven = answer(run, small), answer(run, small, "--set", SLOW)
    assert uneven["step"]["compute_s"] == pytest.approx(1.5 * even["step"]["compute_s"])
    assert uneven["step"]["time_s"] > even["step"]["time_s"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.jitter=1.5", "training.jitter: must be less than 1, got 1.5"),
        ("training.slow_devices=[{rank: 4, factor: 2}]", "training.slow_devices.0.rank: no such device, got 4"),
        ("training.slow_devices=[{rank: 1, factor: 0.5}]", "factor: must be at least 1, got 0.5"),
        ("training.slow_devices=[{rank: 1}]", "factor: is required"),
    ],
)
def test_wrong_unevenness_is_bad_input(run, small, override, message):
    """Exit 2, the override named."""
    outcome = run("run", small, "--set", override)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.startswith("--set ")


def test_start_up_does_not_load_scipy_without_jitter(small):
    """`foretrain run` imports scipy for jitter only."""
    code = f"import sys; sys.argv = ['foretrain', 'run', {str(small)!r}]\nfrom sim.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint('scipy' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("False")


def test_sweeps_and_comparisons_take_the_seed_too(run, small):
    """Another seed, other percentiles; the same seed, the same text."""
    arguments = ("sweep", small, "--key", "training.jitter", "--values", "0.02,0.05", "--json")
    one, again, other = (run(*arguments, "--seed", seed).out for seed in (1, 1, 2))
    assert one == again != other
    arguments = ("compare", small, small, *JITTER, "--json")
    one, again, other = (run(*arguments, "--seed", seed).out for seed in (1, 1, 2))
    assert one == again != other
