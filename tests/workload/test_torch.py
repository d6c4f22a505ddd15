"""FLOPs against torch's FlopCounterMode, where torch is installed: an independent counter on a real module."""

from __future__ import annotations

from typing import Any

import pytest

from sim.workload.transformer import Transformer

torch: Any = pytest.importorskip("torch")
flop_counter: Any = pytest.importorskip("torch.utils.flop_counter")


def counted(step: Any) -> float:
    """FLOPs torch counts in a step."""
    with flop_counter.FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


@pytest.mark.parametrize("gated", [False, True])
def test_decoder_flops_agree_with_torch(gated: bool) -> None:
    """Forward and backward of blocks and logits within 1 % of the closed form."""
    h, depth, heads, ffn, vocabulary, s, b = 128, 2, 4, 384, 500, 64, 2
    linear = torch.nn.Linear
    blocks = [
        (linear(h, 3 * h), linear(h, h), linear(h, 2 * ffn if gated else ffn), linear(ffn, h)) for _ in range(depth)
    ]
    head, table = linear(h, vocabulary, bias=False), torch.nn.Embedding(vocabulary, h)

    def step() -> None:
        x = table(torch.zeros(b, s, dtype=torch.long))
        for qkv, out, up, down in blocks:
            q, k, v = (t.view(b, s, heads, -1).transpose(1, 2) for t in qkv(x).chunk(3, -1))
            scores = (q @ k.transpose(-1, -2)).softmax(-1)
            x = x + out((scores @ v).transpose(1, 2).reshape(b, s, h))
            y = up(x)
            if gated:
                gate, value = y.chunk(2, -1)
                y = torch.nn.functional.silu(gate) * value
            x = x + down(y if gated else torch.relu(y))
        head(x).sum().backward()

    model = Transformer(
        hidden=h, depth=depth, heads=heads, ffn=ffn, vocabulary=vocabulary, sequence=s,
        activation="swiglu" if gated else "relu",
    )  # fmt: skip
    assert counted(step) == pytest.approx(b * model.flops_per_sample()[1], rel=0.01)
