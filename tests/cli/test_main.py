"""The group: what it lists, what it imports, and the exit code of everything that can happen."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
import time

import click
import pytest

from sim.errors import (
    Infeasible,
    InfeasibleError,
    InputError,
    Lever,
    Problem,
    Unreachable,
    UnreachableError,
)
from tests.cli.conftest import COMMAND

cli = importlib.import_module("sim.cli.commands")


@pytest.fixture
def raising(monkeypatch, run):
    """Run a command that raises what it is given."""

    def call(error, *arguments):
        @click.command()
        @click.option("--debug", is_flag=True)
        def command(debug):
            raise error

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: command)
        return run("run", *arguments)

    return call


def test_help_lists_the_commands_that_are_there(run):
    """Only those with a module."""
    outcome = run("--help")
    assert outcome.code == 0
    for name in ("run", "check", "show", "scenarios", "schema"):
        assert f"\n  {name} " in outcome.out


def test_every_listed_command_exists_and_has_help(run):
    """`foretrain NAME --help` works for each."""
    for name in cli.commands():
        assert run(name, "--help").code == 0, name


def test_help_imports_nothing_heavy():
    """0.15 s for the whole process: no numpy, yaml, networkx, simpy, rich or plotly."""
    code = (
        "import sys\nfrom sim.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'yaml', 'networkx', 'simpy', 'rich', 'plotly', 'scipy', 'sim.files'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu", "x"), "did you mean 'run'?"),
        (("run",), "Missing argument 'SCENARIO'"),
        (("run", "paper/word-lm", "--sed", "1"), "--sed"),
        (("run", "paper/word-lm", "--seed", "-1"), "-1 is not in the range"),
        (("run", "paper/word-lm", "--seed", "x"), "not a valid integer"),
    ],
)
def test_bad_usage_leaves_with_2(run, arguments, message):
    """And says what was meant, on stderr."""
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_wrong_input_leaves_with_2_and_all_problems(raising):
    """One line for each."""
    error = InputError(Problem("must be positive", "a.b", "-1", "f.yaml", 3, 4), Problem("unknown key", "c"))
    assert raising(error) == (2, "", "f.yaml:3:4: a.b: must be positive, got -1\nc: unknown key\n")


def test_infeasible_leaves_with_3_and_levers(raising):
    """Need, capacity, and what would help."""
    reason = Infeasible(
        "the model does not fit",
        "h100",
        3 * 2**30,
        2 * 2**30,
        (Lever("plan.tensor=2", 1.6 * 2**30, "memory_bytes", "fits"),),
    )
    outcome = raising(InfeasibleError(reason))
    assert outcome.code == 3
    assert outcome.err.splitlines() == [
        "infeasible: the model does not fit",
        "  h100: needs 3 GiB, has 2 GiB",
        "  plan.tensor=2: 1.6 GiB, fits",
    ]


def test_unreachable_leaves_with_4(raising):
    """Target and floor."""
    outcome = raising(UnreachableError(Unreachable("no data set reaches it", 0.01, 0.02)))
    assert (outcome.code, outcome.err) == (4, "unreachable: no data set reaches it (target 0.01, floor 0.02)\n")


def test_a_bug_leaves_with_1_and_one_line(raising):
    """The traceback is for --debug."""
    outcome = raising(RuntimeError("two\nlines"))
    assert (outcome.code, outcome.err) == (1, "bug: RuntimeError: two lines (--debug shows the traceback)\n")


def test_debug_shows_the_traceback(process, tmp_path):
    """Wherever on the line it stands."""
    for arguments in (("--debug", "check", "none.yaml"), ("check", "none.yaml", "--debug")):
        outcome = process(*arguments, cwd=tmp_path)
        assert "Traceback" in outcome.err
        assert "no such file" in outcome.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_leaves_with_130(raising, error):
    """As a shell expects."""
    outcome = raising(error)
    assert (outcome.code, outcome.err.strip()) == (130, "interrupted")


def test_ctrl_c_while_a_command_works_leaves_with_130(tmp_path):
    """A real signal to a real process, which waits for a pipe that nobody fills."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    command = [*COMMAND, "check", str(pipe)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts) as running:
        writer = _open_when_read(pipe)
        try:
            err = _interrupted(running)
        finally:
            os.close(writer)
            running.kill()
    assert (running.returncode, err.strip()) == (130, "interrupted")


def _interrupted(running):
    """Stderr after Ctrl-C; pressed again where it fell between two system calls, when a read does not notice it."""
    for _ in range(10):
        running.send_signal(signal.SIGINT)
        try:
            return running.communicate(timeout=15)[1]
        except subprocess.TimeoutExpired:
            continue
    raise TimeoutError("the command goes on")


def _heed_interrupts():
    """A shell that starts the tests in the background has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _open_when_read(pipe):
    """A writer's end, as soon as a reader has opened its own."""
    for _ in range(30_000):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.01)
    raise TimeoutError("the command never opened the pipe")


def test_a_reader_that_goes_away_is_no_error():
    """`foretrain schema | head -1` is silent."""
    shell = " ".join([f"'{part}'" for part in COMMAND])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{shell} schema | head -1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_no_color_is_honoured(process):
    """No escape codes with NO_COLOR, nor into a pipe."""
    assert "\x1b" not in process("scenarios", env={"NO_COLOR": "1", "FORCE_COLOR": ""}).out
    assert "\x1b" not in process("--help").out


def test_version(run):
    """The installed distribution's."""
    assert run("--version").out.startswith("foretrain, version ")
