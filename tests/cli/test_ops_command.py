"""`foretrain ops`: table, JSON and offline pictures of one scenario."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.commands import cli

SCENARIO = "scenarios/paper/case-study-1-roofline.yaml"
ROOT = Path(__file__).parents[2]


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["ops", str(ROOT / SCENARIO), *args], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_case_study_takes_the_papers_step_time() -> None:
    """The word LM's step is compute-bound at 9.88 s (paper: 9.89 s), with its limit and the cache-aware time."""
    body = json.loads(run("--json"))
    compute = sum(op["compute_s"] for op in body["ops"] if op["limit"] == "compute")
    assert compute == pytest.approx(9.89, rel=0.005)
    assert body["cache_aware"]["slowdown"] >= 1.0
    assert "cache-aware" in run("--top", "3", "--quiet")


def test_pictures_are_written_and_offline(tmp_path: Path) -> None:
    """`-o` writes the page with the roofline; nothing in it is fetched."""
    run("-o", str(tmp_path), "--quiet")
    page = (tmp_path / "ops.html").read_text(encoding="utf-8").partition("<script>")[0]
    assert 'id="roofline"' in page
    assert "src=" not in page
    assert "<link" not in page
