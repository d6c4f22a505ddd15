"""Forward to backward generation, fusion and liveness on graphs small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.ops import Gemm, total_bytes, total_flops
from sim.workload.expand import PLAIN_FP32, minimal_footprint
from sim.workload.liveness import peak
from sim.workload.records import Numerics
from sim.workload.recurrent import HighwayLM, LstmLM
from sim.workload.registry import FAMILIES
from sim.workload.resnet import ResNet
from sim.workload.tape import Tape
from sim.workload.update import update_ops
from tests.workload.steps import step_ops

FUSED = replace(PLAIN_FP32, fused=True)
EAGER = replace(PLAIN_FP32, shape_ops=False)


def chain(numerics: Numerics, width: int = 10, batch: int = 3, depth: int = 2) -> Tape:
    """x → W₁ → W₂ → loss, all square."""
    tape = Tape(numerics)
    tape.section("in")
    x = tape.tensor("x", batch * width, differentiable=False)
    for level in range(depth):
        tape.section(f"layer {level}")
        x = tape.matmul(f"product {level}", (x,), tape.weight(f"w{level}", width, width), batch)
    tape.section("loss", "head")
    tape.cross_entropy("loss", x)
    return tape


def test_backward_of_a_chain() -> None:
    """Two products forward; backward two weight gradients but one data gradient: inputs of the model need none."""
    graph = chain(EAGER).graph()
    names = [node.op.name for section in graph.backward for node in section.nodes]
    assert names == [
        "loss scaled gradient",
        "product 1 data gradient",
        "product 1 weight gradient",
        "product 0 weight gradient",
    ]
    gemms = [n.op for s in graph.sections for n in s.nodes if isinstance(n.op, Gemm)]
    assert all(g.flops == 2 * 3 * 10 * 10 for g in gemms)


def test_liveness_of_a_chain_by_hand() -> None:
    """Peak of two 10×10 layers at batch 3, in elements: at the last weight gradient both gradients (200), the input,
    which nothing makes (30), and the gradient of the middle activation (30) live beside the weights (200)."""
    found = peak(chain(EAGER).graph(), EAGER)
    assert (found.weights, found.gradients, found.activations) == (200 * 4, 200 * 4, 60 * 4)
    immediate = peak(chain(EAGER).graph(), EAGER, held=0)
    # layer 1: its gradient, both layers' inputs, dy and dx
    assert immediate.total == (200 + 100 + 4 * 30) * 4


def test_loop_keeps_one_slice_per_step() -> None:
    """A loop of q steps saves q times what one step saves; its ops carry the count."""
    saved = [LstmLM(hidden=16, vocabulary=50, unroll=q).layers(4, PLAIN_FP32)[1].saved_bytes["none"] for q in (1, 10)]
    assert saved[1] == 10 * saved[0]
    layer = LstmLM(hidden=16, vocabulary=50, unroll=10).layers(4, PLAIN_FP32)[1]
    assert {op.count for op in (*layer.forward, *layer.backward)} == {10}


def test_weight_gradients_of_a_loop_cost_twelve_bytes_more_per_weight_and_step() -> None:
    """fp32: sum read, product read, sum written; inside the product when fused: sum read and written."""
    h, q = 64, 5
    layer = LstmLM(hidden=h, vocabulary=50, unroll=q).layers(4, EAGER)[1]
    kernel = 8 * h * h
    (adding,) = [op for op in layer.backward if op.name.endswith("kernel gradient accumulation")]
    assert (adding.bytes_read + adding.bytes_written) * adding.count == 12 * q * kernel
    fused = LstmLM(hidden=h, vocabulary=50, unroll=q).layers(4, FUSED)[1]
    (product,) = [op for op in fused.backward if op.name.endswith("gates weight gradient")]
    assert isinstance(product, Gemm)
    assert product.accumulate
    assert product.bytes_written == 4 * kernel


@settings(max_examples=25, deadline=None)
@given(h=st.integers(2, 60), q=st.integers(1, 9), b=st.integers(1, 9))
def test_fusing_never_adds_bytes_and_keeps_flops(h: int, q: int, b: int) -> None:
    """Over sizes: fused bytes ≤ eager bytes ≤ bytes with shape ops; FLOPs fall only by sums made inside a product."""
    model = HighwayLM(hidden=h, transitions=2, vocabulary=7, unroll=q)
    ops = [step_ops(model, b, n) for n in (FUSED, EAGER, PLAIN_FP32)]
    moved = [total_bytes(o) for o in ops]
    assert moved[0] <= moved[1] <= moved[2]
    assert total_flops(ops[0]) <= total_flops(ops[1]) <= total_flops(ops[2])


@settings(max_examples=25, deadline=None)
@given(h=st.integers(2, 60), b=st.integers(1, 9))
def test_holding_gradients_longer_never_needs_less(h: int, b: int) -> None:
    """Updated at once ≤ one layer in flight ≤ all held; reuse never raises the peak; a bigger batch never lowers it."""
    model = LstmLM(hidden=h, vocabulary=20, unroll=4)
    peaks = [minimal_footprint(model, b, reuse=True, held=held).total for held in (0, 1, None)]
    assert peaks == sorted(peaks)
    assert peaks[-1] <= minimal_footprint(model, b).total <= minimal_footprint(model, b + 1).total


def test_footprint_by_kind_follows_the_optimiser() -> None:
    """Adam in mixed precision keeps 12 B of state and master copy per weight, plain SGD in fp32 none."""
    model = LstmLM(hidden=32, vocabulary=50, unroll=4)
    assert minimal_footprint(model, 2).optimizer == 0
    assert minimal_footprint(model, 2, Numerics()).optimizer == 12 * model.parameters


def test_update_ops_stream_gradient_state_and_weights() -> None:
    """fp32 SGD 12 B, momentum 20 B, Adam 28 B per weight; mixed-precision Adam 2 + 24 + 2 B."""
    bytes_per_weight = {"sgd": 12, "momentum": 20, "adam": 28}
    for optimizer, expected in bytes_per_weight.items():
        numerics = replace(PLAIN_FP32, optimizer=optimizer)
        assert total_bytes(update_ops(1000, numerics)) == 1000 * expected
    assert total_bytes(update_ops(1000, Numerics())) == 1000 * (2 + 24 + 2)


def test_half_precision_halves_activations() -> None:
    """What ResNet-18 keeps for backward halves from fp32 to fp16."""
    half = Numerics(compute="fp16", activations="fp16", weights="fp16", gradients="fp16")
    full = [sum(layer.saved_bytes["none"] for layer in ResNet(depth=18).layers(2, n)) for n in (FUSED, half)]
    assert full[1] == pytest.approx(full[0] / 2)


@pytest.mark.parametrize("family", ["lstm_lm", "highway_lm", "attention_nmt", "attention_speech", "resnet", "conv_net"])
def test_every_family_in_mixed_precision_and_in_fp32(family: str) -> None:
    """All parameters are in layers; fusing moves less; training costs about three forward passes; formats follow."""
    model = FAMILIES[family]()
    for numerics in (Numerics(), PLAIN_FP32):
        layers = model.layers(2, numerics)
        assert sum(layer.count * layer.parameter_elements for layer in layers) == model.parameters
        assert all(layer.saved_bytes["full"] <= layer.saved_bytes["none"] for layer in layers)
        formats = {op.format for layer in layers for op in (*layer.forward, *layer.backward) if isinstance(op, Gemm)}
        assert formats == {numerics.compute}
    eager = replace(Numerics(), fused=False)
    moved = [total_bytes(step_ops(model, 2, n)) for n in (Numerics(), eager)]
    assert moved[0] < moved[1]
    forward, training = model.flops_per_sample()
    assert training == pytest.approx(3 * forward, rel=0.02)


@pytest.mark.parametrize(
    ("family", "parameters"), [("lstm_lm", 1e9), ("highway_lm", 3e8), ("attention_nmt", 2e8), ("resnet", 61e6)]
)
def test_the_width_is_solved_for_a_projected_size(family: str, parameters: float) -> None:
    """The nearest integer width: within 2 % at these sizes."""
    assert FAMILIES[family].sized(parameters).parameters == pytest.approx(parameters, rel=0.02)
