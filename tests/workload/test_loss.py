"""Cross-entropy in passes, PyTorch's, in one kernel, with two metrics logged beside it, and in pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.ops import Gemm, total_flops
from sim.workload.records import Layer, Numerics, Recompute, Shard
from sim.workload.transformer import Transformer

TOKENS, VOCABULARY = 2 * 128, 1000
MODEL = Transformer(hidden=64, heads=4, depth=1, vocabulary=VOCABULARY, sequence=128)


def _head(loss: str) -> Layer:
    numerics = replace(Numerics(), loss=loss)  # type: ignore[arg-type]
    return MODEL.layers(2, numerics)[-1]


def _forward_bytes(head: Layer) -> float:
    return sum((op.bytes_read + op.bytes_written) * op.count for op in head.forward)


def test_logged_metrics_widen_the_logits_and_take_their_softmax_twice() -> None:
    """2 + 4 bytes to widen, 4 + 4 for the log-softmax, for each of two metrics and every logit."""
    added = _forward_bytes(_head("logged")) - _forward_bytes(_head("fused"))
    assert added == pytest.approx(2 * (2 + 4 + 4 + 4) * TOKENS * VOCABULARY)


def test_metrics_keep_nothing_for_backward() -> None:
    """Activations and backward are those of the fused kernel; passes keep fp32 logits."""
    fused, logged, passes = (_head(loss) for loss in ("fused", "logged", "passes"))
    assert logged.saved_bytes == fused.saved_bytes
    assert logged.backward == fused.backward
    assert passes.saved_bytes["none"] - fused.saved_bytes["none"] == pytest.approx(2 * TOKENS * VOCABULARY)


HIDDEN, ROWS, SEQUENCE = 4096, 128256, 8192


def llama_head(loss: str, tensor: int = 1, batch: int = 2) -> Layer:
    """The head of Llama-3 8B for two sequences of 8,192."""
    model = Transformer(
        hidden=HIDDEN, depth=1, heads=32, vocabulary=ROWS, sequence=SEQUENCE, norm="rms", bias=False, tied=False
    )
    return model.layers(batch, Numerics(loss=loss), Shard(tensor))[-1]  # type: ignore[arg-type]


def bytes_a_logit(loss: str) -> float:
    """Kept and transient bytes of the head over its logits, without what has the hidden size."""
    layer = llama_head(loss)
    return (layer.saved(Recompute.NONE) + layer.workspace_bytes) / (2 * SEQUENCE * ROWS)


def test_plain_cross_entropy_takes_twelve_bytes_a_logit() -> None:
    """log-softmax, the gradient of nll_loss and that of log-softmax in fp32: 3 · 4; in one kernel logits and gradient
    in bf16: 2 · 2. Block outputs of 4,096 and their norm add 3 %."""
    assert bytes_a_logit("plain") == pytest.approx(12, rel=0.03)
    assert bytes_a_logit("fused") == pytest.approx(4, rel=0.09)


def test_chunked_cross_entropy_keeps_a_piece_of_the_logits() -> None:
    """128,256 / 4,096 = 32 pieces of 512 tokens: a 32nd of the logits is kept; every product 32 times, all FLOPs the
    same."""
    whole, chunked = llama_head("fused"), llama_head("chunked")
    products = [op for op in (*chunked.forward, *chunked.backward) if isinstance(op, Gemm)]
    assert {(op.count, op.k if op.transposed else op.m) for op in products} == {(32, 512)}
    for way in ("forward", "backward"):
        assert total_flops(getattr(chunked, way)) == pytest.approx(total_flops(getattr(whole, way)))
    logits = 2 * SEQUENCE * ROWS * 2
    saved = [layer.saved(Recompute.NONE) for layer in (whole, chunked)]
    assert saved[0] - saved[1] == pytest.approx(logits * 31 / 32)


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 9))
def test_pieces_cover_all_tokens(tensor: int, batch: int) -> None:
    """No piece more than needed, and none of them empty."""
    layer = llama_head("chunked", tensor, batch)
    tokens = batch * SEQUENCE
    (product,) = (op for op in layer.forward if isinstance(op, Gemm))
    assert tokens <= product.m * product.count < tokens + product.count
