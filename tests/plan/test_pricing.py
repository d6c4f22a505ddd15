"""What a pass of a block runs again, and what collectives beside it cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.network import Communicator
from sim.ops import Gemm
from sim.plan import Plan, StepRecord, prepare
from sim.plan.framework import Framework
from sim.plan.prepare import step_record
from sim.plan.pricing import Pricer, needed


def _backward_flops(plan: Plan) -> float:
    prepared: StepRecord = prepare(model(), plan, NUMERICS, CHIP, Communicator(cluster(plan.devices)))
    block = next(b for b in prepared.stages[0].chunks[0].blocks if b.kind == "block")
    return block.backward.executed_flops


def test_recomputation_that_stops_early_leaves_out_the_last_product() -> None:
    """Of a GPT block's 12·h² weights the second product of the MLP holds 4·h²: 2·tokens·4h² FLOPs are not run again."""
    plan = Plan(4, 4, recompute="full")
    whole, early = (_backward_flops(p) for p in (plan, replace(plan, framework=Framework(recompute_stop=True))))
    assert whole - early == pytest.approx(2 * 4 * 512 * 4 * 1024**2, rel=0.01)


def test_stopping_early_changes_nothing_without_full_recomputation() -> None:
    """Nothing, or only attention, is run again: no product to leave out."""
    for policy in ("none", "selective"):
        plan = Plan(4, 4, recompute=policy)  # type: ignore[arg-type]
        assert _backward_flops(plan) == _backward_flops(replace(plan, framework=Framework(recompute_stop=True)))


def test_ops_after_the_last_product_go_too() -> None:
    """A product in the middle stays, the last one and the sum behind it go; without products everything stays."""
    ops = next(layer.recompute["full"] for layer in model().layers(1, NUMERICS) if layer.kind == "block")
    kept = needed(ops)
    products = [op for op in ops if isinstance(op, Gemm)]
    assert [op for op in kept if isinstance(op, Gemm)] == products[:-1]
    assert kept == ops[: len(kept)]
    plain = tuple(op for op in ops if not isinstance(op, Gemm))
    assert needed(plain) == plain


def test_flattening_gradients_streams_them_before_every_reduction() -> None:
    """Two passes read and write 4 bytes per parameter of a block in every backward pass of sharded gradients."""
    plan = Plan(4, 32, data=8, sharding="full")
    bytes_of = {}
    for passes in (0, 2):
        prepared = prepare(
            model(),
            replace(plan, framework=Framework(gradient_passes=passes)),
            NUMERICS,
            CHIP,
            Communicator(cluster(plan.devices)),
        )
        block = next(b for b in prepared.stages[0].chunks[0].blocks if b.kind == "block")
        bytes_of[passes] = block.backward.dram_bytes
    block_parameters = next(x.parameter_elements for x in model().layers(1, NUMERICS) if x.kind == "block")
    assert bytes_of[2] - bytes_of[0] == pytest.approx(2 * 2 * 4 * block_parameters)


CHANGES = (
    {"sub_batch": 2}, {"recompute": "full"}, {"recompute": "selective"}, {"recompute": "full", "recompute_layers": 3},
    {"sharding": "full"}, {"sequence_parallel": True}, {"order": ("data", "tensor", "context", "pipeline")},
    {"context": 2}, {"tensor": 4, "data": 4}, {"offload": "activations"},
)  # fmt: skip
HABITS = (
    ({"recompute": "full"}, {"recompute_stop": True}), ({"sharding": "optimizer"}, {"gather": "broadcast"}),
    ({}, {"overlap_tensor": "none"}), ({}, {"overlap_tensor": "all"}), ({}, {"overlap_gradients": False}),
    ({"sharding": "full"}, {"gradient_passes": 2}), ({}, {"bucket_bytes": 1e6}), ({}, {"communication_format": "bf16"}),
)  # fmt: skip


def test_a_pricer_that_has_seen_other_plans_answers_as_a_new_one() -> None:
    """What plans share is remembered by all that it depends on: no option is answered by an older plan."""
    plan = Plan(1, 64, data=8, tensor=2)

    def pricer() -> Pricer:
        return Pricer(model(), NUMERICS, CHIP, Communicator(cluster(32, compute_share=0.2)))

    used = pricer()
    before = step_record(used, plan)
    for change, habits in (*((change, {}) for change in CHANGES), *HABITS):
        changed = replace(plan, **change, framework=Framework(**habits))
        assert step_record(used, changed) == step_record(pricer(), changed), (change, habits)
    assert step_record(used, plan) == before
    assert step_record(pricer(), replace(plan, framework=Framework(overlap_tensor="none"))) != before


def test_kernels_of_an_early_compiler() -> None:
    """At half the rate of the chip's constants every kernel takes twice as long, but for the start of it."""
    chip = replace(CHIP, kernel_overhead_s=0.0, cache=replace(CHIP.cache, bandwidth=None))

    def seconds(rate: float) -> float:
        numerics = replace(NUMERICS, kernel_rate=rate)
        return prepare(model(), Plan(4, 4), numerics, chip, Communicator(cluster(1))).stages[0].pass_s

    assert seconds(0.5) == pytest.approx(2.0 * seconds(1.0), rel=1e-9)
