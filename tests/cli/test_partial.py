"""One bad item, or Ctrl-C, does not lose the rest: finished work is printed, the exit code is that of the worst."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sim.study import compare, runner
from tests.cli.conftest import COMMAND
from tests.files.conftest import SCENARIO
from tests.fuzz.cases import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path):
    """A valid scenario."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    return path


def test_compare_keeps_the_good_ones(run, small, tmp_path):
    """A file with a mistake, one that does not exist, one that does not fit and one out of reach are rows."""
    bad, tiny, far = (tmp_path / f"{name}.yaml" for name in ("bad", "tiny", "far"))
    bad.write_text(SCENARIO.replace("sub_batch: 128", "sub_bach: 128"))
    tiny.write_text("extends: a.yaml\naccelerator: {memory: {capacity: 100 MB}}\n")
    far.write_text("extends: a.yaml\nscaling: {curve: {irreducible: 2.48}}\n")
    outcome = run("compare", small, bad, tmp_path / "none.yaml", tiny, far)
    assert outcome.code == 2
    for verdict in ("bad input", "does not fit", "unreachable"):
        assert verdict in outcome.out
    assert "1.00x" in outcome.out
    assert 'plan.sub_bach: unknown key (did you mean "sub_batch"?)' in outcome.err
    assert run("compare", small, tiny).code == 3
    assert run("compare", small, far).code == 4
    body = json.loads(run("compare", small, bad, "--json").out)
    assert [case["result"] is None for case in body["cases"]] == [False, True]
    assert "sub_bach" in body["cases"][1]["error"]


def test_sweep_keeps_the_good_ones(run, small):
    """A value the field does not take is a row."""
    outcome = run("sweep", small, "--key", "plan.sub_batch", "--values", "16,-1,32")
    assert outcome.code == 2
    rows = [line.split()[1] for line in outcome.out.splitlines()[2:5]]
    assert rows == ["16", "-1", "32"]
    assert "plan.sub_batch: must be at least 1, got -1" in outcome.out


def test_a_bug_in_one_case_is_a_row_and_exit_1(run, small, monkeypatch):
    """And the others are printed."""
    real = runner.simulate

    def broken(scenario, **options):
        if scenario.plan.sub_batch == 32:
            raise ZeroDivisionError("inside")
        return real(scenario, **options)

    monkeypatch.setattr(runner, "simulate", broken)
    outcome = run("sweep", small, "--key", "plan.sub_batch", "--values", "16,32")
    assert outcome.code == 1
    assert "bug: ZeroDivisionError: inside" in outcome.out
    assert "\n0       16 " in outcome.out


def test_validate_keeps_the_good_sets(run):
    """A name that is none does not stop the others."""
    outcome = run("validate", "none-such", "trends")
    assert outcome.code == 2
    assert "unknown validation set" in outcome.err
    assert outcome.out


def test_an_interrupt_keeps_finished_cases(run, small, monkeypatch):
    """Ctrl-C in the third: two rows, 130."""
    real, seen = compare.simulate, []

    def interrupted(scenario, **options):
        seen.append(scenario)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(scenario, **options)

    monkeypatch.setattr(compare, "simulate", interrupted)
    monkeypatch.setattr(runner, "simulate", interrupted)
    outcome = run("sweep", small, "--key", "plan.sub_batch", "--values", "16,32,64,128")
    assert (outcome.code, outcome.err) == (130, "interrupted\n")
    assert [line.split()[1] for line in outcome.out.splitlines()[2:4]] == ["16", "32"]
    assert outcome.out.endswith("4 designs, 2 finished, 2 shown\n")
    seen.clear()
    body = json.loads(run("compare", small, small, small, "--json").out)
    assert len(body["cases"]) == 2


def test_an_interrupt_keeps_finished_rows_of_a_validation_set(run, monkeypatch):
    """The rows done are summed up, and the report says how many there are."""
    real, seen = run_module().simulate, []

    def interrupted(scenario, **options):
        seen.append(scenario)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(scenario, **options)

    monkeypatch.setattr(run_module(), "simulate", interrupted)
    outcome = run("validate", "dawnbench", "tpu_v2")
    assert outcome.code == 130
    assert re.search(r"interrupted after \d+ of \d+ rows", outcome.out)
    assert "ResNet-50 on TPU v2" not in outcome.out


def run_module():
    """Where validation rows are simulated."""
    from sim.validation import runs  # noqa: PLC0415

    return runs


def test_an_interrupt_keeps_files_that_were_checked(run, small, monkeypatch):
    """Their verdicts are printed."""
    from sim.cli import check  # noqa: PLC0415

    real = check.check_file

    def interrupted(path, *rest):
        if path.name == "b.yaml":
            raise KeyboardInterrupt
        return real(path, *rest)

    monkeypatch.setattr(check, "check_file", interrupted)
    small.with_name("b.yaml").write_text(SCENARIO)
    outcome = run("check", small.parent)
    assert (outcome.code, outcome.out) == (130, f"{small}: scenario: ok\n")


READY = (
    *COMMAND[:2],
    "import os\ntry:\n os.write(2, b'.')\n from sim.cli import main\nexcept KeyboardInterrupt:\n os._exit(130)\nmain()",
)


def interrupt_after(pause, arguments):
    """Start a command, wait, press Ctrl-C; its code, stdout, stderr."""
    with subprocess.Popen(
        [*READY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stderr is not None
        os.read(running.stderr.fileno(), 1)
        time.sleep(pause)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=600)
    return running.returncode, out.decode(), err.decode()


def check_interrupt(pause, arguments):
    """130 with nothing but one word, or the whole answer: never a traceback, never half an object."""
    code, out, err = interrupt_after(pause, arguments)
    assert code in (0, 130), (pause, code, err)
    assert "Traceback" not in err, (pause, err)
    assert "bug" not in err
    assert "Exception ignored" not in err
    if out:
        json.loads(out)


@pytest.mark.parametrize("part", range(3))
def test_ctrl_c_at_any_moment(part):
    """From the first import to the last flush; fifty presses with `-m slow`."""
    draw = random.Random(part)
    sweep = ("scenarios", "--json")
    check_interrupt(draw.uniform(0.0, 0.4), sweep)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(50))
def test_ctrl_c_fifty_times(part):
    """Spread over the whole life of a process."""
    values = ",".join(str(2**n) for n in range(3, 9))
    sweep = ("sweep", "paper/word-lm", "--key", "plan.sub_batch", "--values", values, "--json")
    check_interrupt(part * 0.05, sweep)


MINE = """\
name: myasic
compute: {formats: {bf16: {peak: 400 TFLOP/s}, fp32: {peak: 50 TFLOP/s, unit: vector}}}
memory: {capacity: 64 GiB, bandwidth: 2 TB/s}
cache: {capacity: 32 MiB}
"""
POD = """\
name: pod31
accelerator: myasic.yaml
levels: [{name: node, topology: switch, size: 8, link: {like: nvlink4, bandwidth: 900 GB/s}}]
"""


def test_what_run_takes_is_ok_with_advice(run, tmp_path):
    """A chip by path, no sources, a link twice another: advice; a chip that is not there: an error."""
    (tmp_path / "myasic.yaml").write_text(MINE)
    (tmp_path / "pod31.yaml").write_text(POD)
    (tmp_path / "small.yaml").write_text(SMALL)
    outcome = run("check", tmp_path)
    assert outcome.code == 0
    assert "pod31.yaml: cluster: ok, 2 piece(s) of advice" in outcome.out
    assert "advice: " in outcome.err
    assert "counts both directions" in outcome.err
    assert run("run", tmp_path / "small.yaml", "--set", f"cluster={tmp_path / 'pod31.yaml'}", "--quiet").code == 0
    (tmp_path / "myasic.yaml").unlink()
    outcome = run("check", tmp_path)
    assert outcome.code == 2
    assert "pod31.yaml:2:14: accelerator: no such file" in outcome.err
    assert "small.yaml: scenario: ok" in outcome.out


def test_steps_are_whole(run):
    """Samples to the target over the batch, rounded up."""
    goal = json.loads(run("run", "paper/word-lm", "--json", "--quiet").out)["time_to_target"]
    assert isinstance(goal["steps"], int)
    batch = json.loads(run("run", "paper/word-lm", "--json", "--quiet").out)["plan"]["global_batch"]
    assert 0 <= goal["steps"] - goal["samples"] / batch < 1
