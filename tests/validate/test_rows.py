"""Rows of a validation set: one of them as a scenario, numeric conditions, what a rule may take back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.validate import command
from sim.errors import InputError
from sim.files.scenario import load_scenario
from sim.simulation import simulate
from sim.validation.runs import overlay
from sim.validation.sets import find_set, validate
from sim.validation.validation import Rule


def test_a_published_row_is_a_scenario_file(tmp_path: Path) -> None:
    """The file of one row runs and gives the row's figure."""
    done = CliRunner().invoke(command, ["llm_steps", "--row", "llm0001", "--show-scenario"])
    path = tmp_path / "row.yaml"
    path.write_text(done.output, encoding="utf-8")
    step = simulate(load_scenario(path), must_fit=False, levers=False, engine="recursion").step.time_s
    report = validate(find_set("llm_steps"), row_ids=["llm0001"])
    (row,) = report.summaries[0].rows
    assert row.id == "llm0001"
    assert step == pytest.approx(row.predicted, rel=1e-12)


def test_an_unknown_row_is_refused() -> None:
    """With the nearest one."""
    with pytest.raises(InputError, match=r"row: no such row, got llm000l .*llm0"):
        validate(find_set("llm_steps"), row_ids=["llm000l"])


@pytest.mark.parametrize(("cell", "matches"), [("100", True), ("99", False), ("", False), ("many", False)])
def test_a_condition_may_compare(cell: str, matches: bool) -> None:
    """`">= 100"` of a number; no number meets it."""
    assert (Rule({"n": ">= 100"}, {}).match({"n": cell}) is not None) is matches


def test_a_whole_cluster_keeps_the_devices_of_a_column() -> None:
    """Devices set before the rule that names another cluster; the library cluster itself goes."""
    found = overlay(
        {"cluster": "dgx-a100"},
        {"cluster.devices": 64, "cluster.extends": "dgx-1v", "cluster": {"name": "x", "levels": []}},
    )
    assert found["cluster"] == {"name": "x", "levels": [], "devices": 64}
