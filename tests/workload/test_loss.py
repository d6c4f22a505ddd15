"""Cross-entropy in passes, in one kernel, and with two metrics logged beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.workload.records import Layer, Numerics
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
