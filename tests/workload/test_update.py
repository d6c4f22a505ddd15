"""The optimiser's update as fused kernel and as eager tensor operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.workload.records import Numerics
from sim.workload.update import update_ops

MIXED = Numerics(gradients="bf16")


def _bytes(numerics: Numerics) -> float:
    return sum(op.bytes_read + op.bytes_written for op in update_ops(1000.0, numerics)) / 1000.0


def test_fused_adam_streams_each_tensor_once() -> None:
    """bf16 gradient read; two moments and the fp32 weight read and written; bf16 copy written: 2 + 3·8 + 2 bytes."""
    assert _bytes(MIXED) == pytest.approx(28.0)


def test_eager_adam_streams_its_operands_in_every_operation() -> None:
    """Clipping 3 gradients; decays 6 tensors; sums into the moments 4 and 2 gradients; root, division, epsilon 6; step
    4; the copy: (3 + 2)·2 + 20·4 + 4 + 2 bytes a weight."""
    assert _bytes(replace(MIXED, eager_update=True)) == pytest.approx((3 + 2) * 2 + (6 + 4 + 6 + 4) * 4 + 4 + 2)


def test_both_compute_the_same() -> None:
    """The FLOPs of an update do not depend on how it is cut into kernels; the eager one has clipped before."""
    clipped = replace(MIXED, clip=True)
    fused, eager = (sum(op.flops for op in update_ops(7.0, replace(clipped, eager_update=e))) for e in (False, True))
    assert eager == pytest.approx(fused)
    assert fused - sum(op.flops for op in update_ops(7.0, MIXED)) == pytest.approx(7.0 * (2.0 + 1.0))


def test_clipping_passes_over_the_gradients_twice() -> None:
    """The norm reads every gradient, the scaling reads and writes it: 3 · 2 bytes a weight in bf16, on top of Adam."""
    assert _bytes(replace(MIXED, clip=True)) == pytest.approx(28.0 + 3 * 2)
