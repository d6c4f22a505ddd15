"""The feed-forward part of a block: dense, gated, or a mixture of experts."""

from __future__ import annotations

from math import ceil
from typing import Literal

from sim.ops import BYTES_PER_ELEMENT, Collective, CollectiveKind, Format, Gemm, Op
from sim.records import dataclass
from sim.workload.graph import Tensor
from sim.workload.kernels import (
    FP32,
    Frame,
    Kernels,
    Steps,
    Weight,
    casts,
    chain,
    collective,
    pointwise,
    weight_casts,
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
    router_bias: bool = False
    dropout: bool = False  # of what the activation leaves

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
        Weight("router", m.experts if m.router_bias else 0, "none", matmul=False),
        Weight("experts", m.experts * products, "expert", share),
        Weight("experts", m.experts * sum(biases), "expert", share, matmul=False),
    ]
    if m.shared_ffn:
        weights.append(Weight("shared_experts", m.hidden * m.shared_ffn * (3 if m.gated else 2)))
    return weights


def mlp(k: Kernels, m: MlpSizes, x: Tensor) -> Tensor:
    """Feed-forward part."""
    if not m.experts:
        return dense(k, m, x, m.ffn, "mlp")
    return experts(k, m, x)


def dense(k: Kernels, m: MlpSizes, x: Tensor, ffn: int, name: str, *, joins: bool = False) -> Tensor:
    """Column-split product, activation, row-split product."""
    width = ffn // k.f.tensor
    parts = (width, width) if m.gated else (width,)
    wide = k.column(x, f"{name}.up", sum(parts), m.hidden, parts=parts, bias=m.bias, folded=not m.gated, joins=joins)
    bent = activation(k, name, m, wide, k.f.tokens * width)
    return k.row(k.dropped(bent, f"{name}.dropout") if m.dropout else bent, f"{name}.down", m.hidden, width)


def activation(k: Kernels, name: str, m: MlpSizes, x: Tensor, elements: float) -> Tensor:
    """Bias and activation in one pass, gated: reads gate and value (unfused, what SiLU makes of the gate is kept too).

    Backward recomputes the activation from its input: reads dY and X, writes dX (gated: two of each).
    """
    f, a, label = k.f, k.f.act, f"{name}.{m.activation}"
    out = k.stored(label, elements)
    if not m.gated:
        steps: Steps = (("bias", a, a), (m.activation, a, a)) if m.bias else ((m.activation, a, a),)
        forward = chain(f, label, elements, (a, a, 8.0), steps)
        return k.kernel((x,), out, forward, [pointwise(f, f"{label}.backward", elements, 2 * a, a, 12.0)], saves=(x,))
    forward = chain(f, label, elements, (2 * a, a, 6.0), (("gate", a, a), ("product", 2 * a, a)))
    steps = (("product", 3 * a, 2 * a), ("gate", 2 * a, a))
    backward = chain(f, f"{label}.backward", elements, (3 * a, 2 * a, 10.0), steps)
    gate = () if f.numerics.fused else (k.stored("gate", elements),)
    return k.kernel((x,), out, forward, backward, saves=(x, *gate), makes=gate)


def experts(k: Kernels, m: MlpSizes, x: Tensor) -> Tensor:
    """Router, dispatch (all-to-all), one batched product over the local experts, return, weighted sum; shared experts.

    Tokens are taken as balanced: every expert receives tokens·top_k·capacity_factor/experts of each rank.  Gradients
    travel the same all-to-alls.
    """
    f, h = k.f, m.hidden
    local, width = m.experts // f.expert, m.ffn // f.tensor
    up = width * (2 if m.gated else 1)
    routed = f.rows * m.top_k * m.capacity_factor  # token copies a rank sends, and receives
    inside = routed * f.tensor if f.sequence_parallel else routed  # after the gather over tensor ranks
    each = ceil(inside / local)
    router(k, m, x)
    copies = pointwise(f, "experts.permute", routed * h, f.act, f.act, 0.0)
    back = pointwise(f, "experts.permute.backward", routed * h, f.act, f.act / m.top_k)
    sent = k.kernel(
        (x,),
        k.stored("tokens of experts", inside * h),
        [copies, *dispatched(f, "experts.dispatch", routed, inside, h)],
        [*returned(f, "experts.dispatch.backward", routed, inside, h), back],
    )
    wide = grouped(k, sent, "experts.up", each, up, h, local, inside * up)
    bent = activation(k, "experts", m, wide, each * local * width)
    made = grouped(k, bent, "experts.down", each, h, width, local, inside * h)
    early = f.numerics.weighted_activations  # the gradient of the weights comes out of the activation's backward pass
    kept = () if early else (k.stored("outputs of experts", routed * h),)
    sums = pointwise(f, "experts.unpermute", routed * h, f.act, f.act / m.top_k, 2.0)
    back = pointwise(
        f, "experts.unpermute.backward", routed * h, f.act * ((0 if early else 1) + 1 / m.top_k), f.act, 2.0
    )
    out = k.kernel(
        (made,),
        k.stored("experts", f.rows * h),
        [*returned(f, "experts.combine", routed, inside, h), sums],
        [back, *dispatched(f, "experts.combine.backward", routed, inside, h)],
        saves=kept,
        makes=kept,
    )
    if not m.shared_ffn:
        return out
    shared = dense(k, m, x, m.shared_ffn, "shared_experts", joins=True)
    return k.kernel((out, shared), k.stored("experts and shared", out.elements), [], [])


def router(k: Kernels, m: MlpSizes, x: Tensor) -> None:
    """Scores of every expert in fp32, softmax and top-k; scores and probabilities are kept."""
    f, n = k.f, k.f.rows * m.experts
    kept = k.stored("scores and probabilities", n, 2 * FP32)
    operand = k.operand(x, "router")
    makes = (kept,) if operand is x else (kept, operand)
    k.kernel(
        (x,),
        None,
        [
            Gemm("router", f.rows, m.experts, m.hidden, 1, f.numerics.compute, "fp32"),
            pointwise(f, "router.softmax", n, 2.0 * FP32, FP32, 8.0),
        ],
        [
            pointwise(f, "router.softmax.backward", n, 2.0 * FP32, FP32, 4.0),
            Gemm("router.dgrad", f.rows, m.hidden, m.experts, 1, f.numerics.compute, f.numerics.activations),
            weight_gradient(f, "router.wgrad", m.experts, m.hidden, f.rows),
        ],
        saves=(operand, kept),
        makes=makes,
        joins=True,
    )


def grouped(k: Kernels, x: Tensor, name: str, m: int, n: int, depth: int, local: int, elements: float) -> Tensor:
    """One product of `depth` → n per local expert, m rows each.

    What an exchange brought in the format of the products is not cast again.
    """
    f = k.f
    formats, operand = f.numerics, k.operand(x, name)
    inward = [] if x.name == "tokens of experts" and _arrives_narrow(f) else casts(f, name, m * local * depth)
    outward = [] if name == "experts.down" and _arrives_narrow(f) else casts(f, f"{name}.grad", m * local * n)

    def product(what: str, a: int, b: int, c: int, weights: bool = False) -> Gemm:
        stored = formats.gradients if weights else formats.activations
        sparsity = None if weights else formats.sparsity(f"{name}{what}")
        return Gemm(
            f"{name}{what}", a, b, c, local, formats.compute, stored, weights, transposed=weights, sparsity=sparsity
        )

    return k.kernel(
        (x,),
        k.stored(name, elements),
        [*inward, *weight_casts(f, name, local * n * depth), product("", m, n, depth)],
        [*outward, product(".dgrad", m, depth, n), product(".wgrad", n, depth, m, weights=True)],
        saves=(operand,),
        makes=() if operand is x else (operand,),
    )


def _arrives_narrow(f: Frame) -> bool:
    """Whether tokens are cast before they are sent, not after they came."""
    sent = f.numerics.dispatch
    return sent is not None and f.expert > 1 and BYTES_PER_ELEMENT[sent] <= BYTES_PER_ELEMENT[f.numerics.compute]


def all_to_all(f: Frame, name: str, elements: float, stored: Format) -> list[Op]:
    if f.expert == 1:
        return []
    return [Collective(name, "all_to_all", elements * BYTES_PER_ELEMENT[stored], "expert", stored)]


def dispatched(f: Frame, name: str, routed: float, inside: float, h: int) -> list[Op]:
    """To the experts' ranks, then gathered over the tensor ranks that share each expert."""
    gather = collective(f, f"{name}.gather", "all_gather", inside * h) if f.sequence_parallel else []
    return [*all_to_all(f, name, routed * h, f.numerics.dispatch or f.numerics.activations), *gather]


def returned(f: Frame, name: str, routed: float, inside: float, h: int) -> list[Op]:
    """Partial sums over the tensor ranks, then back to the token's own rank."""
    kind: CollectiveKind = "reduce_scatter" if f.sequence_parallel else "all_reduce"
    back = all_to_all(f, name, routed * h, f.numerics.activations)
    return [*collective(f, f"{name}.reduce", kind, inside * h), *back]
