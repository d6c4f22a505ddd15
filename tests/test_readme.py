"""The README names what there is: set-up, exit codes, parts, commands, links (its examples: test_pages.py)."""

from __future__ import annotations

import re
from pathlib import Path

from sim.cli.commands import commands
from sim.cli.process import EXIT_BUG, EXIT_INFEASIBLE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_UNREACHABLE
from sim.files.scenario import READ

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_there_are_two_set_up_commands_and_ci_runs_them():
    """One installs and runs the main job, one installs and passes the tests."""
    setup = re.findall(r"^```sh\n(.*?)\n```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
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
