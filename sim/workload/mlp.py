"""The feed-forward part of a block: dense, gated, or a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.ops import Collective, Gemm, Op
from sim.workload.kernels import (
    FP32,
    Frame,
    Part,
    Steps,
    Weight,
    chain,
    collective,
    column_backward,
    column_forward,
    pointwise,
    row_backward,
    row_forward,
    weight_gradient,
)

Activation = Literal["gelu", "relu", "swiglu", "geglu"]
GATED = ("swiglu", "geglu")


@dataclass(frozen=True, slots=True)
class MlpSizes:
    """Hidden → ffn → hidden; `experts` > 0 makes it a mixture of `experts`, `top_k` of them per token."""

    hidden: int
    ffn: int
    activation: Activation = "gelu"
    bias: bool = True
    experts: int = 0
    top_k: int = 1
    capacity_factor: float = 1.0
    shared_ffn: int = 0

    @property
    def gated(self) -> bool:
        return self.activation in GATED

    @property
    def up(self) -> int:
        """Width of the first product: gate and value for a gated activation."""
        return self.ffn * (2 if self.gated else 1)


def mlp_weights(m: MlpSizes) -> list[Weight]:
    """Weights of one feed-forward part; an expert's token share is top_k/experts."""
    products, biases = m.hidden * (m.up + m.ffn), (m.up if m.bias else 0, m.hidden if m.bias else 0)
    if not m.experts:
        return [
            Weight("mlp", products),
            Weight("mlp", biases[0], matmul=False),
            Weight("mlp", biases[1], "none", matmul=False),
        ]
    share = m.top_k / m.experts
    weights = [
        Weight("router", m.hidden * m.experts, "none"),
        Weight("experts", m.experts * products, "expert", share),
        Weight("experts", m.experts * sum(biases), "expert", share, matmul=False),
    ]
    if m.shared_ffn:
        weights.append(Weight("shared_experts", m.hidden * m.shared_ffn * (3 if m.gated else 2)))
    return weights


def mlp_part(f: Frame, m: MlpSizes) -> Part:
    """Feed-forward part, forward and backward."""
    return expert_part(f, m) if m.experts else dense_part(f, m, m.ffn, "mlp")


def dense_part(f: Frame, m: MlpSizes, ffn: int, name: str, gathered: bool = False) -> Part:
    """Column-split product, activation, row-split product."""
    width = ffn // f.tensor
    up = width * (2 if m.gated else 1)
    return Part(
        forward=[
            *column_forward(f, f"{name}.up", up, m.hidden, m.bias and m.gated, gathered),
            *activation_forward(f, name, m, f.tokens * width),
            *row_forward(f, f"{name}.down", m.hidden, width),
        ],
        backward=[
            *row_backward(f, f"{name}.down", m.hidden, width),
            *activation_backward(f, name, m, f.tokens * width),
            *column_backward(f, f"{name}.up", up, m.hidden, m.bias, gathered),
        ],
        saved=f.tokens * width * (f.operand + kept_by_activation(f, m) * f.act),
        workspace=f.tokens * (up + width + m.hidden) * f.act,
    )


def kept_by_activation(f: Frame, m: MlpSizes) -> int:
    """Elements per ffn element the activation keeps besides its output: its inputs (unfused gated: SiLU's too)."""
    if not m.gated:
        return 1
    return 2 if f.numerics.fused else 3


def activation_forward(f: Frame, name: str, m: MlpSizes, elements: float) -> list[Op]:
    """Bias and activation in one pass: gated reads gate and value."""
    a = f.act
    if m.gated:
        steps: Steps = (("gate", a, a), ("product", 2 * a, a))
        return chain(f, f"{name}.{m.activation}", elements, (2 * a, a, 6.0), steps)
    steps = (("bias", a, a), (m.activation, a, a)) if m.bias else ((m.activation, a, a),)
    return chain(f, f"{name}.{m.activation}", elements, (a, a, 8.0), steps)


def activation_backward(f: Frame, name: str, m: MlpSizes, elements: float) -> list[Op]:
    """Recomputes the activation from its input: reads dY and X, writes dX (gated: two of each)."""
    a = f.act
    if m.gated:
        steps: Steps = (("product", 3 * a, 2 * a), ("gate", 2 * a, a))
        return chain(f, f"{name}.{m.activation}.backward", elements, (3 * a, 2 * a, 10.0), steps)
    return [pointwise(f, f"{name}.{m.activation}.backward", elements, 2 * a, a, 12.0)]


def expert_part(f: Frame, m: MlpSizes) -> Part:
    """Router, dispatch (all-to-all), one batched product over the local experts, return, weighted sum; shared experts.

    Tokens are taken as balanced: every expert receives tokens·top_k·capacity_factor/experts of each rank.
    """
    local, width, h = m.experts // f.expert, m.ffn // f.tensor, m.hidden
    routed = f.rows * m.top_k * m.capacity_factor  # token copies a rank sends, and receives
    inside = routed * f.tensor if f.sequence_parallel else routed  # after the gather over tensor ranks
    each = -(-int(inside) // local) if inside == int(inside) else int(inside / local) + 1
    forward: list[Op] = [
        *router_forward(f, m),
        *moved(f, "experts.permute", routed * h),
        *dispatched(f, "experts.dispatch", routed, inside, h),
        grouped(f, "experts.up", each, width * (2 if m.gated else 1), h, local),
        *activation_forward(f, "experts", m, each * local * width),
        grouped(f, "experts.down", each, h, width, local),
        *returned(f, "experts.combine", routed, inside, h),
        pointwise(f, "experts.unpermute", routed * h, f.act, f.act / m.top_k, 2.0),
    ]
    part = Part(forward=forward, backward=expert_backward(f, m, routed, inside, each))
    up = width * (2 if m.gated else 1)
    # permuted inputs, first product, activation, expert outputs (for the gradient of their weights), fp32 router
    part.saved = inside * h * f.operand + inside * width * (f.operand + kept_by_activation(f, m) * f.act)
    part.saved += routed * h * f.act + f.rows * m.experts * 2 * FP32
    part.workspace = (inside * (up + width + h) + routed * h) * f.act
    if m.shared_ffn:
        shared = dense_part(f, m, m.shared_ffn, "shared_experts")
        part.forward += shared.forward
        part.backward += shared.backward
        part.saved += shared.saved
    return part


def expert_backward(f: Frame, m: MlpSizes, routed: float, inside: float, each: int) -> list[Op]:
    """The way back: gradients travel the same all-to-alls."""
    local, width, h = m.experts // f.expert, m.ffn // f.tensor, m.hidden
    up = width * (2 if m.gated else 1)
    return [
        pointwise(f, "experts.unpermute.backward", routed * h, f.act * (1 + 1 / m.top_k), f.act, 2.0),
        *dispatched(f, "experts.combine.backward", routed, inside, h),
        grouped(f, "experts.down.dgrad", each, width, h, local),
        grouped(f, "experts.down.wgrad", h, width, each, local, weights=True),
        *activation_backward(f, "experts", m, each * local * width),
        grouped(f, "experts.up.dgrad", each, h, up, local),
        grouped(f, "experts.up.wgrad", up, h, each, local, weights=True),
        *returned(f, "experts.dispatch.backward", routed, inside, h),
        pointwise(f, "experts.permute.backward", routed * h, f.act, f.act / m.top_k),
        *router_backward(f, m),
    ]


def grouped(f: Frame, name: str, m: int, n: int, k: int, local: int, weights: bool = False) -> Gemm:
    """One product per local expert."""
    out = f.numerics.gradients if weights else f.numerics.activations
    return Gemm(name, m, n, k, local, f.numerics.compute, out, weights, transposed=weights)


def moved(f: Frame, name: str, elements: float) -> list[Op]:
    """Rows copied into expert order."""
    return [pointwise(f, name, elements, f.act, f.act, 0.0)]


def all_to_all(f: Frame, name: str, elements: float) -> list[Op]:
    if f.expert == 1:
        return []
    return [Collective(name, "all_to_all", elements * f.act, "expert", f.numerics.activations)]


def dispatched(f: Frame, name: str, routed: float, inside: float, h: int) -> list[Op]:
    """To the experts' ranks, then gathered over the tensor ranks that share each expert."""
    gather = collective(f, f"{name}.gather", "all_gather", inside * h) if f.sequence_parallel else []
    return [*all_to_all(f, name, routed * h), *gather]


def returned(f: Frame, name: str, routed: float, inside: float, h: int) -> list[Op]:
    """Partial sums over the tensor ranks, then back to the token's own rank."""
    kind: Literal["reduce_scatter", "all_reduce"] = "reduce_scatter" if f.sequence_parallel else "all_reduce"
    return [*collective(f, f"{name}.reduce", kind, inside * h), *all_to_all(f, name, routed * h)]


def router_forward(f: Frame, m: MlpSizes) -> list[Op]:
    """Scores of every expert in fp32, softmax and top-k."""
    gate = Gemm("router", f.rows, m.experts, m.hidden, 1, f.numerics.compute, "fp32")
    return [gate, pointwise(f, "router.softmax", f.rows * m.experts, 2.0 * FP32, FP32, 8.0)]


def router_backward(f: Frame, m: MlpSizes) -> list[Op]:
    return [
        pointwise(f, "router.softmax.backward", f.rows * m.experts, 2.0 * FP32, FP32, 4.0),
        Gemm("router.dgrad", f.rows, m.hidden, m.experts, 1, f.numerics.compute, f.numerics.activations),
        weight_gradient(f, "router.wgrad", m.experts, m.hidden, f.rows),
    ]
