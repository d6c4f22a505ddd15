"""Files a command writes: an input never, another file only with --force, all of it or nothing; run folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from sim.cli.output import Output
from sim.errors import InputError
from tests.cli.conftest import COMMAND
from tests.files.conftest import SCENARIO


@pytest.fixture
def small(tmp_path):
    """A valid scenario."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    return path


WRITERS = (
    ("run", "a.yaml", "--trace"),
    ("ops", "a.yaml", "--html"),
    ("ops", "a.yaml", "--html"),
    ("collective", "paper-2019-ring", "--bytes", "1MiB", "--write-astra"),
    ("hardware", "show", "dgx-a100-superpod", "--devices", "16", "--draw"),
    ("hardware", "project", "t4", "--year", "2027", "-o"),
    ("hardware", "new", "my-chip", "-o"),
)


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
def test_a_file_that_exists_is_kept_without_force(run, small, arguments, monkeypatch):
    """Refused before anything is computed, and replaced with --force."""
    monkeypatch.chdir(small.parent)
    target = small.with_name("taken.html")
    target.write_text("mine")
    outcome = run(*arguments, target)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"{target}: exists already (--force overwrites it)\n"
    assert target.read_text() == "mine"
    assert run(*arguments, target, "--force").code == 0
    assert target.read_text(errors="replace") != "mine"
    assert not list(small.parent.glob(".*.part"))


@pytest.mark.parametrize("name", ["a.yaml", "link.yaml"])
def test_an_input_is_never_overwritten(run, small, name):
    """Not with --force, nor by another name."""
    if name != small.name:
        small.with_name(name).symlink_to(small)
    outcome = run("run", small, "--trace", small.with_name(name), "--force")
    assert outcome.code == 2
    assert "is an input of this command and is never overwritten" in outcome.err
    assert small.read_text() == SCENARIO


def test_a_file_the_scenario_extends_is_an_input_too(run, small):
    """What was read is known to the writer."""
    top = small.with_name("top.yaml")
    top.write_text("extends: a.yaml\n")
    assert run("run", top, "--trace", small, "--force").code == 2
    assert small.read_text() == SCENARIO


def test_a_run_folder_is_complete_and_its_scenario_runs_to_the_same_result(run, small, tmp_path):
    """Result, report as text and page, resolved scenario, version, seed, log; the same bytes again."""
    one, two, again = tmp_path / "one", tmp_path / "two", tmp_path / "again"
    for folder in (one, two):
        assert run("run", small, "-o", folder, "--seed", "7", "--set", "training.jitter=0.1").code == 0
    names = {path.name for path in one.iterdir()}
    assert names == {"result.json", "report.txt", "report.html", "scenario.yaml", "run.json", "log.txt"}
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}
    about = json.loads((one / "run.json").read_text())
    assert about["seed"] == 7
    assert about["version"]
    assert run("run", one / "scenario.yaml", "-o", again, "--seed", "7").code == 0
    assert (again / "result.json").read_bytes() == (one / "result.json").read_bytes()
    assert run("run", small, "-o", one).code == 2
    assert run("run", small, "-o", one, "--force").code == 0


@pytest.mark.parametrize("name", ["paper/figure-12", "paper/frontier-nmt", "paper/case-study-5-layer-parallel"])
def test_the_resolved_scenario_of_the_library_runs_to_the_same_result(run, tmp_path, name):
    """Names, units and nested lists read back as they were."""
    assert run("run", name, "-o", tmp_path / "a", "--quiet").code == 0
    outcome = run("run", tmp_path / "a" / "scenario.yaml", "--json")
    assert json.loads(outcome.out) == json.loads((tmp_path / "a" / "result.json").read_text())


def test_names_are_text_in_the_page(run, small, tmp_path):
    """Markup in YAML stays text."""
    small.write_text(SCENARIO.replace("name: small", 'name: "<script>alert(1)</script>"'))
    assert run("run", small, "-o", tmp_path / "r").code == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_pages_are_the_same_bytes_every_time(run, small, tmp_path):
    """No id or date is drawn."""
    for number in "12":
        page = tmp_path / f"{number}.html"
        assert run("collective", "dgx-a100", "--bytes", "1MiB", "--plot", page).code == 0
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/self"), reason="no read-only folder here")
def test_a_folder_that_cannot_be_written_is_one_sentence(run, small):
    """/proc takes no files, not even from root."""
    outcome = run("run", small, "--trace", "/proc/self/trace.json")
    assert outcome.code == 2
    assert outcome.err.startswith("/proc/self/trace.json: cannot be written: ")


def test_devices_are_written_to(tmp_path):
    """A device is neither replaced nor in the way; a full one says so."""
    output = Output(quiet=True)
    output.write(type(tmp_path)("/dev/null"), "x")
    with pytest.raises(InputError, match="no space left on device"):
        output.write(type(tmp_path)("/dev/full"), "x")
    assert os.path.exists("/dev/full")


def test_a_kill_while_writing_leaves_the_old_file_or_the_new(tmp_path):
    """kill -9 in a loop of overwrites: never half a file."""
    target = tmp_path / "data.json"
    code = (
        "import sys\nfrom pathlib import Path\nfrom sim.cli.output import Output\n"
        "output = Output(force=True, quiet=True)\noutput.write(Path(sys.argv[1]), 'a' * 3_000_000)\n"
        "print('go', flush=True)\n"
        "while True:\n    for letter in 'ab':\n        output.write(Path(sys.argv[1]), letter * 3_000_000)\n"
    )
    for pause in (0.02, 0.09):
        with subprocess.Popen([COMMAND[0], "-c", code, str(target)], stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            running.stdout.readline()
            time.sleep(pause)
            running.send_signal(signal.SIGKILL)
        text = target.read_text()
        assert text in ("a" * 3_000_000, "b" * 3_000_000)


@pytest.mark.parametrize("arguments", [("schema",), ("--help",)])
def test_a_full_disk_behind_stdout_is_one_sentence(arguments):
    """`> /dev/full`: exit 2, not a bug."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no space left on device" in done.stderr


@pytest.mark.parametrize("reader", ["head -1", "true"])
@pytest.mark.parametrize("arguments", ["schema", "--help"])
def test_a_reader_that_goes_away_is_no_error(reader, arguments):
    """`| head` and `| true`: quiet, and no failure of the pipeline."""
    shell = " ".join(f"'{part}'" for part in COMMAND)
    script = f"{shell} {arguments} | {reader} > /dev/null"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_stdout_is_one_sentence():
    """`>&-`: the answer has nowhere to go."""
    shell = " ".join(f"'{part}'" for part in COMMAND)
    script = f"{shell} schema >&-"
    done = subprocess.run(["bash", "-c", script], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "stdout: is closed: the answer cannot be printed\n")


def test_a_closed_stderr_hides_no_answer():
    """`2>&-`: the messages are lost, the answer and its code are not."""
    shell = " ".join(f"'{part}'" for part in COMMAND)
    good = subprocess.run(["bash", "-c", f"{shell} scenarios 2>&-"], capture_output=True, text=True, check=False)
    bad = subprocess.run(["bash", "-c", f"{shell} run none.yaml 2>&-"], capture_output=True, text=True, check=False)
    assert (good.returncode, bad.returncode) == (0, 2)
    assert "paper/word-lm" in good.stdout


def test_a_link_to_itself_is_bad_input(run, tmp_path):
    """As scenario, folder, and file to write."""
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    for arguments in (("run", loop), ("check", loop), ("check", tmp_path), ("collective", loop), ("validate", loop)):
        outcome = run(*arguments)
        assert outcome.code == 2, arguments
        assert "bug" not in outcome.err
    assert run("run", "paper/word-lm", "--trace", loop).code == 2
    assert run("run", "paper/word-lm", "-o", loop).code == 2
