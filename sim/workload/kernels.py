"""What the kernels of a Transformer read and write, as Megatron-LM runs them.

A `Frame` holds what every part of a block shares: formats, tokens on this device, degrees.  Two token counts matter:
`tokens` inside a tensor-parallel region (each rank sees all of them) and `rows` between the regions, which sequence
parallelism divides by the tensor degree (Korthikanti et al. 2022, section 4.2.2).  Byte counts per element follow the
published kernels: bias-GELU, bias-dropout-add, scaled masked softmax and LayerNorm are one pass each when fused;
unfused, every elementwise op streams its operands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from sim.ops import BYTES_PER_ELEMENT, Collective, CollectiveKind, Gemm, Op, Pointwise
from sim.workload.records import Numerics, Parameter

MASK: int = 1  # bytes of one element of a dropout mask
FP32: int = 4

Steps: TypeAlias = tuple[tuple[str, float, float], ...]
"""Passes of an unfused chain: name, bytes read, bytes written per element."""


class Weight(NamedTuple):
    """A weight tensor of one block, before sharding.

    `active` is the share of it one token meets (top_k/experts for an expert); `matmul` says that a token costs
    2·elements·active FLOPs; `cut` names the axis that divides it; `tokens` which stream of tokens passes through.
    """

    part: str
    elements: float
    cut: Literal["none", "tensor", "expert"] = "tensor"
    active: float = 1.0
    matmul: bool = True
    stream: Literal["self", "memory"] = "self"


@dataclass(frozen=True, slots=True)
class Frame:
    """Formats, degrees and token counts of one device for one sub-batch."""

    numerics: Numerics
    sub_batch: int
    sequence: int  # tokens of one sample on this device (after context parallelism)
    tensor: int = 1
    sequence_parallel: bool = False
    context: int = 1
    expert: int = 1
    dropout: bool = False
    tokens: int = field(init=False)
    rows: int = field(init=False)
    act: float = field(init=False)  # bytes of a stored activation
    operand: float = field(init=False)  # bytes of a stored operand of a matrix product
    mask: int = field(init=False)

    def __post_init__(self) -> None:
        tokens = self.sub_batch * self.sequence
        put = object.__setattr__
        put(self, "tokens", tokens)
        put(self, "rows", -(-tokens // self.tensor) if self.sequence_parallel else tokens)
        put(self, "act", BYTES_PER_ELEMENT[self.numerics.activations])
        put(self, "operand", min(self.act, BYTES_PER_ELEMENT[self.numerics.compute]))
        put(self, "mask", MASK if self.dropout else 0)


@dataclass(slots=True)
class Part:
    """A stretch of a block: ops in order, weights, bytes kept for backward. `core*` is what selective drops."""

    forward: list[Op] = field(default_factory=list)
    backward: list[Op] = field(default_factory=list)
    core: list[Op] = field(default_factory=list)
    saved: float = 0.0
    core_saved: float = 0.0
    workspace: float = 0.0


def pointwise(f: Frame, name: str, elements: float, reads: float, writes: float, flops: float = 1.0) -> Pointwise:
    """One pass over `elements`, `reads` and `writes` in bytes per element."""
    return Pointwise(name, elements, elements * reads, elements * writes, flops, f.numerics.activations)


def chain(
    f: Frame,
    name: str,
    elements: float,
    fused: tuple[float, float, float],
    unfused: Steps,
) -> list[Op]:
    """A pointwise chain: one pass (reads, writes, FLOPs per element) when fused, else one pass per named step."""
    if f.numerics.fused:
        return [pointwise(f, name, elements, *fused)]
    return [pointwise(f, f"{name}.{step}", elements, reads, writes) for step, reads, writes in unfused]


def collective(
    f: Frame, name: str, kind: CollectiveKind, elements: float, overlap: bool = False, size: float | None = None
) -> list[Op]:
    """A tensor-parallel collective over a buffer of `elements`, none when the tensor degree is 1."""
    if f.tensor == 1:
        return []
    return [
        Collective(name, kind, elements * (f.act if size is None else size), "tensor", f.numerics.activations, overlap)
    ]


def gemm(f: Frame, name: str, m: int, n: int, k: int, batch: int = 1) -> Gemm:
    """A product of the compute format whose result is stored as an activation."""
    return Gemm(name, m, n, k, batch, f.numerics.compute, f.numerics.activations)


def weight_gradient(f: Frame, name: str, m: int, n: int, k: int, batch: int = 1) -> Gemm:
    """A product added into the gradient buffer (gradient accumulation fused into the product)."""
    return Gemm(name, m, n, k, batch, f.numerics.compute, f.numerics.gradients, True, transposed=True)


def casts(f: Frame, name: str, elements: float) -> list[Op]:
    """Activations stored wider than the compute format: cast once more (8 bit: plus the transposed copy)."""
    narrow = BYTES_PER_ELEMENT[f.numerics.compute]
    if narrow >= f.act:
        return []
    copies = 2 if narrow == 1 else 1
    return [pointwise(f, f"{name}.cast", elements, f.act, copies * narrow)]


def weight_casts(f: Frame, name: str, elements: float) -> list[Op]:
    """Weights stored wider than the compute format (automatic mixed precision): cast in every forward pass."""
    wide, narrow = BYTES_PER_ELEMENT[f.numerics.weights], BYTES_PER_ELEMENT[f.numerics.compute]
    return [pointwise(f, f"{name}.weight_cast", elements, wide, narrow)] if narrow < wide else []


def column_forward(f: Frame, name: str, n: int, k: int, bias: bool = False, gathered: bool = False) -> list[Op]:
    """Y = X·W with the columns of W split: all-gather of X first under sequence parallelism."""
    gather = collective(f, f"{name}.gather", "all_gather", f.tokens * k) if f.sequence_parallel and not gathered else []
    ops = [*gather, *casts(f, name, f.tokens * k), *weight_casts(f, name, n * k), gemm(f, name, f.tokens, n, k)]
    return [*ops, *bias_pass(f, name, f.tokens * n)] if bias else ops


def column_backward(f: Frame, name: str, n: int, k: int, bias: bool = False, gathered: bool = False) -> list[Op]:
    """dX = dY·Wᵀ, reduced over the tensor ranks while dW = Xᵀ·dY runs; X is gathered again beside dX."""
    inputs = f.tokens * k
    sp = f.sequence_parallel and not gathered
    again = collective(f, f"{name}.gather_again", "all_gather", inputs, overlap=True) if sp else []
    if gathered:
        reduced: list[Op] = []
    else:
        reduced = collective(f, f"{name}.reduce_grad", "reduce_scatter" if sp else "all_reduce", inputs, overlap=True)
    return [
        *casts(f, f"{name}.grad", f.tokens * n),
        *again,
        gemm(f, f"{name}.dgrad", f.tokens, k, n),
        *reduced,
        weight_gradient(f, f"{name}.wgrad", n, k, f.tokens),
        *(bias_gradient(f, name, f.tokens * n) if bias else []),
    ]


def row_forward(f: Frame, name: str, n: int, k: int) -> list[Op]:
    """Y = X·W with the rows of W split: partial sums are reduced (scattered under sequence parallelism)."""
    kind: CollectiveKind = "reduce_scatter" if f.sequence_parallel else "all_reduce"
    return [
        *casts(f, name, f.tokens * k),
        *weight_casts(f, name, n * k),
        gemm(f, name, f.tokens, n, k),
        *collective(f, f"{name}.reduce", kind, f.tokens * n),
    ]


def row_backward(f: Frame, name: str, n: int, k: int) -> list[Op]:
    """dX and dW of a row-split product: dY is gathered first under sequence parallelism."""
    gather = collective(f, f"{name}.gather_grad", "all_gather", f.tokens * n) if f.sequence_parallel else []
    return [
        *gather,
        *casts(f, f"{name}.grad", f.tokens * n),
        gemm(f, f"{name}.dgrad", f.tokens, k, n),
        weight_gradient(f, f"{name}.wgrad", n, k, f.tokens),
    ]


def bias_pass(f: Frame, name: str, elements: float) -> list[Op]:
    """Bias of a product: in its epilogue when fused, else a pass of its own."""
    return [] if f.numerics.fused else [pointwise(f, f"{name}.bias", elements, f.act, f.act)]


def bias_gradient(f: Frame, name: str, elements: float) -> list[Op]:
    """Sum of the output gradient over tokens: one read."""
    return [pointwise(f, f"{name}.bias_grad", elements, f.act, 0.0)]


def norm_forward(f: Frame, name: str, rows: float, width: int, rms: bool) -> list[Op]:
    """LayerNorm or RMSNorm: one read, one write; an unfused RMSNorm is computed in fp32 step by step."""
    a, wide = f.act, FP32
    if f.numerics.fused or not rms:
        return [pointwise(f, name, rows * width, a, a, 8.0)]
    steps: Steps = (("widen", a, wide), ("square", wide, wide), ("mean", wide, 0), ("scale", wide, wide))
    steps = (*steps, ("narrow", wide, a), ("weight", a, a))
    return chain(f, name, rows * width, (a, a, 8.0), steps)


def norm_backward(f: Frame, name: str, rows: float, width: int, rms: bool, residual: bool = True) -> list[Op]:
    """Input and weight gradients (reads dY and X), then the sum with the gradient of the residual branch."""
    a, wide = f.act, FP32
    steps: Steps = (("input", 2 * a, a), ("weight", 2 * a, 0.0))
    if rms:
        steps = (("weight", 2 * a, a), ("widen", a, wide), ("scale", 3 * wide, 2 * wide), ("square", 2 * wide, wide))
        steps = (*steps, ("sum", 2 * wide, wide), ("narrow", wide, a))
    ops = chain(f, f"{name}.backward", rows * width, (2 * a, a, 12.0), steps)
    return [*ops, pointwise(f, f"{name}.residual_grad", rows * width, 2 * a, a)] if residual else ops


def add_forward(f: Frame, name: str, width: int, bias: bool) -> list[Op]:
    """residual + dropout(x + bias): reads x and the residual, writes the sum and the mask."""
    a = f.act
    steps: Steps = (("bias", a, a),) if bias else ()
    if f.mask:
        steps = (*steps, ("dropout", a, a + f.mask))
    return chain(f, name, f.rows * width, (2 * a, a + f.mask, 3.0), (*steps, ("add", 2 * a, a)))


def add_backward(f: Frame, name: str, width: int, bias: bool) -> list[Op]:
    """Gradient through the dropout (reads dY and the mask) and into the bias; the sum itself copies nothing."""
    elements = f.rows * width
    ops: list[Op] = []
    if f.mask:
        ops.append(pointwise(f, f"{name}.backward", elements, f.act + f.mask, f.act))
    return [*ops, *(bias_gradient(f, name, elements) if bias else [])]


def held(weights: list[Weight], f: Frame) -> tuple[Parameter, ...]:
    """The weights one device holds after tensor and expert sharding, one `Parameter` per part."""
    totals: dict[tuple[str, bool], float] = {}
    for w in weights:
        divisor = f.tensor if w.cut == "tensor" else f.tensor * f.expert if w.cut == "expert" else 1
        key = (w.part, w.cut == "expert")
        totals[key] = totals.get(key, 0.0) + w.elements / divisor
    return tuple(Parameter(part, n, "expert" if of_experts else "data") for (part, of_experts), n in totals.items())
