"""Attention as ops: multi-head, grouped-query, latent (MLA) and cross; plain or flash; split over heads and context.

Per-head products keep their true shapes: batch = sub_batch·heads/tensor, m = queries, n = keys, k = head size.
"""

from __future__ import annotations

from typing import Final, Literal

from sim.ops import Attention, Collective, CollectiveKind, Op
from sim.records import dataclass
from sim.workload.graph import Tensor
from sim.workload.kernels import (
    FP32,
    Frame,
    Kernels,
    Primitive,
    Steps,
    Weight,
    bias_gradient,
    bias_pass,
    collective,
    dropout,
    gemm,
    passes,
    pointwise,
    weight_gradient,
)
from sim.workload.records import AttentionKernel

GENERATION: Final[dict[AttentionKernel, Literal[1, 2, 3]]] = {AttentionKernel.FLASH1: 1, AttentionKernel.FLASH2: 2}
"""Kernels of an age; any other is the chip's own."""


@dataclass(frozen=True, slots=True)
class AttentionSizes:
    """Sizes of one attention: `memory` tokens per sample are keys and values from elsewhere (encoder, or the past)."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int
    causal: bool = True
    rotary_dim: int = 0
    bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    q_rank: int = 0
    kv_rank: int = 0
    cross: bool = False
    memory: int = 0
    window: int = 0
    relative: bool = False  # a position term is added to the scores
    position_scores: bool = False  # that term is a product with projected positions (Dai et al. 2019, section 3.3)

    sinks: bool = False  # a learned score per head that no value belongs to (gpt-oss)
    chunked: bool = False  # the window does not slide: queries see their own chunk of the sequence

    @property
    def latent(self) -> bool:
        return self.kv_rank > 0

    @property
    def q_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * (self.head_dim + self.v_head_dim)

    def kv_parts(self, tensor: int) -> tuple[int, int]:
        """Widths of keys and of values on one of the `tensor` ranks."""
        keys = self.kv_heads * self.head_dim // tensor
        return keys, self.kv_width // tensor - keys

    @property
    def out_width(self) -> int:
        return self.heads * self.v_head_dim


def keys(a: AttentionSizes, sequence: int) -> int:
    """Keys every query is multiplied with: the whole sequence, the encoder's, or a sliding window."""
    length = a.memory if a.cross else sequence + a.memory
    return min(length, a.window) if a.window else length


def seen(a: AttentionSizes, sequence: int) -> float | None:
    """Share of the rectangle of queries and `keys` that is not masked; None: half if causal, else all.

    Causal: of s queries with m keys of the past and a window w ≤ s + m, query i sees min(i + m, w) keys; in the limit
    of many queries s·m + s²/2 without a window, and less (s + m − w)²/2 with one.  A window as long as the sequence
    is none.  Of chunks of w and a rest of r: w²/2 each and r²/2.
    """
    if not a.causal or a.cross or (not a.memory and keys(a, sequence) == sequence):
        return None
    s, m, w = sequence, a.memory, keys(a, sequence)
    if a.chunked:
        return (s // w * w**2 + (s % w) ** 2) / 2 / (s * w)
    unseen = max(0, s + m - w) ** 2 - max(0, m - w) ** 2
    return (s * m + (s * s - unseen) / 2) / (s * w)


def attention_flops(a: AttentionSizes, sequence: int) -> float:
    """Forward FLOPs of scores and context of one sample, the full square: 2·heads·s·s·(d + d_v)."""
    products = (2 if a.position_scores else 1) * a.head_dim + a.v_head_dim
    return 2.0 * a.heads * sequence * keys(a, sequence) * products


def attention_weights(a: AttentionSizes) -> list[Weight]:
    """Weights of the four projections with their biases (and the latent projections of DeepSeek-V2, section 2.1)."""
    h, out = a.hidden, Weight("attention", a.out_width * a.hidden)
    rest = [Weight("attention", a.hidden, "none", matmul=False)] if a.out_bias else []
    if a.sinks:
        rest.append(Weight("attention", a.heads, matmul=False))
    if a.qk_norm:
        rest.append(Weight("norm", 2 * a.head_dim, "none", matmul=False))
    if a.latent:
        rope, nope = a.rotary_dim, a.head_dim - a.rotary_dim
        query = [Weight("attention", h * a.q_width)]
        if a.q_rank:
            query = [Weight("attention", h * a.q_rank, "none"), Weight("attention", a.q_rank * a.q_width)]
            rest.append(Weight("norm", a.q_rank, "none", matmul=False))
        down = Weight("attention", h * (a.kv_rank + rope), "none")
        up = Weight("attention", a.kv_rank * a.heads * (nope + a.v_head_dim))
        return [*query, down, up, out, *rest, Weight("norm", a.kv_rank, "none", matmul=False)]
    if a.bias:
        rest.append(Weight("attention", a.q_width + a.kv_width, matmul=False))
    if a.position_scores:  # projection of positions (once per sub-batch, not per sample) and two query biases
        rest.append(Weight("attention", h * a.q_width + 2 * a.q_width, matmul=False))
    stream: Literal["self", "memory"] = "memory" if a.cross or a.memory else "self"
    return [Weight("attention", h * a.q_width), Weight("attention", h * a.kv_width, stream=stream), out, *rest]


def attention(k: Kernels, a: AttentionSizes, x: Tensor) -> Tensor:
    """Projections, core and output projection of one attention."""
    inputs = (latent_projections if a.latent else projections)(k, a, x)
    core = flash_core if k.f.numerics.attention != AttentionKernel.PLAIN and not a.relative else plain_core
    return k.row(core(k, a, inputs), "attention.out", a.hidden, a.out_width // k.f.tensor)


def projections(k: Kernels, a: AttentionSizes, x: Tensor) -> tuple[Tensor, ...]:
    """Query, key, value in one product (two for cross attention and for a cached past), then norms of the heads and
    rotary positions; their gradients are joined before they travel back through the product."""
    f = k.f
    memory: tuple[Tensor, ...] = ()
    q, kv = a.q_width // f.tensor, a.kv_width // f.tensor
    if a.cross or a.memory:
        heads = k.column(x, "attention.q", q, a.hidden, bias=a.bias)
        memory = (memory_projection(k, a, kv),)
    else:
        heads = k.column(x, "attention.qkv", q + kv, a.hidden, parts=(q, *a.kv_parts(f.tensor)), bias=a.bias)
    joined = pointwise(f, "attention.qkv_join", f.tokens * (q + kv), f.act, f.act)
    if a.qk_norm:
        normed = a.head_dim * (a.heads + a.kv_heads) // f.tensor * f.tokens
        before = k.stored("heads before their norm", normed)
        heads = k.norm(heads, "attention.qk_norm", normed / a.head_dim, a.head_dim, True, part=before)
    turned = a.rotary_dim * (a.heads + a.kv_heads) // f.tensor * f.tokens
    out = k.stored("heads", heads.elements)
    return k.kernel((heads,), out, rotary(f, turned), [*rotary(f, turned, ".backward"), joined]), *memory


def memory_projection(k: Kernels, a: AttentionSizes, kv: int) -> Tensor:
    """Keys and values of tokens that are not (only) the block's own input; the past of Transformer-XL gets no gradient,
    but its weights do."""
    f = k.f
    tokens = f.sub_batch * (f.kept(a.memory)) + (0 if a.cross else f.tokens)
    wide, size = tokens * kv, tokens * a.hidden
    gather = collective(f, "attention.kv.gather", "all_gather", size) if f.sequence_parallel else []
    kind: CollectiveKind = "reduce_scatter" if f.sequence_parallel else "all_reduce"
    forward = [*gather, gemm(f, "attention.kv", tokens, kv, a.hidden, parts=a.kv_parts(f.tensor))]
    forward += bias_pass(f, "attention.kv", wide) if a.bias else []
    backward = [
        gemm(f, "attention.kv.dgrad", tokens, a.hidden, kv),
        *collective(f, "attention.kv.reduce_grad", kind, size, overlap=True),
        weight_gradient(f, "attention.kv.wgrad", kv, a.hidden, tokens),
        *(bias_gradient(f, "attention.kv", wide) if a.bias else []),
    ]
    return k.kernel((), k.stored("keys and values", wide), forward, backward)


def latent_projections(k: Kernels, a: AttentionSizes, x: Tensor) -> tuple[Tensor, ...]:
    """MLA: low-rank down and up projections of query and of key-value, the rotary part apart.

    The down projections are replicated over the tensor ranks; their output is small.
    """
    f, h, rope, nope = k.f, a.hidden, a.rotary_dim, a.head_dim - a.rotary_dim
    q, up = a.q_width // f.tensor, a.heads * (nope + a.v_head_dim) // f.tensor
    ranks = (a.q_rank, a.kv_rank + rope)
    low = k.whole(x, "attention.down", f.rows, sum(ranks), h, parts=ranks if a.q_rank else ())
    query = k.norm(low, "attention.q_norm", f.rows, a.q_rank, True, joins=True) if a.q_rank else x
    latent = k.norm(low, "attention.kv_norm", f.rows, a.kv_rank, True)
    queries = k.column(query, "attention.q", q, a.q_rank or h, joins=not a.q_rank)
    pairs = k.column(latent, "attention.kv", up, a.kv_rank)
    turned, width = f.tokens * rope * (a.heads // f.tensor + 1), a.heads * a.head_dim // f.tensor
    queries = k.kernel(
        (queries,), k.stored("queries", queries.elements), rotary(f, turned), rotary(f, turned, ".backward")
    )
    both = k.stored("keys and values", f.tokens * (width + a.out_width // f.tensor))
    join, split = (pointwise(f, f"attention.kv_join{end}", f.tokens * width, f.act, f.act) for end in ("", ".backward"))
    return queries, k.kernel((pairs,), both, [join], [split])


def rotary(f: Frame, elements: float, suffix: str = "") -> list[Op]:
    """Rotary positions: one pass in place when fused; unfused rotate-half is copy, two products and a sum."""
    if not elements:
        return []
    a, name = f.act, f"attention.rotary{suffix}"
    if f.numerics.fused:
        return [pointwise(f, name, elements, a, a, 3.0)]
    steps = (("rotate", a, a), ("cosine", a, a), ("sine", a, a), ("add", 2 * a, a))
    return [pointwise(f, f"{name}.{step}", elements, reads, writes) for step, reads, writes in steps]


def exchange(
    f: Frame,
    a: AttentionSizes,
    suffix: str,
    kind: CollectiveKind = "all_gather",
    *,
    beside: bool = False,
    copies: int = 1,
) -> list[Op]:
    """Context parallelism: every rank needs the keys and values of the whole sequence of its heads.

    In a ring they pass from neighbour to neighbour `beside` the attention to those at hand.
    """
    if f.context == 1:
        return []
    width = (a.kv_width if not a.latent else a.heads * (a.head_dim + a.v_head_dim)) // f.tensor
    size = copies * f.context * f.tokens * width * f.act
    name = f"attention.kv_exchange{suffix}"
    return [Collective(name, kind, size, "context", f.numerics.activations, beside)]


def merge(f: Frame, a: AttentionSizes, suffix: str = "") -> list[Op]:
    """What attention to one rank's keys gave is added to the sum in fp32, once for every other rank of a ring."""
    if not f.ring:
        return []
    elements = (f.context - 1) * f.tokens * (a.out_width // f.tensor)
    return [pointwise(f, f"attention.merge{suffix}", elements, f.act + FP32, FP32, 3.0)]


def flash_core(k: Kernels, a: AttentionSizes, inputs: tuple[Tensor, ...]) -> Tensor:
    """Fused attention: the score matrix never reaches memory; one fp32 log-sum-exp per query and head is kept, and
    backward sums the gradient of the queries in fp32."""
    f = k.f
    q_len, kv_len = f.sequence, keys(a, f.whole(f.sequence))
    heads, kv_heads = a.heads // f.tensor, max(1, a.kv_heads // f.tensor)
    share = seen(a, f.whole(f.sequence))
    version = GENERATION.get(f.numerics.attention, 3)

    def kernel(name: str, backward: bool) -> Attention:
        return Attention(
            name, f.sub_batch, heads, kv_heads, q_len, kv_len, a.head_dim, a.v_head_dim, a.causal, backward,
            f.numerics.activations, generation=version, share=share,
        )  # fmt: skip

    core = kernel("attention.core.backward", True)
    backward = [*exchange(f, a, ".backward"), core, *exchange(f, a, ".grad", "reduce_scatter")]
    if f.ring:  # the gradients of keys and values travel with them
        backward = [*exchange(f, a, ".backward", beside=True, copies=2), core, *merge(f, a, ".backward")]
    queries = f.sub_batch * heads * q_len
    sums = k.stored("log-sum-exp", queries, FP32, core=True)
    return k.kernel(
        inputs,
        k.stored("context", f.tokens * (a.out_width // f.tensor)),
        [*exchange(f, a, "", beside=f.ring), kernel("attention.core", False), *merge(f, a)],
        backward,
        saves=(*inputs, sums),
        makes=(sums,),
        scratch=queries * (a.head_dim + 1) * FP32,
        core=True,
    )


def plain_core(k: Kernels, a: AttentionSizes, inputs: tuple[Tensor, ...]) -> Tensor:
    """Scores, scale-mask-softmax, dropout, context: the b·a·s² matrix is written and read by every step.

    Kept of it: softmax output, dropout mask and dropout output, 2 + 1 + 2 bytes (Korthikanti et al. 2022, section 4.1).
    """
    f, act, heads = k.f, k.f.act, a.heads // k.f.tensor
    batch, q_len, kv_len = f.sub_batch * heads, f.sequence, keys(a, f.whole(f.sequence))
    scores = float(batch) * q_len * kv_len
    drop, _ = dropout(f, "attention.dropout", scores)
    forward: list[Op] = [*exchange(f, a, ""), *expand_heads(f, a, kv_len), *transposes(f, a, kv_len)]
    forward.append(gemm(f, "attention.scores", q_len, kv_len, a.head_dim, batch))
    if a.position_scores:
        width = heads * a.head_dim
        forward.append(gemm(f, "attention.positions", kv_len, width, a.hidden))
        forward.append(gemm(f, "attention.position_scores", q_len, kv_len, a.head_dim, batch))
        forward += [pointwise(f, f"attention.position_{s}", scores, act, act, 0.0) for s in shifted(f)]
    if a.relative:
        forward.append(pointwise(f, "attention.position_bias", scores, 2 * act, act))
    forward += softmax_forward(f, scores, masked=not a.causal, fused=fused_softmax(f, batch))
    forward += drop
    forward.append(gemm(f, "attention.context", q_len, a.v_head_dim, kv_len, batch))
    out = f.tokens * heads * a.v_head_dim
    forward.append(pointwise(f, "attention.context_copy", out, act, act))
    kept = k.stored("probabilities", scores, 2 * act + f.mask if f.mask else act, core=True)
    backward = plain_backward(f, a, batch, q_len, kv_len)
    saves, context = (*inputs, kept), k.stored("context", out)
    return k.kernel(inputs, context, forward, backward, saves=saves, makes=(kept,), core=True)


def expand_heads(f: Frame, a: AttentionSizes, kv_len: int) -> list[Op]:
    """Grouped keys and values repeated for every query head, as plain attention needs them."""
    if a.kv_heads >= a.heads:
        return []
    wide = f.sub_batch * kv_len * (a.heads // f.tensor) * (a.head_dim + a.v_head_dim)
    return [pointwise(f, "attention.repeat_kv", wide, f.act * a.kv_heads / a.heads, f.act)]


def shifted(f: Frame) -> tuple[str, ...]:
    """Passes that bring position scores to their place: one, or those of TensorFlow 1 (transposed out of the product, a
    column padded and cut off: rel_shift of tf/model.py)."""
    return ("transpose", "pad", "slice") if f.primitive else ("shift",)


def transposes(f: Frame, a: AttentionSizes, kv_len: int, suffix: str = "") -> list[Op]:
    """TensorFlow 1: queries, keys and values are split, and every operand of an einsum is brought to its order."""
    if not f.primitive:
        return []
    queries = f.tokens * (a.heads // f.tensor) * a.head_dim
    both = f.sub_batch * kv_len * (a.heads // f.tensor) * (a.head_dim + a.v_head_dim)
    orders = 2 if a.position_scores else 1  # queries with either bias
    sizes = {"split": queries + both, "queries": orders * queries, "keys_values": both}
    if a.position_scores:
        sizes["biases"] = orders * queries
    return [pointwise(f, f"attention.{name}{suffix}", size, f.act, f.act, 0.0) for name, size in sizes.items()]


#: The softmax kernel reads its input for the maximum, the sum and the quotient (softmax_op_gpu.cu.cc, TensorFlow 1.15);
#: its gradient is four ops (nn_grad.py).
SOFTMAX = Primitive((("softmax", 3, 1),), (("product", 2, 1), ("sum", 1, 0), ("difference", 1, 1), ("result", 2, 1)))


def fused_softmax(f: Frame, batch: int) -> bool:
    """Whether the scores' softmax is one kernel.

    Megatron-LM's takes four matrices of scores at a time (`FusedScaleMaskSoftmax.is_kernel_available`): others, such
    as one sample of 16 heads over 8 ranks, are scaled, masked and normalised in fp32 passes.
    """
    return f.numerics.fused and batch % 4 == 0


def softmax_forward(f: Frame, scores: float, masked: bool, fused: bool) -> list[Op]:
    """Scale, mask and softmax of the scores: one pass fused, three unfused (in fp32: five, widened and narrowed)."""
    act = f.act
    if fused:
        return [pointwise(f, "attention.softmax", scores, act + (1 if masked else 0), act, 5.0)]
    steps: Steps = (("scale", act, act), ("mask", act, act), ("softmax", act, act))
    if f.primitive:
        ours, _ = passes(f, "attention", scores, SOFTMAX)
        return [*(pointwise(f, f"attention.{s}", scores, act, act) for s in ("scale", "mask", "fill")), *ours]
    if f.numerics.fused:
        steps = (("widen", act, FP32), ("scale", FP32, FP32), ("mask", FP32, FP32))
        steps = (*steps, ("softmax", FP32, FP32), ("narrow", FP32, act))
    return [pointwise(f, f"attention.{step}", scores, reads, writes, 2.0) for step, reads, writes in steps]


def plain_backward(f: Frame, a: AttentionSizes, batch: int, q_len: int, kv_len: int) -> list[Op]:
    """dP = dO·Vᵀ, dV = Pᵀ·dO, dropout and softmax backward on the score matrix, dQ = dS·K, dK = dSᵀ·Q."""
    act, scores = f.act, float(batch) * q_len * kv_len
    d, v = a.head_dim, a.v_head_dim
    out = f.tokens * (a.heads // f.tensor) * v
    ops: list[Op] = [
        *exchange(f, a, ".backward"),
        pointwise(f, "attention.context_copy.backward", out, act, act),
        gemm(f, "attention.context.dgrad", q_len, kv_len, v, batch),
        gemm(f, "attention.context.vgrad", kv_len, v, q_len, batch),
    ]
    ops += dropout(f, "attention.dropout", scores)[1]
    if f.primitive:
        ops += passes(f, "attention.softmax", scores, SOFTMAX)[1]
    else:
        ops.append(pointwise(f, "attention.softmax.backward", scores, 2 * act, act, 4.0))
    if not fused_softmax(f, batch):
        wide = FP32 if f.numerics.fused else act
        ops += [pointwise(f, f"attention.{step}.backward", scores, wide, wide) for step in ("mask", "scale")]
    if a.relative:
        ops.append(pointwise(f, "attention.position_bias.backward", scores, act, 0.0))
    if a.position_scores:
        ops += [pointwise(f, f"attention.position_{s}.backward", scores, act, act, 0.0) for s in shifted(f)]
        ops.append(gemm(f, "attention.position_scores.qgrad", q_len, d, kv_len, batch))
        ops.append(gemm(f, "attention.position_scores.pgrad", kv_len, d, q_len, batch))
        ops.append(weight_gradient(f, "attention.positions.wgrad", a.heads // f.tensor * d, a.hidden, kv_len))
    queries = gemm(f, "attention.scores.qgrad", q_len, d, kv_len, batch)
    ops += [queries, gemm(f, "attention.scores.kgrad", kv_len, d, q_len, batch)]
    if a.kv_heads < a.heads:
        wide = f.sub_batch * kv_len * (a.heads // f.tensor) * (d + v)
        ops.append(pointwise(f, "attention.repeat_kv.backward", wide, act, act * a.kv_heads / a.heads))
    ops += transposes(f, a, kv_len, ".backward")
    return [*ops, *exchange(f, a, ".grad", "reduce_scatter")]
