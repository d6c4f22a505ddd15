"""The Transformer family: counts, FLOPs, saved activations, sharding, against published formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.ops import Attention, Collective, Gather, Gemm, Pointwise
from sim.workload.records import AttentionKernel, Layer, Numerics, Shard
from sim.workload.transformer import Block, Transformer, expand

PLAIN = Numerics(attention="plain")


def gpt(**changes: Any) -> Transformer:
    sizes: dict[str, Any] = {"hidden": 1024, "depth": 6, "heads": 16, "vocabulary": 51200, "sequence": 512}
    sizes["dropout"] = True
    return Transformer(**{**sizes, **changes})


def block(layers: tuple[Layer, ...]) -> Layer:
    return next(layer for layer in layers if layer.kind == "block")


def model_flops(layers: tuple[Layer, ...]) -> tuple[float, float]:
    """FLOPs of the matrix products of a pass, forward and backward."""
    kinds = (Gemm, Attention)
    ways = ([op for op in layer.forward if isinstance(op, kinds)] for layer in layers)
    back = ([op for op in layer.backward if isinstance(op, kinds)] for layer in layers)
    counts = [layer.count for layer in layers]
    forward = sum(n * sum(op.flops for op in ops) for n, ops in zip(counts, ways, strict=True))
    backward = sum(n * sum(op.flops for op in ops) for n, ops in zip(counts, back, strict=True))
    return forward, backward


@given(
    depth=st.integers(1, 20),
    heads=st.integers(1, 12),
    head_dim=st.sampled_from([40, 64, 96, 128]),
    sequence=st.integers(1, 64),
    vocabulary=st.integers(1, 100_000),
)
@settings(max_examples=30, deadline=None)
def test_training_flops_follow_narayanan(depth: int, heads: int, head_dim: int, sequence: int, vocabulary: int) -> None:
    """72·s·l·h²·(1 + s/6h + V/12lh) per sample (Narayanan et al. 2021, appendix, without recompute)."""
    s, h = 32 * sequence, heads * head_dim
    model = gpt(hidden=h, depth=depth, heads=heads, vocabulary=vocabulary, sequence=s)
    expected = 72 * s * depth * h * h * (1 + s / (6 * h) + vocabulary / (12 * depth * h))
    forward, training = model.flops_per_sample()
    assert training == pytest.approx(expected, rel=1e-12)
    assert forward == pytest.approx(expected / 3, rel=1e-12)


@pytest.mark.parametrize("attention", ["plain", "flash"])
def test_ops_add_up_to_the_model_flops(attention: Any) -> None:
    """Forward products sum to the closed form, backward products to twice it."""
    model = gpt()
    forward, training = model.flops_per_sample()
    ops = model_flops(model.layers(3, Numerics(attention=attention)))
    assert ops[0] == pytest.approx(3 * forward, rel=1e-12)
    assert sum(ops) == pytest.approx(3 * training, rel=1e-12)


@pytest.mark.parametrize("tensor", [1, 2, 8])
@pytest.mark.parametrize("sequence_parallel", [False, True])
def test_tensor_ranks_share_the_flops(tensor: int, sequence_parallel: bool) -> None:
    """Each of t ranks runs 1/t of every product: no product is replicated."""
    model = gpt()
    ops = model_flops(model.layers(2, PLAIN, Shard(tensor, sequence_parallel)))
    assert sum(ops) * tensor == pytest.approx(2 * model.flops_per_sample()[1], rel=1e-12)


@given(
    b=st.integers(1, 4),
    t=st.sampled_from([1, 2, 4, 8]),
    heads=st.sampled_from([8, 16, 24]),
    sequence=st.sampled_from([512, 2048]),
)
@settings(max_examples=30, deadline=None)
def test_saved_activations_follow_korthikanti(b: int, t: int, heads: int, sequence: int) -> None:
    """Table 2 of Korthikanti et al. 2022: bytes kept per block, every technique, 16-bit activations."""
    h, s, a = 64 * heads, sequence, heads
    model = gpt(hidden=h, heads=heads, sequence=s)
    sbh = float(s * b * h)
    tensor = block(model.layers(b, PLAIN, Shard(t))).saved_bytes
    both = block(model.layers(b, PLAIN, Shard(t, sequence_parallel=True))).saved_bytes
    assert tensor["none"] == pytest.approx(sbh * (10 + 24 / t + 5 * a * s / (h * t)), rel=1e-12)
    assert both["none"] == pytest.approx(sbh / t * (34 + 5 * a * s / h), rel=1e-12)
    assert tensor["selective"] == pytest.approx(sbh * (10 + 24 / t), rel=1e-12)
    assert both["selective"] == pytest.approx(sbh * 34 / t, rel=1e-12)
    assert tensor["full"] == 2 * sbh


def test_head_and_embedding_keep_what_korthikanti_counts() -> None:
    """Outside the blocks: sbh/t of dropout mask, and 4sbh/t·(1 + v/h) of norm, logits product and fp32 logits."""
    model = gpt()
    s, h, v, b, t = 512, 1024, 51200, 3, 4
    layers = model.layers(b, PLAIN, Shard(t, sequence_parallel=True))
    assert layers[0].saved_bytes["full"] == s * b * h / t
    assert layers[-1].saved_bytes["none"] == pytest.approx(4 * s * b * h / t * (1 + v / h), rel=1e-12)


def test_flash_attention_keeps_no_scores() -> None:
    """Flash attention keeps one fp32 number per head and query instead of 5 bytes per score."""
    kept = block(gpt().layers(1, Numerics())).saved_bytes
    assert kept["none"] == 34 * 512 * 1024 + 4 * 16 * 512


def test_full_recompute_runs_the_forward_again_and_selective_only_the_core() -> None:
    """Full: FLOPs of one more forward pass; selective: the 4·b·s²·h of scores and context."""
    found = block(gpt().layers(2, PLAIN))
    assert found.recompute["full"] == found.forward
    core = sum(op.flops for op in found.recompute["selective"] if isinstance(op, Gemm))
    assert core == 4 * 2 * 512**2 * 1024
    assert found.recompute["none"] == ()


def test_tensor_parallel_collectives_are_those_of_megatron() -> None:
    """2 + 2 all-reduces per block; with sequence parallelism gathers and scatters, and 2 gathers more backward."""
    plain = block(gpt().layers(1, PLAIN, Shard(4)))
    assert [op.kind for op in plain.forward if isinstance(op, Collective)] == ["all_reduce"] * 2
    assert [op.kind for op in plain.backward if isinstance(op, Collective)] == ["all_reduce"] * 2
    split = block(gpt().layers(1, PLAIN, Shard(4, sequence_parallel=True)))
    kinds = sorted(op.kind for op in split.forward if isinstance(op, Collective))
    assert kinds == ["all_gather"] * 2 + ["reduce_scatter"] * 2
    kinds = sorted(op.kind for op in split.backward if isinstance(op, Collective))
    assert kinds == ["all_gather"] * 4 + ["reduce_scatter"] * 2
    assert {op.bytes for op in split.forward if isinstance(op, Collective)} == {2.0 * 512 * 1024}


def test_context_parallel_exchanges_keys_and_values() -> None:
    """Every rank receives K and V of the whole sequence forward and backward, and scatters their gradients."""
    model = gpt(kv_heads=4)
    found = block(model.layers(2, Numerics(), Shard(tensor=2, context=4)))
    buffer = 2 * 512 * 2 * (4 // 2) * 64 * 2
    exchanges = [op for op in (*found.forward, *found.backward) if isinstance(op, Collective) and op.axis == "context"]
    assert [op.kind for op in exchanges] == ["all_gather", "all_gather", "reduce_scatter"]
    assert {op.bytes for op in exchanges} == {buffer}
    ops = model_flops(model.layers(2, Numerics(), Shard(tensor=2, context=4)))
    assert sum(ops) * 8 == pytest.approx(2 * model.flops_per_sample()[1], rel=1e-12)


def test_a_ring_passes_gradients_with_keys_and_values_and_merges_in_fp32() -> None:
    """Twice the buffer comes by in backward; 3 partial outputs of 2·128 tokens and half of the heads are added to
    an fp32 sum: bf16 and the sum read, the sum written, forward as backward."""
    found = block(gpt(kv_heads=4).layers(2, Numerics(), Shard(tensor=2, context=4, ring=True)))
    buffer = 2 * 512 * 2 * (4 // 2) * 64 * 2
    ops = (*found.forward, *found.backward)
    exchanges = [op for op in ops if isinstance(op, Collective) and op.axis == "context"]
    assert [(op.kind, op.bytes, op.overlap) for op in exchanges] == [
        ("all_gather", buffer, True),
        ("all_gather", 2 * buffer, True),
    ]
    merges = [op for op in ops if op.name.startswith("attention.merge")]
    elements = 3 * 2 * 128 * (16 * 64 // 2)
    assert [(op.reads, op.writes) for op in merges] == [(elements * 6, elements * 4)] * 2


def test_head_sizes_off_the_tile_stay_in_the_shapes() -> None:
    """177B-style heads of 80 on 4 ranks: batch = sub_batch·heads/t, k = head size, unpadded."""
    found = block(gpt(hidden=1280, heads=16).layers(3, PLAIN, Shard(4)))
    scores = next(op for op in found.forward if op.name == "attention.scores")
    assert isinstance(scores, Gemm)
    assert (scores.batch, scores.m, scores.n, scores.k) == (12, 512, 512, 80)


@pytest.mark.parametrize("shard", [Shard(), Shard(4), Shard(4, True), Shard(2, True, 2)])
def test_parameters_of_the_ranks_sum_to_the_model(shard: Shard) -> None:
    """t ranks hold the tensor-split weights once and the norms t times."""
    model = gpt()
    held = sum(layer.count * layer.parameter_elements for layer in model.layers(1, PLAIN, shard))
    replicated = 512 * 1024 + model.depth * (2 * 2 * 1024 + 2 * 1024) + 2 * 1024
    assert (held - replicated) * shard.tensor + replicated == pytest.approx(model.parameters, rel=1e-12)


def test_unfused_pointwise_streams_more() -> None:
    """Unfused kernels run the same products and move more bytes."""
    model = gpt(activation="swiglu", norm="rms")
    fused, unfused = (block(model.layers(1, Numerics(fused=flag))) for flag in (True, False))
    moved = [sum(op.bytes_read + op.bytes_written for op in found.forward) for found in (fused, unfused)]
    assert moved[1] > 1.2 * moved[0]
    assert model_flops((fused,)) == model_flops((unfused,))


def test_tensorflow_1_takes_every_op_by_itself() -> None:
    """Elements read and written by the ops of nn.moments with nn.batch_normalization (a norm), nn.dropout, nn.softmax
    and their gradients, as a reader of TensorFlow 1.15 counts them; XLA fuses them again."""
    sizes = {"hidden": 64, "depth": 1, "heads": 4, "ffn": 256, "vocabulary": 128, "sequence": 32}
    model = Transformer(**sizes, dropout=True, activation_dropout=True)
    eager = Numerics("fp32", "fp32", "fp32", "fp32", None, fused=False, attention=AttentionKernel.PLAIN)
    rows, scores = 2 * 32, 2 * 4 * 32 * 32
    counted = {
        "attention.norm": 15 * rows * 64, "attention.norm.backward": 35 * rows * 64,
        "attention.dropout": 8.5 * scores, "attention.dropout.backward": 5 * scores,
        "mlp.dropout": 8.5 * rows * 256, "mlp.dropout.backward": 5 * rows * 256,
        "attention.softmax": 4 * scores, "attention.softmax.backward": 9 * scores,
    }  # fmt: skip
    layer = block(model.layers(2, replace(eager, shape_ops=True), Shard()))
    moved: dict[str, float] = {}
    for op in (*layer.forward, *layer.backward):
        kernel = max((name for name in counted if f"{op.name}.".startswith(f"{name}.")), key=len, default="")
        if isinstance(op, Pointwise):
            moved[kernel] = moved.get(kernel, 0.0) + (op.bytes_read + op.bytes_written) / 4
    for name, elements in counted.items():
        assert moved[name] == pytest.approx(elements), name
    fused = replace(eager, fused=True)
    assert model.layers(2, replace(fused, shape_ops=True), Shard()) == model.layers(2, fused, Shard())


def test_equal_blocks_are_built_once() -> None:
    """A model of 100 equal blocks is embedding, one block with its count, head."""
    deep, shallow = (expand.__wrapped__(gpt(depth=depth), 1, PLAIN, Shard(8, True)) for depth in (100, 1))
    assert [layer.count for layer in deep] == [1, 100, 1]
    assert replace(deep[1], count=1) == shallow[1]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"heads": 12}, "must divide hidden = 1024"),
        ({"vocabulary": 0}, "vocabulary: must be at least 1"),
        ({"kv_heads": 3}, "must divide heads = 16"),
        ({"experts": 4, "top_k": 5}, "between 1 and experts"),
        ({"depth": -1, "sequence": 0}, "sequence"),
    ],
)
def test_impossible_sizes_are_named(sizes: dict[str, int], words: str) -> None:
    """A size that cannot be is an InputError that names field, rule and value."""
    with pytest.raises(InputError, match=words):
        gpt(**sizes)


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        (Shard(tensor=3), "tensor: must divide heads = 16, got 3"),
        (Shard(context=3), "context: must divide sequence = 512"),
        (Shard(expert=2), "expert: needs a model with experts"),
    ],
)
def test_impossible_degrees_are_named_with_their_neighbours(shard: Shard, words: str) -> None:
    """A degree that does not divide what it cuts is refused, with the nearest that do."""
    with pytest.raises(InputError, match=words):
        gpt().layers(1, PLAIN, shard)


@pytest.mark.parametrize("parameters", [1e8, 1.3e9, 7e9, 175e9, 2.38e13])
def test_sized_models_hit_the_count(parameters: float) -> None:
    """A projected parameter count is met within 2.5 %, with width a multiple of the head size."""
    model = Transformer.sized(parameters)
    assert model.parameters == pytest.approx(parameters, rel=0.025)
    assert model.hidden % model.head_dim == 0


def test_sized_keeps_what_is_fixed() -> None:
    """Only the free size moves."""
    assert Transformer.sized(175e9, hidden=12288, heads=96).depth == 96
    assert Transformer.sized(175e9, depth=96).hidden == 12288


@given(
    kind=st.sampled_from(["decoder", "encoder", "encoder_decoder"]),
    extra=st.sampled_from(
        [
            {},
            {"positions": "rotary", "qk_norm": True, "sandwich_norm": True},
            {"positions": "relative", "relative_buckets": 32},
            {"kv_rank": 32, "q_rank": 48, "head_dim": 48, "v_head_dim": 32, "rotary_dim": 16, "positions": "rotary"},
            {"transform": True, "embedding_norm": True, "final_norm": False, "predictions": 16},
            {"classes": 2},
            {"window": 32},
        ]
    ),
    activation=st.sampled_from(["gelu", "relu", "swiglu", "geglu"]),
    shard=st.sampled_from([Shard(), Shard(2, True), Shard(4, True, 2), Shard(1, False, 4)]),
    compute=st.sampled_from(["fp32", "bf16", "fp8"]),
    fused=st.booleans(),
    attention=st.sampled_from(["plain", "flash"]),
)
@settings(max_examples=50, deadline=None)
def test_every_variant_adds_up(
    kind: Any, extra: Any, activation: Any, shard: Shard, compute: Any, fused: bool, attention: Any
) -> None:
    """Any variant on any shard: products of all ranks sum to the closed form, ops move bytes, weights are all held."""
    sizes: dict[str, Any] = {
        "kind": kind,
        "activation": activation,
        "sequence": 64,
        "encoder_sequence": 128,
        "depth": 2,
    }
    model = gpt(**(sizes | {"hidden": 256, "heads": 8, "vocabulary": 1024} | extra))
    numerics = Numerics(compute=compute, fused=fused, attention=attention)
    layers = model.layers(2, numerics, shard)
    ranks = shard.tensor * shard.context
    if not model.classes:  # a classifier is replicated over the tensor ranks
        assert sum(model_flops(layers)) * ranks == pytest.approx(2 * model.flops_per_sample()[1], rel=1e-12)
    for layer in layers:
        moved = [op.bytes_read + op.bytes_written for op in (*layer.forward, *layer.backward)]
        assert sum(moved) > 0
        assert layer.saved_bytes["none"] >= layer.saved_bytes["selective"] >= layer.saved_bytes["full"] >= 0
    held = sum(layer.count * layer.parameter_elements for layer in layers)
    assert model.parameters / shard.tensor <= held * (1 + 1e-12)


def test_sized_respects_grouped_heads_and_refuses_what_is_fixed() -> None:
    """Width grows by a head per key-value head; with width and depth given there is nothing to solve."""
    model = Transformer.sized(8e9, kv_heads=8, activation="swiglu", norm="rms", bias=False, tied=False)
    assert model.heads % 8 == 0
    assert model.parameters == pytest.approx(8e9, rel=0.05)
    with pytest.raises(InputError, match="nothing is left to solve"):
        Transformer.sized(8e9, hidden=4096, depth=32)


def test_ranks_beyond_the_key_value_heads_keep_copies() -> None:
    """Two key-value heads on eight ranks: each rank holds one head's keys and values, and projects to it."""
    block_of = block(gpt(kv_heads=2, bias=False).layers(1, Numerics(), Shard(8)))
    attention = next(p.elements for p in block_of.parameters if p.name == "attention")
    assert attention == 2 * 1024 * 1024 / 8 + 1024 * 2 * 64
    projection = next(op for op in block_of.forward if op.name == "attention.qkv")
    assert isinstance(projection, Gemm)
    assert projection.n == 1024 // 8 + 2 * 64


@pytest.mark.parametrize(("sub_batch", "tensor", "kernels"), [(1, 4, 1), (2, 8, 1), (1, 8, 5)])
def test_the_fused_softmax_takes_four_matrices_of_scores_at_a_time(sub_batch: int, tensor: int, kernels: int) -> None:
    """16 heads: 4 a rank over 4 ranks, 2 over 8, where one sample is normalised in five fp32 passes (Megatron-LM)."""
    model = Transformer(hidden=1024, depth=2, heads=16, vocabulary=51200, sequence=1024)
    layers = model.layers(sub_batch, Numerics(attention="plain"), Shard(tensor=tensor))
    names = ("widen", "scale", "mask", "softmax", "narrow")
    block = next(layer for layer in layers if layer.kind == "block")
    assert sum(op.name in [f"attention.{name}" for name in names] for op in block.forward) == kernels


@pytest.mark.parametrize(
    ("sizes", "rule"),
    [
        ({"rotary_dim": 65}, "rotary_dim: cannot exceed head_dim = 64"),
        ({"cutoffs": (1000, 51200)}, "cutoffs: must rise between 0 and vocabulary"),
        ({"cutoffs": (2000, 1000)}, "cutoffs: must rise"),
        ({"experts": 4, "dense_layers": 7}, "dense_layers: cannot exceed depth = 6"),
        ({"q_rank": -1}, "q_rank: must be at least 0"),
        ({"depth": 800_000_000}, "depth: must be at most 65536"),
        ({"sequence": 10**308}, "sequence: must be at most"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, Any], rule: str) -> None:
    """Each with the bound it breaks."""
    with pytest.raises(InputError, match=rule):
        gpt(**sizes)


@pytest.mark.parametrize(("window", "memory"), [(512, 0), (600, 0), (128, 0), (511, 0), (200, 128), (700, 128)])
def test_a_window_keeps_causality(window: int, memory: int) -> None:
    """Query i sees min(i + memory, window) keys: summed up here; a window as long as the sequence is none."""
    block_of = block(gpt(window=window, memory=memory, positions="rotary").layers(1, Numerics()))
    (core,) = [op for op in block_of.forward if isinstance(op, Attention)]
    pairs = sum(min(i + memory + 0.5, window) for i in range(512))
    assert core.executed_flops == pytest.approx(4 * 16 * 64 * pairs, rel=1e-3)
    if window >= 512 and not memory:
        (full,) = [op for op in block(gpt(positions="rotary").layers(1, Numerics())).forward if op.name == core.name]
        assert full == core


def test_an_embedding_is_scattered_once() -> None:
    """Backward adds each token's row into the table once: tokens rows read as gradient, and as table read and written
    (3·tokens·hidden elements of 2 bytes)."""
    embedding = gpt().layers(3, Numerics())[0]
    (scatter,) = [op for op in embedding.backward if isinstance(op, Gather)]
    assert scatter.scatter
    assert scatter.bytes_read + scatter.bytes_written == 3 * (3 * 512 * 1024) * 2


def test_blocks_are_counted_as_they_are_laid_out() -> None:
    """Runs add up to the counts, however experts alternate (brute force over the blocks)."""
    for first, every, depth in [(0, 1, 5), (3, 1, 7), (2, 3, 11), (1, 2, 6), (0, 4, 3)]:
        model = gpt(depth=depth, experts=4, dense_layers=first, moe_every=every)
        mixed = [i >= first and (i - first) % every == every - 1 for i in range(depth)]
        assert [block.experts for block, count in model.runs() for _ in range(count)] == mixed
        assert model.block_counts()[Block("decoder", True)] == sum(mixed)


@pytest.mark.parametrize("window", [512, 600, 128, 200, 511])
def test_a_chunk_sees_itself_alone(window: int) -> None:
    """Query i sees the i mod window keys before it, and itself half: summed up here (Llama 4's blocks)."""
    block_of = block(gpt(window=window, chunked=True, positions="rotary").layers(1, Numerics()))
    core = next(op for op in block_of.forward if isinstance(op, Attention))
    pairs = sum(i % window + 0.5 for i in range(512))
    assert core.unmasked * core.q_len * core.kv_len == pytest.approx(pairs)
    for wrong in ({}, {"window": 64, "memory": 64}):
        with pytest.raises(InputError, match="chunked: "):
            gpt(chunked=True, **wrong)


def test_blocks_in_a_window_alternate_with_blocks_that_see_everything() -> None:
    """Five in a window and one without (Gemma 3): scores are 2·2·heads·s·keys·d FLOPs forward, keys the window or the
    sequence; runs, counts and layers hold the same blocks, and only the scores differ."""
    whole, local = gpt(depth=14), gpt(depth=14, window=64)
    mixed = gpt(depth=14, window=64, global_every=6)
    wide = [not block.local for block, count in mixed.runs() for _ in range(count)]
    assert wide == [(i + 1) % 6 == 0 for i in range(14)]
    assert mixed.block_counts() == {Block("decoder", False, True): 12, Block("decoder", False, False): 2}
    assert mixed.parameters == whole.parameters
    forward = [model.flops_per_sample()[0] for model in (whole, local, mixed)]
    assert forward[2] == pytest.approx((2 * forward[0] + 12 * forward[1]) / 14, rel=1e-12)
    saved = 2 * 2.0 * mixed.heads * mixed.sequence * (mixed.sequence - 64) * mixed.head_dim
    assert forward[0] - forward[2] == pytest.approx(12 * saved, rel=1e-12)
    names = [(layer.name, layer.count) for layer in mixed.layers(1, Numerics())[1:-1]]
    assert [count for _, count in names] == [5, 1, 5, 1, 2]
    assert len({name for name, _ in names}) == 2
    with pytest.raises(InputError, match="global_every: tells blocks with a window apart"):
        gpt(global_every=6)


def test_the_fullest_moment_of_a_block_is_what_a_reader_adds_up() -> None:
    """Flash attention, bias, dropout, one device, in units of s·b·h elements of 2 bytes.

    At the backward pass of the last product the block still keeps all but its last mask (½), and has the gradients of
    the residual stream (1), of the branch behind the dropout (1) and of the product's input (4): 5½ more than it keeps
    in all.  One moment later 4½: the product's input (4) is free, the gradient of GELU's input (4) there, that of the
    branch (1) gone.  Attention's moments are smaller: what the feed-forward part kept is free by then.
    """
    found = block(gpt().layers(2, Numerics()))
    unit = 2.0 * 2 * 512 * 1024
    assert found.workspace_bytes == pytest.approx(5.5 * unit)


@pytest.mark.parametrize(
    ("number", "stored"), [("fp8", 1.0), ("mxfp8", 1 + 1 / 32), ("mxfp4", 0.5 + 1 / 32), ("nvfp4", 0.5 + 1 / 16)]
)
def test_operands_are_quantised_along_either_side(number: Any, stored: float) -> None:
    """Activations in 16 bits: a pass reads 2 B and writes the operand twice (as it is and transposed), scales with it;
    the product reads it with its scales and counts the FLOPs of any format."""
    layer = block(gpt().layers(1, Numerics(compute=number)))
    cast = next(op for op in layer.forward if op.name == "mlp.up.cast")
    product = next(op for op in layer.forward if op.name == "mlp.up")
    assert isinstance(cast, Pointwise)
    assert isinstance(product, Gemm)
    assert (cast.reads / cast.elements, cast.writes / cast.elements) == (2.0, pytest.approx(2 * stored))
    assert product.bytes_read == pytest.approx((product.m + product.n) * product.k * stored)
    assert product.flops == 2.0 * product.m * product.n * product.k
