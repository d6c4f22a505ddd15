"""A plain list of ops as a workload."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.ops import Gemm
from sim.workload.expand import PLAIN_FP32
from sim.workload.oplist import OpList
from sim.workload.records import Numerics

MLP = ({"kind": "gemm", "name": "hidden", "m": 1, "n": 64, "k": 32},
       {"kind": "pointwise", "name": "relu", "elements": 64, "reads": 256, "writes": 256})  # fmt: skip


def test_forward_scales_with_the_batch_and_backward_has_two_products() -> None:
    """2mnk forward; data and weight gradient backward, each as many FLOPs; n·k parameters."""
    model = OpList(MLP)
    assert model.parameters == 64 * 32
    (layer,) = model.layers(8, PLAIN_FP32)
    products = [op for op in (*layer.forward, *layer.backward) if isinstance(op, Gemm)]
    assert [(g.m, g.n, g.k) for g in products] == [(8, 64, 32), (8, 32, 64), (32, 64, 8)]
    forward, training = model.flops_per_sample()
    assert (forward, training) == (2 * 64 * 32 + 64, 3 * (2 * 64 * 32 + 64))
    assert model.layers(1, Numerics())[0].forward[0].format == "bf16"


def test_everything_wrong_is_reported_at_once() -> None:
    """Unknown kinds, unknown fields, missing and negative sizes, each with its place in the list."""
    with pytest.raises(InputError) as caught:
        OpList(
            ({"kind": "gem"}, {"kind": "gemm", "m": 1}, {"kind": "gemm", "m": 1, "n": 2, "k": -3}, {**MLP[0], "p": 1})
        )
    assert [problem.path for problem in caught.value.problems] == ["ops[0].kind", "ops[1]", "ops[2].k", "ops[3]"]
