"""README.md and the pages of docs/: every command is executed and prints what the page shows, every file is read.

`UPDATE_README=1 pytest -n0 tests/test_pages.py` writes the output of today into the pages.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import socket
import socketserver
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import fields
from pathlib import Path

import pytest

from sim.cli import main
from sim.horizon.backtest import backtest, coverage
from sim.network.algorithms import ALGORITHMS
from sim.network.records import Routing
from sim.network.topologies import TOPOLOGIES
from sim.plan.records import Plan

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {path.stem: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}


def text(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str, wanted: str) -> list[str]:
    """Text of the fenced blocks of one kind."""
    return [body for kind, body in BLOCK.findall(text(page)) if kind == wanted]


def files(page: str) -> dict[str, str]:
    """The files a page shows: YAML named by its first line, JSON by its key `name`, CSV as its commands call it."""
    yaml = {re.match(r"# (\S+\.ya?ml)\n", body): body for body in blocks(page, "yaml")}
    tables = re.findall(r"\b\w+\.csv", "\n".join(blocks(page, "console")))
    return (
        {name[1]: body for name, body in yaml.items() if name}
        | {json.loads(body)["name"]: body for body in blocks(page, "json")}
        | dict(zip(tables, blocks(page, "csv"), strict=False))
    )


def parts(page: str) -> list[str]:
    """YAML without a name: a part of a scenario."""
    return [body for body in blocks(page, "yaml") if body not in files(page).values()]


def examples(kind: Callable[[str], list[str]]) -> list[tuple[str, int]]:
    return [(page, number) for page in PAGES for number in range(len(kind(page)))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder for each page, with the files it shows."""
    made: dict[str, Path] = {}

    def of(page: str) -> Path:
        if page not in made:
            made[page] = tmp_path_factory.mktemp(page)
            for name, body in files(page).items():
                (made[page] / name).write_text(body, encoding="utf-8")
        return made[page]

    return of


def execute(line: str, place: Path) -> str:
    """What `foretrain …` prints, stdout before stderr."""
    program, *arguments = shlex.split(line)
    assert program == "foretrain"
    done = subprocess.run(
        [sys.executable, "-c", "from sim.cli import main; main()", *arguments],
        cwd=place,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2, 3, 4), done.stderr
    return "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines())


@pytest.mark.parametrize(("page", "number"), examples(lambda page: blocks(page, "console")))
def test_an_example_shows_what_its_commands_print(page: str, number: int, folder: Callable[[str], Path]) -> None:
    """Character by character."""
    shown = blocks(page, "console")[number]
    commands = [line for line in shown.splitlines() if line.startswith("$ ")]
    current = "".join(f"{line}\n{execute(line[2:], folder(page))}\n" for line in commands)
    assert commands
    assert "bug:" not in current
    if os.environ.get("UPDATE_README"):
        PAGES[page].write_text(text(page).replace(shown, current), encoding="utf-8")
        return
    assert current == shown


@pytest.mark.parametrize(("page", "number"), examples(parts))
def test_a_part_of_a_scenario_is_accepted(page: str, number: int, tmp_path: Path) -> None:
    """On today's language model."""
    body = parts(page)[number]
    (tmp_path / "part.yaml").write_text(f"extends: today/llama2-70b\n{body}", encoding="utf-8")
    assert execute("foretrain check part.yaml", tmp_path) == "part.yaml: scenario: ok"


@pytest.mark.parametrize(("page", "name"), [(page, name) for page in PAGES for name in files(page)])
def test_a_file_of_a_page_is_used(page: str, name: str) -> None:
    """By one of its commands, or by a file that is."""
    used = "\n".join([*blocks(page, "console"), *(body for other, body in files(page).items() if other != name)])
    assert re.search(rf"\b{re.escape(name)}\b", used)


@pytest.mark.parametrize(
    ("page", "number"), [each for each in examples(lambda page: blocks(page, "python")) if each[0] != "python"]
)
def test_python_runs_and_prints_what_its_remark_says(page: str, number: int) -> None:
    """As it stands (docs/python.md: test_python_docs.py)."""
    body = blocks(page, "python")[number]
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = re.search(r"\bprint\(.*\)  # (\d+)", body)
    assert float(done.stdout) == float(said[1]) if said else float(done.stdout) > 0


def test_the_page_of_the_app_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command it shows, and where it says; nobody is answered."""
    pytest.importorskip("dash")
    monkeypatch.setattr(socketserver.BaseServer, "serve_forever", lambda *_, **__: None)
    install, start = blocks("app", "sh")[0].splitlines()
    assert install == "pip install 'foretrain[app]'"
    command, address = start.split("#")
    with socket.socket() as free, redirect_stderr(io.StringIO()) as told:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # held, not listening: nobody else is given it
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        monkeypatch.setattr(sys, "argv", [*shlex.split(command), "--port", port])
        with pytest.raises(SystemExit) as left:
            main()
    assert left.value.code == 0
    assert address.strip().replace("8050", port) in told.getvalue()


@pytest.mark.parametrize("name", [f"`{axis}`" for axis in ("data", "tensor", "pipeline", "context", "expert")])
def test_every_axis_of_a_plan_has_a_row(name: str) -> None:
    """In the table of axes."""
    assert f"\n| {name}" in text("plans")


def test_the_page_of_plans_names_fields_that_exist() -> None:
    """Every `word` that is a field of the plan in the tables is one of the code."""
    named = {f.name for f in fields(Plan) if f"`{f.name}`" in text("plans")}
    assert {"sharding", "recompute", "offload", "virtual_stages", "stage_layers", "order"} <= named


def test_the_page_of_networks_names_every_topology_algorithm_routing_and_option() -> None:
    """Those of the code."""
    options = (name for each in TOPOLOGIES.values() for name in each.options)
    names = {*TOPOLOGIES, *ALGORITHMS, *Routing, *options}
    names -= {"local_links", "global_links"}  # said in the docstring of the router
    assert [name for name in sorted(names) if f"`{name}" not in text("network")] == []


def test_what_the_page_of_trends_says_the_bands_held_is_what_they_hold() -> None:
    """Over all, and of power."""
    held = {row.group: row.inside for row in coverage(backtest())}
    assert f"bands held {held['all']:.0%} of the figures".replace("%", " %") in text("horizon")
    assert f"power held worst,\n{held['power']:.0%}".replace("%", " %") in text("horizon")
    assert min(held, key=lambda name: held[name]) == "power"
