"""Energy of a step: traffic on the links beside arithmetic and memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.files.hardware import load_accelerator
from sim.plan.energy import step_energy
from sim.plan.records import Plan
from sim.workload.records import Numerics
from sim.workload.transformer import Transformer

MODEL = Transformer(hidden=1024, depth=8, heads=16, vocabulary=32000, sequence=512)
CHIP = load_accelerator("h100-sxm5-80gb")


def link_bytes(plan: Plan) -> float:
    """Bytes all devices send in a step."""
    assert CHIP.power is not None
    spent = step_energy(MODEL, plan, Numerics(), CHIP, 1.0, None)
    assert sum(spent.by_kind.values()) == pytest.approx(spent.step_j)
    return spent.by_kind["link"] / CHIP.power.link_byte_j


def test_one_device_sends_nothing() -> None:
    """No gradients, no collectives, no next stage."""
    assert link_bytes(Plan(1, 8)) == 0.0


def test_data_parallel_gradients() -> None:
    """Each of D devices sends 2(D - 1)/D of its bf16 gradients, however many passes it makes."""
    expected = 4 * 2 * 3 / 4 * MODEL.parameters * 2.0
    assert link_bytes(Plan(1, 8, data=4)) == pytest.approx(expected, rel=1e-3)
    assert link_bytes(Plan(1, 32, data=4)) == pytest.approx(expected, rel=1e-3)


def test_tensor_parallel_activations() -> None:
    """Megatron-LM: four all-reduces of sequence x hidden a block and pass, 2(T - 1)/T of it sent by each device."""
    blocks = 8 * 4 * 512 * 1024 * 2.0
    expected = 2 * 2 * 1 / 2 * blocks * 8
    assert expected < link_bytes(Plan(1, 8, tensor=2)) < 1.4 * expected  # embedding and head add theirs


def test_pipeline_stages_send_their_output_on() -> None:
    """A border of stages carries every pass's activations forward and their gradients back."""
    border = 512 * 1024 * 2.0
    assert link_bytes(Plan(1, 8, pipeline=2)) == pytest.approx(2 * border * 8)


def test_no_power_figures_no_energy() -> None:
    """A chip without them is refused: the caller says why there is no energy."""
    with pytest.raises(ValueError, match="no power figures"):
        step_energy(MODEL, Plan(1, 8), Numerics(), replace(CHIP, power=None), 1.0, None)
