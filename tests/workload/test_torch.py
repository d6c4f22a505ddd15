"""FLOPs against torch's FlopCounterMode, where torch is installed: an independent counter on a real module."""

from __future__ import annotations

from typing import Any

import pytest

from sim.ops import Convolution, Gemm
from sim.workload.records import Numerics
from sim.workload.resnet import ResNet
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


def test_resnet_flops_agree_with_torch() -> None:
    """ResNet-50 at 64×64: convolutions and classifier, forward and backward, within 1 %."""
    convolve = torch.nn.functional.conv2d
    weights: list[Any] = []

    def conv(x: Any, n: int, k: int, stride: int = 1) -> Any:
        weights.append(torch.zeros(n, x.shape[1], k, k, requires_grad=True))
        return convolve(x, weights[-1], stride=stride, padding=k // 2)

    def step(backward: bool) -> None:
        x = torch.nn.functional.max_pool2d(conv(torch.zeros(1, 3, 64, 64), 64, 7, 2), 3, 2, 1)
        for stage, count in enumerate((3, 4, 6, 3)):
            width = 64 << stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                y = conv(conv(conv(x, width, 1), width, 3, stride), 4 * width, 1)
                x = y + (x if block else conv(x, 4 * width, 1, stride))
        out = x.mean((2, 3)) @ torch.zeros(2048, 1000, requires_grad=True)
        if backward:
            out.sum().backward()

    layers = ResNet(depth=50, image=64).layers(1, Numerics())
    forward = sum(op.flops for layer in layers for op in layer.forward if isinstance(op, Gemm | Convolution))
    backward = sum(op.flops for layer in layers for op in layer.backward if isinstance(op, Gemm | Convolution))
    assert counted(lambda: step(False)) == pytest.approx(forward, rel=0.01)
    assert counted(lambda: step(True)) == pytest.approx(forward + backward, rel=0.01)
