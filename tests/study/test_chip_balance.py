"""A study over the split of a fixed budget: its front, the recommended chip, what a larger budget does to both."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sim.cli.explore import command as explore_command
from sim.cli.report import command as report_command
from sim.errors import InputError
from sim.files import load_scenario
from sim.simulation import simulate
from sim.study.chip_balance import NEAR, balance, recommended
from sim.study.explore import explore, figure
from sim.study.metrics import METRICS
from sim.study.store import Outcome
from sim.study.sweep import read_study, sweep

NAME = "horizon/chip-600mm2"
BUDGET = "accelerator.budget"
AXES: dict[str, Any] = {
    f"{BUDGET}.matrix_share": [0.1, 0.15],
    f"{BUDGET}.cache_share": [0.02, 0.1],
    f"{BUDGET}.stacks": [4, 6],
}
OBJECTIVES = ("time_to_target_s", "devices_usd", "energy_j")


def values(outcome: Outcome) -> tuple[float, ...]:
    """The three objectives."""
    found = [figure(outcome, METRICS[name]) for name in OBJECTIVES]
    return tuple(value for value in found if value is not None)


def never_worse(new: Sequence[Outcome], old: Sequence[Outcome]) -> bool:
    """Every design of the old front has one of the new front that is at least as good in everything."""
    return all(any(all(a <= b for a, b in zip(values(n), values(o), strict=True)) for n in new) for o in old)


@pytest.mark.parametrize(
    ("base", "larger", "axes"),
    [
        ((), ("area=660 mm2",), AXES),
        (("power=450 W",), ("power=495 W",), AXES),
        ((), (), AXES | {f"{BUDGET}.stacks": [4, 6, 7]}),
        ((), ("area=660 mm2",), {path: [given[0]] for path, given in AXES.items()}),
    ],
)
def test_a_larger_budget_started_from_the_front_is_never_worse(
    tmp_path: Path, base: tuple[str, ...], larger: tuple[str, ...], axes: dict[str, Any]
) -> None:
    """Ten per cent more area, power or stacks (six to seven); even where the new grid is a single design."""
    file = tmp_path / "first.db"
    first = [f"{BUDGET}.{text}" for text in base]
    old = explore(NAME, AXES, objectives=OBJECTIVES, sets=first, file=file, jobs=1)
    sets = [*first, *(f"{BUDGET}.{text}" for text in larger)]
    new = explore(NAME, axes, objectives=OBJECTIVES, sets=sets, start=file, jobs=1)
    assert len(old.outcomes) > 1
    assert never_worse(new.outcomes, old.outcomes)


def test_a_design_that_is_started_from_is_the_chip_it_was(tmp_path: Path) -> None:
    """At the area it was made for, so that its figures are those of the earlier study."""
    file = tmp_path / "first.db"
    old = explore(NAME, AXES, objectives=OBJECTIVES, file=file, jobs=1)
    again = tmp_path / "second.db"
    explore(NAME, AXES, objectives=OBJECTIVES, sets=[f"{BUDGET}.area=660 mm2"], start=file, file=again, jobs=1)
    stored = read_study(again)
    kept = [o for o in stored.outcomes if stored.designs.overrides(o.number)[f"{BUDGET}.area"] == "600 mm2"]
    assert [values(o) for o in kept] == [values(o) for o in old.outcomes]


def test_an_earlier_study_that_had_more_or_other_axes_is_refused(tmp_path: Path) -> None:
    """By the line, or the axis."""
    file = tmp_path / "first.db"
    explore(NAME, {f"{BUDGET}.stacks": [6]}, file=file, jobs=1)
    with pytest.raises(InputError, match=r"area: was larger in the earlier study.*600 mm2"):
        explore(NAME, {f"{BUDGET}.stacks": [6]}, sets=[f"{BUDGET}.area=500 mm2"], start=file, jobs=1)
    with pytest.raises(InputError, match=r"other axes than this study, got .*matrix_share"):
        explore(NAME, {f"{BUDGET}.matrix_share": [0.1]}, start=file, jobs=1)


def test_the_recommended_chip_is_the_cheapest_of_the_fastest(tmp_path: Path) -> None:
    """Within two per cent of the least time; its area adds up; its elasticities are those of three runs each."""
    file = tmp_path / "study.db"
    found = sweep(NAME, AXES, file=file, jobs=1)
    chosen = balance(read_study(file))
    assert chosen is not None
    times = [values(o)[0] for o in found.outcomes if not o.reason]
    near = [values(o) for o in found.outcomes if not o.reason and values(o)[0] <= (1 + NEAR) * min(times)]
    assert values(chosen.outcome)[1] == min(value[1] for value in near)
    assert sum(block.area for block in chosen.made.blocks) == pytest.approx(600.0)
    area = next(worth for worth in chosen.worth if worth.name == "area")
    sets = [f"{path}={value}" for path, value in chosen.overrides.items()]
    seconds = [
        simulate(load_scenario(NAME, [*sets, f"{BUDGET}.area={600 * factor} mm2"]), levers=False).time_to_target.seconds  # type: ignore[union-attr]
        for factor in (1 / 1.1, 1.1)
    ]
    assert area.elasticities["time_to_target_s"] == pytest.approx(
        log(seconds[1] / seconds[0]) / (2 * log(1.1)), rel=1e-6
    )
    assert recommended(list(chosen.front), METRICS["time_to_target_s"]) == chosen.outcome


def test_the_page_has_front_balance_and_elasticity(tmp_path: Path) -> None:
    """As `explore` and `report` write it; a study without a budget has none of it."""
    file, page = tmp_path / "study.db", tmp_path / "page.html"
    axes = [f"--axis={path}={','.join(map(str, given))}" for path, given in AXES.items()]
    CliRunner().invoke(
        explore_command, [NAME, *axes, "-o", str(file), "--quiet", "--jobs", "1"], catch_exceptions=False
    )
    CliRunner().invoke(report_command, [str(file), "-o", str(page), "--quiet"], catch_exceptions=False)
    text = page.read_text(encoding="utf-8")
    for part in ("Front", "Recommended balance", "What more of each line is worth", "memory PHYs", "matrix_share"):
        assert part in text
    plain = sweep("today/resnet50", {"plan.sub_batch": [32]}, jobs=1)
    assert balance(plain) is None


def test_a_space_in_which_nothing_fits_says_why() -> None:
    """The first reason stands beside the refusal."""
    options = [NAME, f"--axis={BUDGET}.matrix_share=0.4,0.5", "--quiet", "--jobs", "1"]
    refused = CliRunner().invoke(explore_command, options)
    assert isinstance(refused.exception, InputError)
    assert "does not hold its blocks" in str(refused.exception)
