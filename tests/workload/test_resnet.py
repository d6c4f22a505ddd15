"""Residual and plain convolutional networks against published counts, the paper, and torch where it is installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.errors import InputError
from sim.ops import total_bytes, total_flops
from sim.workload.expand import PLAIN_FP32
from sim.workload.records import BatchNorm, Numerics
from sim.workload.resnet import STAGES, PlainConvNet, ResNet, Shape
from tests.workload.steps import by_type, step_ops
from tests.workload.test_recurrent import counts

MOMENTUM = replace(PLAIN_FP32, optimizer="momentum")  # what the authors' graphs train with
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}  # torchvision 0.15


@pytest.mark.parametrize("depth", STAGES)
def test_parameters(depth: int) -> None:
    """The published counts exactly; the analyser counts two scalars more."""
    model = ResNet(depth=depth)
    assert model.parameters == PUBLISHED[depth] == counts(f"ResNet-{depth} ")["params"] - 2
    assert sum(layer.parameter_elements for layer in model.layers(1, PLAIN_FP32)) == model.parameters


@pytest.mark.parametrize("depth", STAGES)
def test_flops_and_bytes_of_a_step(depth: int) -> None:
    """FLOPs within 0.5 %, bytes within 10 % at b = 32; that graph holds the data gradient of the first convolution."""
    ops = step_ops(ResNet(depth=depth, input_gradient=True), 32, MOMENTUM)
    known = counts(f"ResNet-{depth} ")
    assert total_flops(ops) == pytest.approx(known["flops_per_step"], rel=0.005)
    assert total_bytes(ops) == pytest.approx(known["bytes_per_step"], rel=0.10)
    assert by_type(ops)["Convolution"][0] > 0.98 * total_flops(ops)


def test_flops_at_the_frontier_against_table_2() -> None:
    """A wide ResNet-101 of 732 M parameters: 1,111 FLOPs per parameter (5 %); ResNet-152: Table 3's 28 TFLOP (5 %)."""
    wide = ResNet.sized(732e6, depth=101)
    assert wide.flops_per_sample()[1] / wide.parameters == pytest.approx(1111, rel=0.05)
    assert ResNet.sized(732e6, depth=152).flops_per_sample()[1] * 32 == pytest.approx(28e12, rel=0.05)


def test_bytes_at_the_frontier_against_table_2() -> None:
    """A wide ResNet-152: 66.7 + 268862·b/√p bytes per parameter (10 %). A ResNet-101, which fits the FLOPs, has a fifth
    fewer bytes: no single depth fits both columns of the paper."""
    found = {}
    for depth in (101, 152):
        model = ResNet.sized(732e6, depth=depth)
        p = model.parameters
        law = 66.7 + 268862 * 32 / p**0.5
        found[depth] = total_bytes(step_ops(model, 32, MOMENTUM)) / p / law
    assert found[152] == pytest.approx(1, abs=0.10)
    assert found[101] == pytest.approx(0.8, abs=0.03)


def test_fused_half_precision_resnet() -> None:
    """fp16 with fused pointwise ops halves and more the bytes; FLOPs stay within 1 %."""
    numerics = Numerics("fp16", "fp16", "fp16", "fp16", "fp32", "momentum")
    plain, half = (step_ops(ResNet(), 8, n) for n in (MOMENTUM, numerics))
    assert total_bytes(half) < 0.5 * total_bytes(plain)
    assert total_flops(half) == pytest.approx(total_flops(plain), rel=0.01)


def test_vgg_parameters_and_flops() -> None:
    """VGG-11: 132,863,336 parameters, VGG-16: 138,357,544 (torchvision); VGG-16 15.47 GMAC forward."""
    assert PlainConvNet().parameters == 132_863_336
    sixteen = PlainConvNet(stages=(2, 2, 3, 3, 3))
    assert sixteen.parameters == 138_357_544
    assert sum(layer.parameter_elements for layer in sixteen.layers(1, PLAIN_FP32)) == sixteen.parameters
    assert sixteen.flops_per_sample()[0] == pytest.approx(2 * 15.47e9, rel=0.01)


def test_unknown_depth_is_refused() -> None:
    """The hint names the depths there are."""
    with pytest.raises(InputError, match="18, 34, 50"):
        ResNet(depth=42)


def test_flops_against_torch() -> None:
    """ResNet-50's convolutions and classifier, forward and backward, equal torch's FLOP counter within 1 %."""
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    model = torchvision.models.resnet50()
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 3, 224, 224)).sum().backward()
    ops = step_ops(ResNet(depth=50), 2)
    ours = sum(total_flops([op]) for op in ops if type(op).__name__ in ("Convolution", "Gemm"))
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_kernels_of_batch_normalisation() -> None:
    """fp16 bytes saved: sums out of the convolution spare one read of every output, and a shortcut of its own is
    normalised in the pass that adds it; normalising while loading spares two tensors and three sign masks of every
    rectified branch; a compiler a fifth of what is left, update included; parameters and FLOPs of products stay.
    """
    model, b = ResNet(depth=50), 4
    streamed = {}
    for kernels in BatchNorm:
        half = Numerics("fp16", "fp16", "fp16", "fp16", batch_norm=kernels)
        layers = model.layers(b, half)
        ops = step_ops(model, b, half)
        streamed[kernels] = by_type(ops)["Pointwise"][1]
        assert sum(layer.parameter_elements for layer in layers) == model.parameters
        assert (
            by_type(ops)["Convolution"]
            == by_type(step_ops(model, b, replace(half, batch_norm="passes")))["Convolution"]
        )
    stem = b * model.stem.side**2 * model.stem.c_out
    blocks = list(model.residual_blocks())
    inner = sum(b * s.side**2 * s.c_out for block in blocks for s in block.branch[:-1])
    ends, cuts = (
        sum(b * s.side**2 * s.c_out for s in shapes if s)
        for shapes in ([k.branch[-1] for k in blocks], [k.shortcut for k in blocks])
    )
    assert streamed["passes"] > streamed["fused"]
    assert streamed["fused"] - streamed["statistics"] == pytest.approx(2 * (stem + inner + ends + 3 * cuts), rel=1e-3)
    assert streamed["statistics"] - streamed["convolution"] == pytest.approx((2 * 2 + 3 / 8) * inner, rel=2e-3)
    assert streamed["compiled"] < 0.8 * streamed["convolution"]


def test_channels_first_costs_copies() -> None:
    """Stored channels first, each of a convolution's three products copies the two tensors it reads, all of them once
    read and once written; the images have no gradient; vector units take either order.
    """
    model, b = ResNet(depth=50), 4
    half = Numerics("fp16", "fp16", "fp16", "fp16")
    streamed = {
        form: by_type(step_ops(model, b, replace(half, memory_format=form)))["Pointwise"][1]
        for form in ("nhwc", "nchw")
    }
    shapes = [s for block in model.residual_blocks() for s in (*block.branch, block.shortcut) if s]
    read = 2.0 * sum(_operands(s, b) for s in shapes)  # x and dy in two products each, the kernel in two
    out, images, kernel = b * 112**2 * 64, b * 224**2 * 3, 7 * 7 * 3 * 64
    read += images + kernel + images + out  # the stem: forward and the gradient of its kernel
    assert streamed["nchw"] - streamed["nhwc"] == pytest.approx(2 * 2 * read)
    single = Numerics("fp32", "fp32", "fp32", "fp32", None)
    assert step_ops(model, b, single) == step_ops(model, b, replace(single, memory_format="nchw"))


def _operands(shape: Shape, b: int) -> float:
    """Elements of what a convolution reads, its result and its kernel."""
    return b * shape.side**2 * (shape.stride**2 * shape.c_in + shape.c_out) + shape.kernel**2 * shape.c_in * shape.c_out
