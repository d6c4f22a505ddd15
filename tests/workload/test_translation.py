"""The attention encoder–decoder for translation against the paper and its authors' graph analyser."""

from __future__ import annotations

import pytest

from sim.ops import total_bytes, total_flops
from sim.workload.expand import PLAIN_FP32, minimal_footprint
from sim.workload.translation import AttentionNmt
from tests.workload.steps import CLIPPED, by_type, step_ops
from tests.workload.test_recurrent import counts


def test_parameters() -> None:
    """33h² + 3hv + 12h; the analyser also counts the step number."""
    model = AttentionNmt(unroll=19)
    assert model.parameters == counts("NMT")["params"] - 1
    assert sum(layer.parameter_elements for layer in model.layers(1, PLAIN_FP32)) == model.parameters
    deep = AttentionNmt(encoder_layers=3, decoder_layers=2, hidden=64, vocabulary=100)
    assert sum(layer.parameter_elements for layer in deep.layers(1, PLAIN_FP32)) == deep.parameters


def test_flops_and_bytes_of_a_step() -> None:
    """FLOPs within 0.5 %, bytes within 10 % (7 % below: dropout of the authors' graph is left out)."""
    ops = step_ops(AttentionNmt(unroll=19), 128, CLIPPED)
    known = counts("NMT")
    assert total_flops(ops) == pytest.approx(known["flops_per_step"], rel=0.005)
    assert total_bytes(ops) == pytest.approx(known["bytes_per_step"], rel=0.10)
    assert set(by_type(ops)) == {"Gemm", "Pointwise", "Gather"}


def test_frontier_against_table_2() -> None:
    """At h = 22350 the analyser gives 259.6 TFLOP and 10.60 TB; Table 2 (149, 533 + 22653·b/√p) fits within 5 and 10 %.

    Table 3 prints 499 TFLOP: the same model unrolled over 50 steps instead of 26 (a known mismatch of the paper).
    """
    model = AttentionNmt(hidden=22350)
    ops = step_ops(model, 96)
    p = model.parameters
    assert total_flops(ops) == pytest.approx(259.6e12, rel=0.005)
    assert total_bytes(ops) == pytest.approx(10.60e12, rel=0.05)
    assert total_flops(ops) / 96 / p == pytest.approx(149, rel=0.05)
    assert total_bytes(ops) / p == pytest.approx(533 + 22653 * 96 / p**0.5, rel=0.10)
    longer = AttentionNmt(hidden=22350, unroll=50)
    assert total_flops(step_ops(longer, 96)) == pytest.approx(499e12, rel=0.01)


@pytest.mark.parametrize(
    ("hidden", "known", "within"), [(8298, 27.04e9, 0.1), (12350, 57.68e9, 0.1), (4571, 9.06e9, 0.13)]
)
def test_minimal_footprint(hidden: int, known: float, within: float) -> None:
    """Within 10 % of the analyser at b = 96, q = 26; 12 % above at the smallest size, where activations weigh more
    and the analyser, which sees a loop body once, counts fewer of them."""
    assert minimal_footprint(AttentionNmt(hidden=hidden), 96).total == pytest.approx(known, rel=within)


def test_frontier_footprint_against_table_2() -> None:
    """10.32 B per parameter (10 %)."""
    model = AttentionNmt(hidden=22350)
    assert minimal_footprint(model, 96).total / model.parameters == pytest.approx(10.32, rel=0.10)


def test_sized() -> None:
    """The width that gives 18.9 billion parameters is near the analyser's 22350."""
    assert AttentionNmt.sized(18.94e9).hidden == pytest.approx(22350, rel=0.001)
