"""What a chip nobody measured takes from its generation: no gain from being hypothetical, and every loss is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sim.device.inheritance import LOSSES
from sim.files.hardware import load_accelerator, load_accelerator_file
from sim.files.hardware_text import dump_accelerator
from sim.files.scenario import build, document_of
from sim.report.run import render
from sim.scenario import Scenario
from sim.simulation import simulate


def scenario(chip: str) -> Scenario:
    """A 6.7 B GPT on eight chips."""
    return build(
        document_of(
            {
                "workload": "gpt3-6.7b",
                "target": {"steps": 1},
                "accelerator": chip,
                "cluster": "dgx-h100",
                "plan": {"global_batch": 64, "sub_batch": 1, "recompute": "selective", "tensor": 2},
            },
            "test",
        )
    )


@pytest.fixture
def unmeasured(tmp_path: Path) -> str:
    """The H100 as its data sheet says, its generation and everything measured left out."""
    file = load_accelerator_file("h100-sxm5-80gb")
    compute = replace(
        file.compute,
        achievable=None,
        formats={name: replace(group, achievable=None) for name, group in file.compute.formats.items()},
    )
    path = tmp_path / "new-chip.yaml"
    file = replace(file, name="new-chip", status="hypothetical", generation="hypothetical", compute=compute)
    path.write_text(dump_accelerator(file, ()), encoding="utf-8")
    return str(path)


def test_an_unchanged_chip_gains_nothing_by_being_hypothetical(unmeasured: str) -> None:
    """The H100 without its measurements takes as long as the H100 (within 1 %)."""
    measured = simulate(scenario("h100-sxm5-80gb"), levers=False)
    assert measured.provenance.inherited == ()
    assert simulate(scenario(unmeasured), levers=False).step.time_s == pytest.approx(measured.step.time_s, rel=0.01)


def test_the_effect_of_what_is_inherited_is_told(unmeasured: str) -> None:
    """A chip that states the ideal value itself is faster by the printed factor, and the loss is on the terminal."""
    result = simulate(scenario(unmeasured))
    found = {one.constant: one for one in result.provenance.inherited}
    assert set(found) == set(LOSSES)
    chip = load_accelerator(unmeasured)
    ideal = replace(scenario(unmeasured), accelerator=replace(chip, sustained=1.0))
    assert result.step.time_s / simulate(ideal, levers=False).step.time_s == pytest.approx(found["sustained"].slowdown)
    assert all(one.slowdown >= 1.0 - 1e-12 for one in found.values())
    assert f"inherited: sustained {found['sustained'].value:.3g}" in render(result)


def test_a_constant_the_file_states_is_not_inherited(tmp_path: Path) -> None:
    """Host time, overhead and the sustained share stand in the paper's accelerator."""
    chip = load_accelerator("paper-2019")
    assert not {"host", "kernel_overhead", "sustained", "achievable", "memory_achievable"} & set(chip.inherited)
