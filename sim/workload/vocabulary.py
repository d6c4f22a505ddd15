"""Both ends of a language model: vocabulary-parallel embedding, and the head with its cross-entropy.

The head decides small models: with vocabulary V a token's logits are 4·V bytes in fp32, and Megatron-LM's
vocabulary-parallel cross-entropy makes six passes over them forward and two backward.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import log
from typing import Final

from sim.ops import Gather, Op
from sim.records import dataclass
from sim.workload.expand import layer_of
from sim.workload.graph import Tensor
from sim.workload.kernels import FP32, Frame, Kernels, Primitive, Steps, Weight, collective, held, passes, pointwise
from sim.workload.records import Layer, LossKernel, Parameter


@dataclass(frozen=True, slots=True)
class VocabularySizes:
    """Sizes of embedding and head."""

    hidden: int
    vocabulary: int
    positions: int = 0  # rows of a learned position table
    position_elements: int = 0  # other learned position parameters (relative buckets)
    token_types: int = 0
    embedding_norm: bool = False
    final_norm: bool = True
    rms: bool = False
    norm_bias: bool = True
    tied: bool = True
    transform: bool = False  # dense + activation + norm before the logits, and an output bias (BERT)
    classes: int = 0  # > 0: a classifier instead of the vocabulary head
    predictions: int = 0  # positions of a sample the head computes; 0: all
    cutoffs: tuple[int, ...] = ()  # first rows of the tail clusters of an adaptive softmax

    @property
    def norm_width(self) -> int:
        return self.hidden * (2 if self.norm_bias else 1)

    @property
    def outputs(self) -> int:
        return self.classes or self.vocabulary

    @property
    def met(self) -> int:
        """Rows of the output matrix a token is multiplied with: all, or those its adaptive clusters need."""
        return adaptive_rows(self.vocabulary, self.cutoffs) if self.cutoffs and not self.classes else self.outputs


@lru_cache(maxsize=64)
def adaptive_rows(vocabulary: int, cutoffs: tuple[int, ...]) -> int:
    """Expected rows per token of an adaptive softmax (Grave et al. 2017), word ranks by Zipf's law with exponent 1.

    Every token meets the head cluster and one row per tail; a tail cluster is met by the share of words in it.
    """
    bounds = [*cutoffs, vocabulary]
    harmonic = [log(n) + 0.5772156649015329 for n in bounds]  # H(n) to 1/(2n)
    rows = float(cutoffs[0] + len(cutoffs))
    for i in range(len(cutoffs)):
        rows += (bounds[i + 1] - bounds[i]) * (harmonic[i + 1] - harmonic[i]) / harmonic[-1]
    return round(rows)


def embedding_weights(v: VocabularySizes) -> list[Weight]:
    """Token, position and type tables, and the embedding's norm."""
    tables = [Weight("embedding", v.vocabulary * v.hidden, matmul=False)]
    small = v.positions * v.hidden + v.position_elements + v.token_types * v.hidden
    if small:
        tables.append(Weight("positions", small, "none", matmul=False))
    if v.embedding_norm:
        tables.append(Weight("norm", v.norm_width, "none", matmul=False))
    return tables


def head_weights(v: VocabularySizes) -> list[Weight]:
    """Final norm, transform, output matrix (tied: the embedding's, not counted again) and biases."""
    weights = [Weight("norm", v.norm_width, "none", matmul=False)] if v.final_norm else []
    if v.transform:
        weights.append(Weight("head", v.hidden**2, "none"))
        weights.append(Weight("head", v.hidden, "none", matmul=False))
        weights.append(Weight("norm", v.norm_width, "none", matmul=False))
        weights.append(Weight("head", v.outputs, matmul=False))
    if v.classes or not v.tied:
        weights.append(Weight("head", v.outputs * v.hidden))
    if v.classes:
        weights.append(Weight("head", v.outputs, "none", matmul=False))
    return weights


def head_flops(v: VocabularySizes, sequence: int) -> float:
    """Forward FLOPs of the head for one sample: 2·h·V per predicted position (and the transform's 2·h²)."""
    transform = v.hidden**2 if v.transform else 0
    return 2.0 * (v.predictions or sequence) * (v.hidden * v.met + transform)


def share(n: int, parts: int) -> int:
    """Rows of a table held by one of `parts` ranks (the table padded to a multiple)."""
    return -(-n // parts)


def embedding_layer(f: Frame, v: VocabularySizes) -> Layer:
    """Lookup of the local rows, sum over the tensor ranks, positions, dropout."""
    k = Kernels(f, "embedding", "embedding")
    k.left(embedding(k, v))
    return layer_of(k, embedding_parameters(f, v, share(v.vocabulary, f.tensor)), 1, f.rows * v.hidden * f.act)


def embedding(k: Kernels, v: VocabularySizes) -> Tensor:
    """The lookup; backward adds rows into the gradient of a dense table: zeroed, rows added, summed into the gradient
    buffer."""
    f, act = k.f, k.f.act
    local = share(v.vocabulary, f.tensor)
    row, table = v.hidden * act, local * v.hidden * act
    inside, elements, formats = f.tokens * v.hidden, f.rows * v.hidden, f.numerics.activations
    forward: list[Op] = [Gather("embedding.lookup", f.tokens, row, table, False, formats)]
    if f.tensor > 1:
        forward.append(pointwise(f, "embedding.mask", inside, act, act, 0.0))
        forward += collective(f, "embedding.reduce", "reduce_scatter" if f.sequence_parallel else "all_reduce", inside)
    backward = collective(f, "embedding.gather_grad", "all_gather", inside) if f.sequence_parallel else []
    backward.append(Gather("embedding.scatter", f.tokens, row, table, True, formats))
    backward.append(pointwise(f, "embedding.accumulate", local * v.hidden, 2 * act, 2 * act))
    x = k.kernel((), k.stored("rows", elements), forward, backward)
    return placed(k, x, learned=v.positions > 0, added=v.positions + v.token_types > 0, norm=v)


def placed(k: Kernels, x: Tensor, *, learned: bool, added: bool, norm: VocabularySizes | None = None) -> Tensor:
    """Positions (and token types) added, a norm, dropout."""
    f, act, elements = k.f, k.f.act, x.elements
    if added:
        add = pointwise(f, "embedding.positions", elements, 2 * act, act)
        back = [pointwise(f, "embedding.positions.backward", elements, act, 0.0)] if learned else []
        x = k.kernel((x,), k.stored("placed", elements), [add], back)
    if norm is not None and norm.embedding_norm:
        x = k.norm(x, "embedding.norm", f.rows, norm.hidden, norm.rms)
    return k.dropped(x, "embedding.dropout")


def embedding_parameters(f: Frame, v: VocabularySizes, local: int) -> tuple[Parameter, ...]:
    rows = 0 if v.tied and not v.classes else f.tokens  # a tied table has a dense gradient from the logits
    table = Parameter("embedding", local * v.hidden, "data", rows, v.hidden if rows else 0)
    rest = [Parameter(w.part, w.elements) for w in embedding_weights(v)[1:]]
    return (table, *rest)


def head_layer(f: Frame, v: VocabularySizes) -> Layer:
    """Final norm, logits over the local share of the vocabulary, cross-entropy."""
    seen = f.whole(f.sequence)
    part = (v.predictions or seen) / seen
    k = Kernels(f, "head", "head")
    x = k.taken("block output", f.rows * v.hidden)
    if v.final_norm:
        x = k.norm(x, "head.norm", f.rows, v.hidden, v.rms)
    if part < 1:
        tokens = max(1, round(f.tokens * part))
        k.f = replace(f, sub_batch=1, sequence=tokens, dropout=False)
        x = k.kernel((x,), k.stored("predicted", k.f.rows * v.hidden), [], [])
    if v.transform:
        x = transform(k, v, x)
    local = share(v.met, f.tensor) if not v.classes else v.classes
    loss(k, k.column(x, "head.logits", local, v.hidden, pieces=pieces(k.f, local, v.hidden)), local, len(v.cutoffs))
    return layer_of(k, head_parameters(f, v))


def pieces(f: Frame, local: int, hidden: int) -> int:
    """Parts of the tokens whose logits stand one after the other: as long, to the next power of two, as their logits
    are no more than the block's output (Liger Kernel, Hsu et al. 2024, arXiv 2410.10989, section 3.2)."""
    if f.numerics.loss != LossKernel.CHUNKED:
        return 1
    tokens = -(-f.tokens // -(-local // hidden))
    return -(-f.tokens // (1 << (tokens - 1).bit_length()))


def head_parameters(f: Frame, v: VocabularySizes) -> tuple[Parameter, ...]:
    """Weights of the head; a tied output matrix is a copy a stage without the embedding keeps."""
    own = held(head_weights(v), f)
    if v.classes or not v.tied:
        return own
    return (*own, Parameter("tied_embedding", 0.0, copy_elements=share(v.vocabulary, f.tensor) * v.hidden))


def transform(k: Kernels, v: VocabularySizes, x: Tensor) -> Tensor:
    """Dense, activation, norm before the logits (BERT)."""
    f, h, name = k.f, v.hidden, "head.transform"
    x = k.whole(x, name, f.rows, h, h)
    act = [pointwise(f, f"{name}.gelu", f.rows * h, f.act, f.act, 8.0)]
    back = [pointwise(f, f"{name}.gelu.backward", f.rows * h, 2 * f.act, f.act, 12.0)]
    x = k.kernel((x,), k.stored("activated", f.rows * h), act, back, saves=(x,))
    return k.norm(x, f"{name}.norm", f.rows, h, v.rms)


def loss(k: Kernels, logits: Tensor, local: int, cutoffs: int) -> None:
    """Cross-entropy: in fp32 passes that keep the softmax, or in one kernel that keeps the logits as they are."""
    f = k.f
    if f.primitive and cutoffs:
        kept = k.stored("logits", logits.elements)
        forward, backward = passes(f, "loss", logits.elements, adaptive_loss(cutoffs + 1))
        k.kernel((logits,), None, forward, backward, saves=(kept,), makes=(kept,))
        return
    kept = k.stored("softmax", f.tokens * local, FP32) if f.numerics.loss in WIDE else logits
    makes = (kept,) if kept is not logits else ()
    k.kernel((logits,), None, loss_forward(f, local), loss_backward(f, local), saves=(kept,), makes=makes)
    k.afterwards(metrics(f, f.tokens * local))


def adaptive_loss(clusters: int) -> Primitive:
    """TensorFlow 1's ops on the logits of an adaptive softmax: biases, log_softmax (its kernel reads three times), the
    rows of every cluster's targets taken out (boolean_mask); back, each cluster's rows put into zeros, these summed,
    and the gradient of log_softmax in four ops (mask_adaptive_logsoftmax of tf/model.py, nn_grad.py)."""
    forward: Steps = (("bias", 1, 1), ("softmax", 3, 1), ("rows", 1, 1))
    backward: Steps = (
        ("rows", 1, clusters + 1), ("sum", clusters, 1), ("exponential", 1, 1), ("total", 1, 0), ("product", 1, 1),
        ("difference", 2, 1), ("bias", 1, 0),
    )  # fmt: skip
    return Primitive(forward, backward)


WIDE: Final = (LossKernel.PASSES, LossKernel.PLAIN)
"""Ways of the loss that keep the (log-)softmax in fp32."""


def loss_forward(f: Frame, local: int) -> list[Op]:
    """Cross-entropy. Passes: widen, maximum, difference, exponential, sum, quotient; three small all-reduces. Plain:
    PyTorch's log_softmax reads the logits for the maximum, the sum and the result (SoftMax.cu)."""
    n, wide = float(f.tokens) * local, FP32
    ends = [collective(f, f"loss.{what}", "all_reduce", f.tokens, size=wide) for what in ("maximum", "target", "sum")]
    if f.numerics.loss not in WIDE:
        return [pointwise(f, "loss", n, 2 * f.act, 0.0, 5.0), *ends[0], *ends[2]]
    if f.numerics.loss == LossKernel.PLAIN:
        widen = pointwise(f, "loss.widen", n, f.act, wide, 0.0)
        return [widen, *ends[0], *ends[2], pointwise(f, "loss.log_softmax", n, 3 * wide, wide, 5.0), *ends[1]]
    return [
        pointwise(f, "loss.widen", n, f.act, wide, 0.0),
        pointwise(f, "loss.maximum", n, wide, 0.0),
        *ends[0],
        pointwise(f, "loss.difference", n, wide, wide),
        *ends[1],
        pointwise(f, "loss.exponential", n, wide, wide, 4.0),
        pointwise(f, "loss.sum", n, wide, 0.0),
        *ends[2],
        pointwise(f, "loss.quotient", n, wide, wide),
    ]


def metrics(f: Frame, logits: float) -> list[Op]:
    """Cross-entropy and perplexity of every micro-batch as Composer logs them after its backward pass: each widens the
    logits to fp32 and takes their log-softmax."""
    if f.numerics.loss != LossKernel.LOGGED:
        return []
    return [
        op
        for metric in ("cross_entropy", "perplexity")
        for op in (
            pointwise(f, f"metric.{metric}.widen", logits, f.act, FP32, 0.0),
            pointwise(f, f"metric.{metric}.softmax", logits, FP32, FP32, 5.0),
        )
    ]


def loss_backward(f: Frame, local: int) -> list[Op]:
    """Softmax less one-hot, scaled by the loss gradient, then narrowed for the products. Plain: nll_loss puts the
    gradient of each target among zeros, that of log_softmax reads it twice."""
    n, wide = float(f.tokens) * local, FP32
    if f.numerics.loss not in WIDE:
        return [pointwise(f, "loss.backward", n, f.act, f.act, 3.0)]
    if f.numerics.loss == LossKernel.PLAIN:
        return [
            pointwise(f, "loss.nll.backward", n, 0.0, wide, 0.0),
            pointwise(f, "loss.log_softmax.backward", n, 3 * wide, wide, 4.0),
            pointwise(f, "loss.narrow", n, wide, f.act, 0.0),
        ]
    return [
        pointwise(f, "loss.backward", n, wide, wide, 2.0),
        pointwise(f, "loss.narrow", n, wide, f.act, 0.0),
    ]
