"""docs/plans.md: every command is executed and prints what the page shows.

`UPDATE_README=1 pytest tests/test_plan_docs.py` writes the output of today into the page.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest
from test_readme import BLOCK, today

from sim.plan.records import Plan

PAGE = Path(__file__).parents[1] / "docs" / "plans.md"


def blocks(wanted):
    """Text of the fenced blocks of one kind."""
    return [body for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == wanted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files the page shows, named by their first line."""
    place = tmp_path_factory.mktemp("plans")
    for body in blocks("yaml"):
        (place / body.splitlines()[0].removeprefix("# ")).write_text(body, encoding="utf-8")
    return place


@pytest.mark.parametrize("number", range(len(blocks("console"))))
def test_an_example_shows_what_its_commands_print(number, folder):
    """Character by character."""
    shown = blocks("console")[number]
    current = today(shown, folder)
    assert "bug:" not in current
    if os.environ.get("UPDATE_README"):
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(shown, current), encoding="utf-8")
        return
    assert current == shown


@pytest.mark.parametrize("name", [f"`{axis}`" for axis in ("data", "tensor", "pipeline", "context", "expert")])
def test_every_axis_has_a_row(name):
    """In the table of axes."""
    assert f"\n| {name}" in PAGE.read_text(encoding="utf-8")


def test_the_page_names_fields_that_exist():
    """Every `word` that is a field of the plan in the tables is one of the code."""
    text = PAGE.read_text(encoding="utf-8")
    named = {f.name for f in fields(Plan) if f"`{f.name}`" in text}
    assert {"sharding", "recompute", "offload", "virtual_stages", "stage_layers", "order"} <= named
