"""The pyramidal speech model against the paper and its authors' graph analyser."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.ops import total_bytes, total_flops
from sim.workload.expand import PLAIN_FP32
from sim.workload.speech import AttentionSpeech
from tests.workload.steps import CLIPPED, step_ops
from tests.workload.test_recurrent import counts


def test_parameters() -> None:
    """71,084,647; the analyser asserts 82 more: mean and deviation of the 40 features, and two scalars."""
    model = AttentionSpeech(frames=96)
    assert model.parameters == 71_084_647 == counts("speech")["params"] - 82
    assert sum(layer.parameter_elements for layer in model.layers(1, PLAIN_FP32)) == model.parameters


def test_flops_and_bytes_of_a_step() -> None:
    """FLOPs within 0.5 %, bytes within 10 %, with the noise drawn for the decoder's kernels at every step."""
    model = AttentionSpeech(frames=96, weight_noise=True)
    ops = step_ops(model, 32, CLIPPED)
    known = counts("speech")
    assert total_flops(ops) == pytest.approx(known["flops_per_step"], rel=0.005)
    assert total_bytes(ops) == pytest.approx(known["bytes_per_step"], rel=0.10)


def test_frontier_against_table_2() -> None:
    """h = 3289 has 727.3 M parameters; at T = 300, b = 128: 775 FLOPs (5 %) and 3100 + 162750·b/√p B (10 %) each."""
    model = AttentionSpeech(hidden=3289)
    ops = step_ops(model, 128)
    p = model.parameters
    assert p == pytest.approx(727.3e6, rel=0.001)
    assert total_flops(ops) / 128 / p == pytest.approx(775, rel=0.05)
    assert total_bytes(ops) / p == pytest.approx(3100 + 162750 * 128 / p**0.5, rel=0.10)
    assert AttentionSpeech.sized(727e6).hidden == pytest.approx(3289, abs=2)


def test_too_few_frames_are_refused() -> None:
    """Time is halved twice: fewer than four frames leave nothing to attend to."""
    with pytest.raises(InputError, match="frames"):
        AttentionSpeech(frames=3)
