"""docs/horizon.md: every command is executed and prints what the page shows.

`UPDATE_README=1 pytest tests/test_horizon_docs.py` writes the output of today into the page.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_readme import BLOCK, today

from sim.horizon.backtest import backtest, coverage

PAGE = Path(__file__).parents[1] / "docs" / "horizon.md"


def blocks(wanted: str) -> list[str]:
    """Text of the fenced blocks of one kind."""
    return [body for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == wanted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files the page shows, named by their first line."""
    place = tmp_path_factory.mktemp("horizon")
    for body in blocks("yaml"):
        (place / body.splitlines()[0].removeprefix("# ")).write_text(body, encoding="utf-8")
    return place


@pytest.mark.parametrize("number", range(len(blocks("console"))))
def test_an_example_shows_what_its_commands_print(number: int, folder: Path) -> None:
    """Character by character."""
    shown = blocks("console")[number]
    current = today(shown, folder)
    assert "bug:" not in current
    if os.environ.get("UPDATE_README"):
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(shown, current), encoding="utf-8")
        return
    assert current == shown


def test_what_the_page_says_the_bands_held_is_what_they_hold() -> None:
    """Over all, and of power."""
    held = {row.group: row.inside for row in coverage(backtest())}
    text = PAGE.read_text(encoding="utf-8")
    assert f"bands held {held['all']:.0%} of the figures".replace("%", " %") in text
    assert f"power held worst,\n{held['power']:.0%}".replace("%", " %") in text
    assert min(held, key=lambda name: held[name]) == "power"
