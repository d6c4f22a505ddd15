"""Collectives inside a block: what each rule hides beside which product, and what hiding costs the product."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.ops import Attention, Collective, CollectiveKind, Gemm, Op, Pointwise
from sim.plan.framework import TensorOverlap
from sim.plan.overlap import OverlapRule, exposed

PRODUCT_S, COLLECTIVE_S = 8.0, 6.0


def _collective(kind: CollectiveKind, overlap: bool = False) -> Collective:
    return Collective("c", kind, 1e6, "tensor", "bf16", overlap)


def _added(ops: list[Op], rule: TensorOverlap, ranks: int = 4, share: float = 0.0) -> float:
    return exposed(ops, OverlapRule(rule, ranks, share), lambda _: COLLECTIVE_S, lambda _: PRODUCT_S)[0]


GEMM = Gemm("g", 64, 64, 64)
CAST = Pointwise("cast", 64.0, 64.0, 64.0)


@pytest.mark.parametrize(
    ("ops", "added"),
    [
        ([_collective("all_reduce", overlap=True), GEMM], {"none": 6.0, "gradients": 0.0, "all": 0.0}),
        ([_collective("all_gather"), GEMM], {"none": 6.0, "gradients": 6.0, "all": 0.0}),
        ([_collective("all_gather"), CAST, GEMM], {"none": 6.0, "gradients": 6.0, "all": 0.0}),
        ([GEMM, _collective("reduce_scatter")], {"none": 6.0, "gradients": 6.0, "all": 0.0}),
        ([GEMM, _collective("all_reduce")], {"none": 6.0, "gradients": 6.0, "all": 6.0}),
        ([_collective("all_gather"), CAST], {"none": 6.0, "gradients": 6.0, "all": 6.0}),
    ],
)
def test_what_each_rule_hides(ops: list[Op], added: dict[TensorOverlap, float]) -> None:
    """Input gradients beside the weight gradient; gathers and scatters in pieces only where everything overlaps."""
    assert {rule: _added(ops, rule) for rule in added} == pytest.approx(added)


def test_the_own_piece_hides_nothing() -> None:
    """Over t ranks (t−1)/t of the product covers the gather: 6 − 8·(2−1)/2 s are left on two ranks."""
    assert _added([_collective("all_gather"), GEMM], "all", ranks=2) == pytest.approx(2.0)


def test_a_hidden_collective_takes_compute_units() -> None:
    """With a share c of the units gone the product takes c/(1−c) of the hidden time longer."""
    assert _added([_collective("all_gather"), GEMM], "all", share=0.25) == pytest.approx(6.0 / 3)


@pytest.mark.parametrize(("ranks", "added"), [(2, 2.0), (4, 0.0)])
def test_a_ring_hides_behind_all_attention_but_one_step(ranks: int, added: float) -> None:
    """Of c steps of attention (8 s in all) the last needs no transfer: 6 − 8·(c−1)/c s are left (Liu et al. 2023)."""
    ring = Collective("kv", "all_gather", 1e6, "context", "bf16", overlap=True)
    core = Attention("core", 1, 8, 8, 512, 2048, 64)
    rule = OverlapRule(context=ranks)
    assert exposed([ring, core], rule, lambda _: 9e9, lambda _: 8.0, lambda _: 6.0)[0] == pytest.approx(added)
    whole = replace(ring, overlap=False)
    assert exposed([whole, core], rule, lambda _: 6.0, lambda _: 8.0, lambda _: 9e9)[0] == pytest.approx(6.0)


def test_exchanges_with_experts_hide_behind_another_micro_batch() -> None:
    """All kernels of the block cover them (here 8 of 12 s), which lose 20 of 132 units meanwhile."""
    exchange = Collective("dispatch", "all_to_all", 1e6, "expert", "bf16")
    ops: list[Op] = [exchange, GEMM, exchange]
    plain, axes = exposed(ops, OverlapRule(), lambda _: COLLECTIVE_S, lambda _: PRODUCT_S)
    hidden, same = exposed(ops, OverlapRule(experts=True), lambda _: COLLECTIVE_S, lambda _: PRODUCT_S)
    assert plain == pytest.approx(12.0)
    assert hidden == pytest.approx(12.0 - 8.0 + 8.0 * 20 / 112)
    assert axes == same == {"expert": pytest.approx(12.0)}
