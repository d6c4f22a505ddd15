"""The wheel: carries its library, and works from anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel's content in a folder of its own, as an installer would lay it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(folder / done.stdout.strip().splitlines()[-1]) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def from_wheel(site, *arguments):
    """Run foretrain from the wheel, in an empty folder."""
    return subprocess.run(
        [sys.executable, "-c", "from sim.cli import main; main()", *arguments],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_carries_every_hardware_and_scenario_file(installed):
    """As package data, nothing left out."""
    for part in ("hardware", "scenarios"):
        here = {p.relative_to(ROOT) for p in (ROOT / part).rglob("*") if p.is_file()}
        there = {p.relative_to(installed / "sim" / "_data") for p in (installed / "sim/_data" / part).rglob("*.*")}
        assert {p for p in here if p.suffix in (".yaml", ".csv", ".json")} <= there


def test_the_wheel_finds_its_library_from_anywhere(installed):
    """No checkout in sight."""
    listed = json.loads(from_wheel(installed, "scenarios", "--json").stdout)
    assert "paper/word-lm" in {row["name"] for row in listed["scenarios"]}
    checked = from_wheel(installed, "check", str(installed / "sim/_data/scenarios"), "--quiet")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_wheel_runs_its_main_job(installed):
    """`foretrain run paper/word-lm` after an installation."""
    done = from_wheel(installed, "run", "paper/word-lm", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["time_to_target"]["seconds"] > 0


def test_the_wheel_holds_nothing_but_the_package(installed):
    """No tests, no top-level clutter; the licence is in."""
    assert {p.name for p in installed.iterdir()} == {"sim", next(installed.glob("*.dist-info")).name}
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))
    assert not list(installed.rglob("test_*.py"))


def test_pint_is_no_dependency():
    """An oracle of the tests, never of the product."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not any(name.lower().startswith("pint") for name in project["dependencies"])


def test_no_file_names_a_registry_host_or_a_path_of_a_machine():
    """The repository stands alone."""
    names = ("files." + "pythonhosted", "py" + "pi.org/simple", "/wo" + "rk/", "/ro" + "ot/")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    texts = (
        ROOT / name for name in listed.stdout.split("\0") if name.endswith((".py", ".yaml", ".toml", ".md", "run"))
    )
    found = [str(p) for p in texts if p.is_file() and any(name in p.read_text(encoding="utf-8") for name in names)]
    assert found == []
