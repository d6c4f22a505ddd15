"""docs/network.md: every command is executed and prints what the page shows; every YAML is a cluster that answers.

`UPDATE_README=1 pytest tests/test_network_docs.py` writes the output of today into the page.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from test_readme import BLOCK, today

from sim.network.algorithms import ALGORITHMS
from sim.network.records import Routing
from sim.network.topologies import TOPOLOGIES

PAGE = Path(__file__).parents[1] / "docs" / "network.md"


def blocks(wanted: str) -> list[str]:
    """Text of the fenced blocks of one kind."""
    return [body for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == wanted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files the page shows: YAML named by its first line, JSON by its key `name`."""
    place = tmp_path_factory.mktemp("network")
    for body in blocks("yaml"):
        (place / body.splitlines()[0].removeprefix("# ")).write_text(body, encoding="utf-8")
    for body in blocks("json"):
        (place / json.loads(body)["name"]).write_text(body, encoding="utf-8")
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


def test_every_file_of_the_page_is_used() -> None:
    """By at least one command."""
    commands = "\n".join(blocks("console"))
    for body in blocks("yaml"):
        assert body.splitlines()[0].removeprefix("# ") in commands


def test_the_page_names_every_topology_algorithm_routing_and_option() -> None:
    """Those of the code."""
    text = PAGE.read_text(encoding="utf-8")
    options = (name for each in TOPOLOGIES.values() for name in each.options)
    names = {*TOPOLOGIES, *ALGORITHMS, *Routing, *options}
    names -= {"local_links", "global_links"}  # said in the docstring of the router
    assert [name for name in sorted(names) if f"`{name}" not in text] == []
