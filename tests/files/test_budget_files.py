"""Accelerator files that state a budget: taken wherever a chip is, each mistake at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import InputError
from sim.files import load_scenario
from sim.files.hardware import load_accelerator, load_accelerator_file
from sim.files.hardware_text import dump_accelerator
from sim.files.lint import lint_file
from sim.files.scenario import build, document_of

CHIP = "name: bought\nbudget:\n  area: 600 mm2\n  power: 800 W\n  stacks: 6\n  node: n3\n  links: [nvlink3]\n"
INLINE = "accelerator={name: bought, budget: {area: 600 mm2, power: 800 W, stacks: 6, node: n3, links: [nvlink3]}}"


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    """The file of a chip from a budget."""
    path = tmp_path / "bought.yaml"
    path.write_text(CHIP, encoding="utf-8")
    return path


def test_a_budget_is_a_chip_wherever_one_is_named(chip: Path) -> None:
    """By file, and as it stands in a scenario over a cluster that names another chip."""
    named = load_scenario("today/resnet50", [f"accelerator={chip}"]).accelerator
    assert named == load_accelerator(chip) == load_scenario("today/resnet50", [INLINE]).accelerator
    assert named.status == "hypothetical"
    assert named.power is not None
    assert named.power.peak_w <= 800.0
    assert lint_file(chip) == []


def test_each_leaf_of_a_budget_is_one_of_the_scenario() -> None:
    """`--set accelerator.budget.stacks=3` lays over it: half of the bandwidth, more area for cores."""
    whole, half = (load_scenario("today/resnet50", [INLINE, *more]) for more in ((), ("accelerator.budget.stacks=3",)))
    assert half.accelerator.memory.bandwidth == pytest.approx(0.5 * whole.accelerator.memory.bandwidth)
    assert half.accelerator.compute["bf16"].peak_flops > whole.accelerator.compute["bf16"].peak_flops  # area left


def test_what_is_written_is_the_same_chip(chip: Path, tmp_path: Path) -> None:
    """A file written from a budget has every figure to six digits, and needs no budget."""
    bought = load_accelerator_file(chip)
    again = tmp_path / "again.yaml"
    again.write_text(dump_accelerator(bought), encoding="utf-8")
    written = load_accelerator_file(again)
    assert written.compute.formats["bf16"].peak == pytest.approx(bought.compute.formats["bf16"].peak, rel=1e-5)
    assert written.memory.bandwidth == pytest.approx(bought.memory.bandwidth, rel=1e-5)
    assert written.compute.sustained == pytest.approx(bought.compute.sustained, rel=1e-3)


def test_what_nothing_fits_in_is_told_at_its_line(tmp_path: Path) -> None:
    """Area and edge, both, where they are stated."""
    path = tmp_path / "small.yaml"
    path.write_text(CHIP.replace("600 mm2", "60 mm2"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_accelerator(path)
    assert [(p.line, p.path) for p in caught.value.problems] == [(3, "budget.area"), (5, "budget.stacks")]
    assert all(p.hint for p in caught.value.problems)


def test_a_problem_of_the_power_is_told_at_its_line(tmp_path: Path) -> None:
    """`power` and not `power_w`, as the file calls it."""
    path = tmp_path / "cold.yaml"
    path.write_text(CHIP.replace("800 W", "100 W"), encoding="utf-8")
    with pytest.raises(InputError, match=r"cold\.yaml:4:10: budget.power: leaves 0 W for arithmetic"):
        load_accelerator(path)


def test_lanes_that_the_cluster_uses_are_paid_for() -> None:
    """A chip without NVLink does not go into a node that is joined by it; cards of the network are not its own."""
    bare = INLINE.replace(", links: [nvlink3]", "")
    with pytest.raises(InputError, match=r"budget.links: has no lanes for nvlink3, .*links: \[nvlink3\]"):
        load_scenario("today/resnet50", [bare])
    assert load_scenario("today/llama2-70b", [INLINE]).accelerator.links == ("nvlink3",)


def test_what_the_budget_decides_is_refused_beside_it(chip: Path, tmp_path: Path) -> None:
    """A bandwidth of its own, or a chip of the cluster that a budget without a name is laid over."""
    path = tmp_path / "both.yaml"
    path.write_text(CHIP + "memory: {capacity: 80 GiB, bandwidth: 3 TB/s}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"both\.yaml:8:9: memory: is decided by the budget"):
        load_accelerator(path)
    over = {"extends": "today/resnet50", "accelerator": {"budget": {"area": "600 mm2", "power": "800 W", "stacks": 6}}}
    with pytest.raises(InputError, match="is decided by the budget"):
        build(document_of(over, "scenario"))
