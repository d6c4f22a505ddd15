"""Which part of the collectives inside a block its kernels hide.

* `none`: every collective is waited for (Megatron-LM before 3.0, Megatron-DeepSpeed).
* `gradients`: a collective of the input gradient runs beside the product for the weight gradient that follows it, and
  a gather for the weight gradient beside the product before (Korthikanti et al. 2022, §4.2.2; Megatron-LM 3.0).
* `all`: besides, a gather or scatter over t ranks is cut into t pieces beside the product it feeds or follows, of which
  only the own piece needs no partner: (t−1)/t of the product can hide it (Wang et al., ASPLOS 2023; Transformer
  Engine's `ub_tp_comm_overlap`). The pieces are copies between registered buffers, so that no collective is launched
  for them. An all-reduce is not cut: the pieces need sequence parallelism.
Keys and values in a ring of c context ranks take c − 1 steps, each beside the attention to those of the step before:
(c−1)/c of the kernel can hide them (Liu et al. 2023, arXiv:2310.01889, §3). Gathered whole, they are waited for.
Exchanges with experts may run beside the kernels of another micro-batch, whose forward pass is interleaved with this
one's backward pass (DualPipe; DeepSeek-V3, arXiv 2412.19437, §3.2.1): hidden up to all kernels of the block, at the
cost of 20 of 132 units (§3.2.2).
A hidden collective takes a share c of the compute units from the kernel beside it: c/(1−c) of its time is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sim.ops import Collective, Gemm, Op
from sim.plan.framework import TensorOverlap
from sim.records import dataclass

EXPERT_SHARE: Final = 20 / 132  # of an H800; as printed (DeepSeek-V3, §3.2.2), used for every chip


@dataclass(frozen=True, slots=True)
class OverlapRule:
    """The rule, the ranks of the tensor and the context group, and the share of compute units that a hidden collective
    takes."""

    tensor: TensorOverlap = TensorOverlap.GRADIENTS
    ranks: int = 1
    share: float = 0.0
    experts: bool = False
    context: int = 1


def exposed(
    ops: Sequence[Op],
    rule: OverlapRule,
    collective: Callable[[Collective], float],
    kernel: Callable[[Op], float],
    pieces: Callable[[Collective], float] | None = None,
    lesser: Callable[[float, float], float] = min,
) -> tuple[float, dict[str, float]]:
    """(seconds the collectives add to the kernels, seconds of all collectives by axis).

    `collective` times one launched as a whole, `pieces` one cut into copies (as a whole where not given).
    """
    added = 0.0
    axes: dict[str, float] = {}
    for place, op in [(place, op) for place, op in enumerate(ops) if isinstance(op, Collective)]:
        cut, ranks = _fed(ops, place, rule), rule.context if op.axis == "context" else rule.ranks
        if cut is None:
            seconds, cover = collective(op), _beside(ops, place, rule, kernel)
        else:
            seconds, cover = (pieces or collective)(op), kernel(cut) * (1.0 - 1.0 / ranks)
        axes[op.axis] = axes.get(op.axis, 0.0) + seconds
        hidden = lesser(seconds, cover)
        share = rule.share if op.axis == "tensor" else 0.0
        if not (rule.experts and op.axis == "expert"):
            added += seconds - hidden + hidden * share / (1.0 - share)
    if rule.experts and "expert" in axes:
        hidden = lesser(axes["expert"], sum(kernel(op) for op in ops if not isinstance(op, Collective)))
        added += axes["expert"] - hidden + hidden * EXPERT_SHARE / (1.0 - EXPERT_SHARE)
    return added, axes


def _beside(ops: Sequence[Op], place: int, rule: OverlapRule, kernel: Callable[[Op], float]) -> float:
    """Seconds of the kernel beside which the whole collective at `place` runs; 0 where none does."""
    op, following = ops[place], ops[place + 1] if place + 1 < len(ops) else None
    if not isinstance(op, Collective) or not op.overlap or (op.axis == "tensor" and rule.tensor == TensorOverlap.NONE):
        return 0.0
    return kernel(following) if following is not None and not isinstance(following, Collective) else 0.0


def _fed(ops: Sequence[Op], place: int, rule: OverlapRule) -> Op | None:
    """The kernel in whose pieces the collective at `place` is cut; None where it is launched as a whole."""
    op = ops[place]
    if isinstance(op, Collective) and op.axis == "context" and op.overlap:
        return ops[place + 1]
    if not isinstance(op, Collective) or op.overlap or op.axis != "tensor" or rule.tensor != TensorOverlap.ALL:
        return None
    if op.kind not in ("all_gather", "reduce_scatter"):
        return None
    return _product(ops[place + 1 : place + 4] if op.kind == "all_gather" else ops[max(0, place - 1) : place])


def _product(ops: Sequence[Op]) -> Gemm | None:
    """The first product among the neighbours (casts may lie between)."""
    for op in ops:
        if isinstance(op, Collective):
            return None
        if isinstance(op, Gemm):
            return op
    return None
