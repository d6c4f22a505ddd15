"""scenarios/horizon/README.md, what 2031 brings: every command run, every figure of its rows recomputed.

The oracle of a cell is the command itself; `UPDATE_README=1 pytest -m "" tests/test_horizon_report.py` writes today's.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from test_topics import Tree, answer, rewrite, rows, seconds

from sim.files.library import names
from sim.report.text import duration, si, three

README = Path(__file__).parents[1] / "scenarios" / "horizon" / "README.md"
ALWAYS = ("word-lm", "recommendation")  # the rows of the default run; `-m slow` has the others


def run_cells(found: Tree) -> list[str]:
    """Time, the band of the run, cost, energy, limit and the change that gains most."""
    band = found["uncertainty"] and found["uncertainty"]["bands"]["time_to_target_s"]
    lever = max(found["bottleneck"]["levers"], key=lambda each: -float(each["time_to_target_s"]))
    return [
        duration(seconds(found)),
        f"{duration(band['p05'])} to {duration(band['p95'])}" if band else "-",
        si(found["cost"]["total_usd"], "USD"),
        si(found["energy"]["target_j"] / 3600.0, "Wh"),
        str(found["bottleneck"]["limit"]),
        f"{lever['change']}: {three(seconds(found) / lever['time_to_target_s'])}x",
    ]


def sweep_cells(found: Tree) -> list[str]:
    """Time of 2026, of 2031 low, central and high, and how many times sooner low to high are."""
    now, *later = [float(design["time_to_target_s"]) for design in found["designs"]]
    least, middle, most = (three(now / then) for then in later)
    return [*map(duration, (now, *later)), f"{middle}x ({least} to {most})"]


def compare_cells(found: Tree) -> list[str]:
    """Scenarios by what limits them."""
    limits: dict[str, list[str]] = {}
    for case in found["cases"]:
        limits.setdefault(case["result"]["bottleneck"]["limit"], []).append(case["label"].rsplit("/", 1)[-1])
    return ["; ".join(f"{limit}: {', '.join(limited)}" for limit, limited in limits.items())]


CELLS = {"run": run_cells, "sweep": sweep_cells, "compare": compare_cells}


def command(row: list[str]) -> str:
    return row[1].strip("`")


def cases() -> list[object]:
    """Every row, those of other scenarios than ALWAYS marked slow."""
    fast = {f"foretrain {verb} horizon/{name}" for verb in CELLS for name in ALWAYS}
    slow = {row[1]: () if command(row) in fast else pytest.mark.slow for row in rows(README)}
    return [pytest.param(row, id=command(row)[:40], marks=slow[row[1]]) for row in rows(README)]


@pytest.mark.parametrize("row", cases())
def test_a_row_is_what_its_command_prints(row: list[str]) -> None:
    cells = CELLS[command(row).split()[1]](answer(command(row)))
    if os.environ.get("UPDATE_README"):
        return rewrite(README, row, [*row[:2], *cells])
    assert row[2:] == cells


def test_every_scenario_of_the_folder_is_asked_by_each_command() -> None:
    there = {name for name in names("scenarios") if name.startswith("horizon/") and name.count("/") == 1}
    for verb in CELLS:
        asked = [name for row in rows(README) if command(row).split()[1] == verb for name in command(row).split()[2:]]
        assert sorted(asked) == sorted(there - {"horizon/chip-600mm2"})


@pytest.mark.parametrize("name", ALWAYS)
def test_a_machine_of_more_of_everything_is_sooner(name: str) -> None:
    """2026, low, central, high: times fall."""
    times = [float(design["time_to_target_s"]) for design in answer(f"foretrain sweep horizon/{name}")["designs"]]
    assert all(later < earlier for earlier, later in pairwise(times))
