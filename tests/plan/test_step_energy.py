"""Energy of a step: traffic on the links beside arithmetic and memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.files.hardware import load_accelerator
from sim.network import Cluster, Communicator, Level, LinkType
from sim.plan import Plan, StepRecord, prepare
from sim.plan.energy import step_energy
from sim.workload.records import Numerics
from sim.workload.transformer import Transformer

MODEL = Transformer(hidden=1024, depth=8, heads=16, vocabulary=32000, sequence=512)
CHIP = load_accelerator("h100-sxm5-80gb")


def record(plan: Plan) -> StepRecord:
    levels = (Level("node", "switch", (plan.devices,), LinkType("link", 450e9, 1e-6)),)
    return prepare(MODEL, plan, Numerics(), CHIP, Communicator(Cluster("test", CHIP.name, plan.devices, levels)))


def link_bytes(plan: Plan) -> float:
    """Bytes all devices send in a step."""
    assert CHIP.power is not None
    spent = step_energy(record(plan), CHIP, 1.0, None)
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
    """A border of stages carries every pass's activations forward and their gradients back; both ends send the gradient
    of the embedding they share, and the gradient norm is four bytes each way."""
    border, tied = 512 * 1024 * 2.0, 32000 * 1024 * 2.0
    assert link_bytes(Plan(1, 8, pipeline=2)) == pytest.approx(2 * border * 8 + 2 * tied + 2 * 4.0)


def test_no_power_figures_no_energy() -> None:
    """A chip without them is refused: the caller says why there is no energy."""
    with pytest.raises(ValueError, match="no power figures"):
        step_energy(record(Plan(1, 8)), replace(CHIP, power=None), 1.0, None)
