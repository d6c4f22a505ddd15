"""The optimiser's update as fused kernel and as eager tensor operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.ops import Gather
from sim.workload.records import Numerics, OptimizerName, Parameter
from sim.workload.update import parameter_update, update_ops

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


def test_lars_reads_weights_and_gradients_for_their_norms() -> None:
    """Momentum streams 2 + 2·8 + 2 bytes; the norms of bf16 gradients and fp32 weights 6; 4 FLOPs on top of 6."""
    lars = replace(MIXED, optimizer=OptimizerName.LARS)
    assert _bytes(lars) == pytest.approx(2 + 2 * 8 + 2 + 6)
    assert sum(op.flops for op in update_ops(1.0, lars)) == 10.0


def test_lamb_writes_its_term_and_reads_it_twice() -> None:
    """Phase 1: g 2, m, v and w read 12, m, v and the term written 12; norms 8; phase 2: term and w read 8, w and
    its copy written 6."""
    lamb = replace(MIXED, optimizer=OptimizerName.LAMB)
    assert _bytes(lamb) == pytest.approx(2 + 12 + 12 + 8 + 8 + 6)
    assert sum(op.flops for op in update_ops(1.0, lamb)) == 12 + 2 + 4 + 2


def test_adagrad_touches_the_rows_of_a_table_and_their_sums() -> None:
    """Dense: gradient 2, sum and weight 4 + 4 read and written, copy 2 bytes; v += g²; w −= η·g/(√v + ε): 2 + 5 FLOPs.
    Of a table of 1,000 rows of 8 only the 10 touched, each with its sum of squares beside it: twice SGD's bytes.
    """
    adagrad = Numerics("fp32", "fp32", "fp32", "fp32", None, optimizer=OptimizerName.ADAGRAD)
    assert _bytes(replace(MIXED, optimizer=OptimizerName.ADAGRAD)) == pytest.approx(2 + 2 * 8 + 2)
    assert sum(op.flops for op in update_ops(1.0, adagrad)) == 7.0
    table = Parameter("table", 8000.0, "data", 10, 8)
    (rows,), (plain,) = (
        parameter_update(table, replace(adagrad, optimizer=rule)) for rule in (OptimizerName.ADAGRAD, OptimizerName.SGD)
    )
    assert isinstance(rows, Gather)
    assert isinstance(plain, Gather)
    assert rows.bytes_read == 2 * plain.bytes_read == 2 * 2 * 10 * 8 * 4
