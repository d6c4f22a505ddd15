"""docs/chip_budget.md: every command is executed and prints what the page shows; its YAML is a chip.

`UPDATE_README=1 pytest tests/test_chip_budget_docs.py` writes the output of today into the page.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_readme import BLOCK, today

from sim.files.hardware import read_accelerator
from sim.files.loader import parse

PAGE = Path(__file__).parents[1] / "docs" / "chip_budget.md"


def blocks(wanted: str) -> list[str]:
    """Text of the fenced blocks of one kind."""
    return [body for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == wanted]


@pytest.mark.parametrize("number", range(len(blocks("console"))))
def test_an_example_shows_what_its_commands_print(number: int, tmp_path: Path) -> None:
    """Character by character."""
    shown = blocks("console")[number]
    current = today(shown, tmp_path)
    assert "bug:" not in current
    if os.environ.get("UPDATE_README"):
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(shown, current), encoding="utf-8")
        return
    assert current == shown


def test_the_budget_of_the_page_is_a_chip() -> None:
    """With eight stacks of the newest memory."""
    (body,) = blocks("yaml")
    assert read_accelerator(parse(body).at("accelerator")).memory.bandwidth > 10e12
