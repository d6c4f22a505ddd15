"""Every command of the README is executed, and its output is what the README shows.

`UPDATE_README=1 pytest tests/test_readme.py` writes the output of today into the README.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli.commands import commands
from sim.cli.process import EXIT_BUG, EXIT_INFEASIBLE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_UNREACHABLE
from sim.files.scenario import READ

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """Kind and text of every fenced block."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files the README shows (YAML whose first line is a comment with the name)."""
    place = tmp_path_factory.mktemp("readme")
    for kind, body in blocks():
        name = body.splitlines()[0].removeprefix("# ")
        if kind == "yaml" and name.endswith(".yaml"):
            (place / name).write_text(body, encoding="utf-8")
    return place


def execute(line, folder):
    """What `foretrain …` prints, stdout before stderr."""
    program, *arguments = shlex.split(line)
    assert program == "foretrain"
    done = subprocess.run(
        [sys.executable, "-c", "from sim.cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2, 3, 4), done.stderr
    return "\n".join(text.rstrip() for text in (done.stdout + done.stderr).splitlines())


def today(body, folder):
    """A console block with the output its commands have now."""
    commands = [line for line in body.splitlines() if line.startswith("$ ")]
    return "".join(f"{line}\n{execute(line[2:], folder)}\n" for line in commands)


@pytest.mark.parametrize("number", range(len([kind for kind, _ in blocks() if kind == "console"])))
def test_a_console_example_shows_what_its_commands_print(number, folder):
    """Character by character."""
    shown = [body for kind, body in blocks() if kind == "console"][number]
    current = today(shown, folder)
    if os.environ.get("UPDATE_README"):
        README.write_text(README.read_text(encoding="utf-8").replace(shown, current), encoding="utf-8")
        return
    assert current == shown


def test_the_python_examples_run():
    """As they stand."""
    examples = [body for kind, body in blocks() if kind == "python"]
    assert examples
    for body in examples:
        done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout) > 0


def test_there_are_two_set_up_commands_and_ci_runs_them():
    """One installs and runs the main job, one installs and passes the tests."""
    setup = [body.strip() for kind, body in blocks() if kind == "sh"]
    assert setup == ["pip install . && foretrain run paper/word-lm", "pip install -e '.[test]' && pytest"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install --quiet -e '.[test]' && pytest" in script
    assert 'foretrain" run paper/word-lm' in script


def test_every_command_and_part_the_readme_names_exists():
    """Exit codes and parts are those of the code."""
    text = README.read_text(encoding="utf-8")
    for code in (EXIT_BUG, EXIT_INPUT, EXIT_INFEASIBLE, EXIT_UNREACHABLE, EXIT_INTERRUPTED):
        assert f"\n| {code} | " in text
    for part in READ:
        assert f"\n| `{part}` | " in text


def test_the_readme_lists_every_command():
    """One row each, no other."""
    table = README.read_text(encoding="utf-8").split("## Commands", 1)[1].split("stdout is data", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(commands())


def test_every_file_the_readme_links_to_is_there():
    """Pages of docs/, the catalogue's README, the changelog."""
    links = re.findall(r"\]\(([^)#]+)", README.read_text(encoding="utf-8"))
    assert len(links) >= 5
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
