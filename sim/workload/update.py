"""Optimiser update: what one step of SGD, momentum, Adagrad, Adam, LARS or LAMB reads, computes and writes per weight.

FLOPs per weight (counting every addition, multiplication, division and square root once):
SGD w −= η·g: 2; momentum v = μ·v + g, w −= η·v: 4; Adagrad (Duchi et al. 2011) v += g², w −= η·g/(√v + ε): 7; Adam
(Kingma & Ba 2015, Algorithm 1, bias corrections folded into the step size): m 3, v 4, w 5 = 12. A rate for every
tensor: norms of two 4, decay 2, on top of momentum (LARS: You, Gitman & Ginsburg 2017, Algorithm 1) or Adam (LAMB: You
et al. 2020, Algorithm 2, which scales its term: 2 more).
"""

from __future__ import annotations

from dataclasses import replace

from sim.ops import BYTES_PER_ELEMENT, Format, Gather, Op, Pointwise
from sim.workload.records import BY_ROWS, Numerics, OptimizerName, Parameter

MOMENTS = {
    OptimizerName.SGD: 0,
    OptimizerName.MOMENTUM: 1,
    OptimizerName.ADAGRAD: 1,
    OptimizerName.ADAM: 2,
    OptimizerName.LARS: 1,
    OptimizerName.LAMB: 2,
}
#: Operations per weight of each update rule, counted; of LARS and LAMB without the norms and the scaling.
FLOPS = {
    OptimizerName.SGD: 2.0,
    OptimizerName.MOMENTUM: 4.0,
    OptimizerName.ADAGRAD: 7.0,
    OptimizerName.ADAM: 12.0,
    OptimizerName.LARS: 6.0,
    OptimizerName.LAMB: 14.0,
}
NORMS_FLOPS = 4.0  # per weight: two tensors squared and summed


def update_ops(elements: float, numerics: Numerics) -> tuple[Op, ...]:
    """The update of `elements` weights: gradient, moments and the updated copy are streamed in one pass.

    LARS reads weights and gradients once before, for their norms. LAMB writes its term, reads it and the weights for
    their norms, and both again to update (the two phases of NVIDIA apex, csrc/multi_tensor_lamb_stage_1.cu, _2.cu).
    """
    if elements <= 0:
        return ()
    if numerics.optimizer == OptimizerName.ADAM and numerics.eager_update:
        return (*clip_ops(elements, replace(numerics, clip=True)), *_eager_adam(elements, numerics))
    gradient = BYTES_PER_ELEMENT[numerics.gradients]
    moments = MOMENTS[numerics.optimizer] * BYTES_PER_ELEMENT[numerics.optimizer_format]
    weights = BYTES_PER_ELEMENT[numerics.weights]
    updated = BYTES_PER_ELEMENT[numerics.master] if numerics.master else weights
    reads = elements * (gradient + moments + updated)
    writes = elements * (moments + updated + (weights if numerics.master else 0.0))
    rule, kept = numerics.optimizer, numerics.master or numerics.weights
    before = clip_ops(elements, numerics)
    after: tuple[Op, ...] = ()
    pair = 2.0 * elements * updated
    if rule == OptimizerName.LARS:
        before += (_pass("norms", elements, elements * (gradient + updated), 0.0, NORMS_FLOPS, kept),)
    if rule == OptimizerName.LAMB:
        after = (
            _pass("norms", elements, pair, 0.0, NORMS_FLOPS, kept),
            _pass("lamb step", elements, pair, writes - elements * moments, 2.0, kept),
        )
        writes = elements * (moments + updated)  # the term in the weights' place
    return (*before, _pass(f"{rule} update", elements, reads, writes, FLOPS[rule], kept), *after)


def _pass(name: str, elements: float, reads: float, writes: float, flops: float, number: Format) -> Pointwise:
    """One pass over tensors that lie in memory before and after."""
    return Pointwise(name, elements, reads, writes, flops, number, stored=True)


def clip_ops(elements: float, numerics: Numerics) -> tuple[Op, ...]:
    """Clipping by the global norm: one pass squares and sums the gradients, one scales them."""
    if not numerics.clip:
        return ()
    moved = elements * BYTES_PER_ELEMENT[numerics.gradients]
    norm = _pass("gradient norm", elements, moved, 0.0, 2.0, numerics.gradients)
    return (norm, _pass("clip gradient", elements, moved, moved, 1.0, numerics.gradients))


EAGER_ADAM = (
    ("decay", "w", "w"),
    ("decay m", "m", "m"),
    ("add to m", "mg", "m"),
    ("decay v", "m", "m"),
    ("add to v", "mg", "m"),
    ("root", "m", "w"),
    ("correct", "w", "w"),
    ("add epsilon", "w", "w"),
    ("step", "wmw", "w"),
)
"""Kernels of AdamW (Loshchilov & Hutter 2019) after clipping, one per tensor operation of the algorithm as eager
PyTorch runs it: what each reads and writes (g gradient, w weight or a temporary of its format, m a moment)."""


def _eager_adam(elements: float, numerics: Numerics) -> tuple[Op, ...]:
    """Adam one tensor operation after the other, each streaming its operands, and the copy the products read."""
    owned = numerics.master or numerics.weights
    moment = BYTES_PER_ELEMENT[numerics.optimizer_format]
    size = {"g": BYTES_PER_ELEMENT[numerics.gradients], "w": BYTES_PER_ELEMENT[owned], "m": moment}
    ops: list[Op] = []
    for name, reads, writes in EAGER_ADAM:
        read, written = (elements * sum(size[x] for x in names) for names in (reads, writes))
        ops.append(_pass(f"adam: {name}", elements, read, written, FLOPS[OptimizerName.ADAM] / len(EAGER_ADAM), owned))
    if numerics.master:
        copy = elements * BYTES_PER_ELEMENT[numerics.weights]
        ops.append(_pass("adam: copy", elements, elements * size["w"], copy, 0.0, owned))
    return tuple(ops)


def sparse_update_ops(rows: int, row_elements: int, table_elements: float, numerics: Numerics) -> tuple[Op, ...]:
    """Update of `rows` rows of an embedding table and of their moments: scale the gradient rows, scatter them into it;
    fused, one kernel does both."""
    size = BYTES_PER_ELEMENT[numerics.weights]
    moments = MOMENTS[numerics.optimizer] * BYTES_PER_ELEMENT[numerics.optimizer_format]
    elements = float(rows * row_elements)
    row = row_elements * (size + moments)
    scaled = _pass("scale sparse gradient", elements, elements * size, elements * size, 1.0, numerics.weights)
    return (
        *clip_ops(elements, numerics),
        *(() if numerics.fused else (scaled,)),
        Gather("sparse update", rows, row, table_elements * (size + moments), True, numerics.weights),
    )


def parameter_update(parameter: Parameter, numerics: Numerics) -> tuple[Op, ...]:
    """The update of one parameter tensor; only the touched rows of an embedding if no moment decays."""
    if parameter.sparse_rows and numerics.optimizer in BY_ROWS:
        return sparse_update_ops(parameter.sparse_rows, parameter.row_elements, parameter.elements, numerics)
    return update_ops(parameter.elements, numerics)
