"""Mixtures of experts and latent attention: counts, routing traffic, sharding over experts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sim.errors import InputError
from sim.files.models import preset
from sim.ops import Attention, Collective, Gemm
from sim.workload.records import Layer, Numerics, Shard
from sim.workload.transformer import Transformer

NUMERICS = Numerics()


def mixture(**changes: Any) -> Transformer:
    sizes: dict[str, Any] = {"hidden": 512, "depth": 4, "heads": 8, "ffn": 1024, "vocabulary": 1000, "sequence": 256}
    sizes |= {"activation": "swiglu", "norm": "rms", "bias": False, "experts": 8, "top_k": 2}
    return Transformer(**{**sizes, **changes})


def flops(layers: tuple[Layer, ...]) -> float:
    ops = [(n.count, op) for n in layers for op in (*n.forward, *n.backward)]
    return sum(count * op.flops for count, op in ops if isinstance(op, Gemm | Attention))


@pytest.mark.parametrize("changes", [{}, {"shared_experts": 2}, {"dense_layers": 1}, {"moe_every": 2}])
def test_ops_add_up_to_the_model_flops(changes: dict[str, int]) -> None:
    """Balanced routing without padding: products of the layers sum to the closed form, training three times forward."""
    model = mixture(**changes)
    assert flops(model.layers(4, NUMERICS)) == pytest.approx(4 * model.flops_per_sample()[1], rel=1e-12)


@pytest.mark.parametrize("shard", [Shard(expert=4), Shard(2, True, expert=2), Shard(2, True, 2, 8)])
def test_ranks_share_the_flops(shard: Shard) -> None:
    """With sequence parallelism no product is replicated: t·c ranks of one sub-batch run the whole model."""
    model = mixture()
    ranks = shard.tensor * shard.context
    assert flops(model.layers(4, NUMERICS, shard)) * ranks == pytest.approx(4 * model.flops_per_sample()[1], rel=1e-12)


def test_capacity_factor_pads_the_experts_only() -> None:
    """A factor of 1.25 runs 1.25 times the experts' products; the model's own FLOPs do not move."""
    plain, padded = mixture(), mixture(capacity_factor=1.25)
    assert plain.flops_per_sample() == padded.flops_per_sample()
    experts = 3 * 4 * 4 * 256 * 2 * 2 * 3 * 512 * 1024  # 3 ways, 4 blocks, 4·256 tokens, top 2, 3 matrices
    extra = flops(padded.layers(4, NUMERICS)) - flops(plain.layers(4, NUMERICS))
    assert extra == pytest.approx(0.25 * experts, rel=1e-12)


def test_tokens_travel_twice_each_way() -> None:
    """Dispatch and combine, forward and backward: four all-to-alls of tokens·top_k·hidden elements per block."""
    block = mixture().layers(4, NUMERICS, Shard(expert=8))[1]
    sent = [op for op in (*block.forward, *block.backward) if isinstance(op, Collective)]
    assert [op.kind for op in sent] == ["all_to_all"] * 4
    assert {op.bytes for op in sent} == {4 * 256 * 2 * 512 * 2.0}
    assert {op.axis for op in sent} == {"expert"}


def test_tokens_and_gradients_are_dispatched_in_a_format_of_their_own() -> None:
    """On the way to the experts, forward and backward, in fp8; back in bf16 (DeepSeek-AI 2024, section 3.3.3)."""
    block = mixture().layers(4, Numerics(dispatch="fp8"), Shard(expert=8))[1]
    sent = {op.name: op.bytes for op in (*block.forward, *block.backward) if isinstance(op, Collective)}
    elements = 4 * 256 * 2 * 512
    assert sent["experts.dispatch"] == sent["experts.combine.backward"] == elements
    assert sent["experts.combine"] == sent["experts.dispatch.backward"] == 2 * elements


def test_expert_products_keep_their_shape() -> None:
    """Eight ranks, one expert each: it receives the tokens of all ranks sent to it, 8·tokens·top_k/8."""
    block = mixture().layers(4, NUMERICS, Shard(expert=8))[1]
    up = next(op for op in block.forward if op.name == "experts.up")
    assert isinstance(up, Gemm)
    assert (up.batch, up.m, up.n, up.k) == (1, 4 * 256 * 2, 2 * 1024, 512)


def test_expert_gradients_are_reduced_over_fewer_ranks() -> None:
    """Experts are marked for reduction among the ranks that hold them; the rest over all data ranks."""
    block = mixture().layers(1, NUMERICS, Shard(expert=4))[1]
    axes = {p.name: p.reduce_axis for p in block.parameters}
    assert axes["experts"] == "expert"
    assert axes["attention"] == axes["router"] == "data"
    held = {p.name: p.elements for p in block.parameters}
    assert held["experts"] == 8 / 4 * 3 * 512 * 1024


def test_dense_and_expert_blocks_keep_their_order() -> None:
    """DeepSeek-V3 has three dense blocks, then 58 with experts; every second block alternates."""
    layers = preset("deepseek-v3").layers(1, NUMERICS)
    assert [(n.name, n.count) for n in layers[1:-1]] == [("decoder block", 3), ("decoder block with experts", 58)]
    runs = mixture(moe_every=2).layers(1, NUMERICS)
    assert [(n.name, n.count) for n in runs[1:-1]] == [("decoder block", 1), ("decoder block with experts", 1)] * 2


def test_latent_attention_weighs_less_than_multi_head() -> None:
    """DeepSeek-V2's attention: low-rank projections as printed in its section 2.1.

    Per block h·1536 + 1536·128·192 for the query, h·(512+64) + 512·128·256 for key and value, 128·128·h out, h = 5120.
    """
    block = preset("deepseek-v2").layers(1, NUMERICS)[1]
    weights = {p.name: p.elements for p in block.parameters}
    h = 5120
    assert weights["attention"] == h * 1536 + 1536 * 128 * 192 + h * 576 + 512 * 128 * 256 + 128 * 128 * h


def test_degrees_that_do_not_divide_the_experts_are_refused() -> None:
    """Eight experts over three ranks."""
    with pytest.raises(InputError, match="expert: must divide experts = 8, got 3"):
        mixture().layers(1, NUMERICS, Shard(expert=3))


def test_the_workspace_of_experts_holds_inputs_and_outputs() -> None:
    """Top 2 of 8 experts, swiglu, one device; n = tokens·2 copies of a token, all of 2 bytes.

    At the backward pass of the activation the gradients of its output (n·ffn) and of its input (2n·ffn) are there
    beside that of the residual stream (tokens·h), while what the last product kept (its input, n·ffn) and the experts'
    outputs (n·h, for the gradient of their weights) are free again.  Forward, the outputs stand before and after the
    return of the tokens: n·h beside the kept n·h, and the residual stream tokens·h.
    """
    tokens, h, ffn = 4 * 256, 512, 1024
    block = mixture().layers(4, NUMERICS)[1]
    n = 2 * tokens
    backward = 3 * n * ffn + tokens * h - n * ffn - n * h
    forward = n * h + tokens * h
    assert block.workspace_bytes == pytest.approx(2 * max(backward, forward), rel=1e-3)
    wide = replace(mixture(), ffn=16).layers(4, NUMERICS)[1]
    assert wide.workspace_bytes == pytest.approx(2 * forward)
