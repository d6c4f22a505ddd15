"""docs/validation.md: the figures of its table are those of the simulation, within 0.2 points (skill 0.02)."""

from __future__ import annotations

from importlib import import_module
from itertools import dropwhile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.validate import command
from sim.report.validation_page import HEADER, markdown
from sim.validation.constants import listed
from sim.validation.sets import find_set, set_files, validate

PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
COMMAND = "<!-- foretrain validate -q --markdown -->"
LONG = {"blind_llm", "llm_steps", "mlperf_resnet", "cnn_data_parallel", "fit_coverage", "minutes_resnet"}  # 3 to 15 s


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]


def shown() -> list[list[str]]:
    """The table below the command, without its head."""
    lines = list(dropwhile(lambda line: line != COMMAND, PAGE.read_text(encoding="utf-8").splitlines()))[1:]
    table = lines[: lines.index("", 1)]
    head, _, *rows = cells("\n".join(table))
    assert tuple(head) == HEADER
    return rows


def same(ours: list[str], page: list[str]) -> bool:
    """Names and counts equal, figures within a last digit or 0.2 points."""
    near = [0.2 + 1e-9] * len(ours)
    near[HEADER.index("skill")] = 0.02 + 1e-9
    for column, (a, b) in enumerate(zip(ours, page, strict=True)):
        if a != b and (column < 3 or "-" in (a, b) or abs(float(a) - float(b)) > near[column]):
            return False
    return True


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in set_files()]
)
def test_the_page_shows_what_validate_prints(name: str) -> None:
    """Every set of the file that has rows, in order, and its rows together."""
    _, _, *ours = cells(markdown([validate(find_set(name))]))
    page = [row for row in shown() if row[0] == name]
    assert [row[1] for row in page] == [row[1] for row in ours]
    assert [b for a, b in zip(ours, page, strict=True) if not same(a, b)] == []


def test_the_page_has_every_file_and_no_other() -> None:
    """Those of the library."""
    assert {row[0] for row in shown()} == set(set_files())


def test_the_command_prints_the_table_and_published_sets_only() -> None:
    """As the function does; the paper's tables and JSON are refused beside it."""
    done = CliRunner().invoke(command, ["-q", "--markdown", "dawnbench"])
    assert done.output.rstrip("\n") == markdown([validate(find_set("dawnbench"))])
    for arguments in (["--markdown", "paper"], ["--markdown", "--json", "dawnbench"]):
        assert CliRunner().invoke(command, arguments).exit_code == 2


def test_the_page_shows_the_constants_of_the_data() -> None:
    """Character by character what `validate --constants` prints."""
    done = CliRunner().invoke(command, ["--constants"])
    page = PAGE.read_text(encoding="utf-8")
    start = page.index("<!-- foretrain validate --constants -->\n") + len("<!-- foretrain validate --constants -->\n")
    assert page[start:].startswith(done.output.rstrip("\n") + "\n\n")


def test_listed_constants_are_those_of_the_code() -> None:
    """A value of the list that stands in code is the code's."""
    for one in listed():
        if one.python:
            module, _, name = one.python.rpartition(".")
            assert getattr(import_module(module), name) == one.value


def test_a_figure_that_moved_is_noticed() -> None:
    """0.3 points are, 0.1 are not; a missing figure and another count are."""
    row = ["f", "s", "3", "5.0", "4.0", "-1.0", "9.0", "0.44", "-"]
    assert same(row, [*row[:3], "5.1", *row[4:]])
    assert not same(row, [*row[:3], "5.3", *row[4:]])
    assert not same(row, [*row[:7], "0.47", *row[8:]])
    assert not same(row, [*row[:8], "5.0"])
    assert not same(row, [*row[:2], "4", *row[3:]])
