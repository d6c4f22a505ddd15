"""What backward keeps and what it runs again, where results of chosen ops are kept: a policy is a set of ops.

Backward reads some results of the forward pass. Those that are kept are read; any other is made again by its op from
what that op reads, and so on back to what is kept or what the block received. What nobody reads is neither kept nor
made again, however it was chosen (Griewank and Walther 2000; `jax.checkpoint` policies, PyTorch's selective
checkpointing).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.ops import Gemm, Op
from sim.workload.graph import Dataflow, Node, Tensor

PRODUCTS: Final = "products"
"""All matrix products without a batch: projections, not scores (XLA's `dots_with_no_batch_dims_saveable`)."""


def chosen(op: Op, saved_ops: Sequence[str]) -> bool:
    """Whether the result of an op is kept: by its name, a pattern of names (`mlp.*`), or as one of the products."""
    product = isinstance(op, Gemm) and op.batch == 1 and PRODUCTS in saved_ops
    return product or any(fnmatchcase(op.name, name) for name in saved_ops)


def checkpointed(flow: Dataflow, saved_ops: Sequence[str]) -> tuple[float, tuple[Op, ...]]:
    """(bytes kept, ops run again in order) where the block keeps what it received and the results of `saved_ops`."""
    kept_by = [chosen(node.op, saved_ops) for node in flow.nodes]
    maker = {tensor: place for place, node in enumerate(flow.nodes) for tensor in node.outputs}
    kept: set[Tensor] = set()
    again: set[int] = set()
    due = list(flow.read)
    while due:
        tensor = due.pop()
        place = maker.get(tensor)
        if place is None or kept_by[place]:
            kept.add(tensor)
        elif place not in again:
            again.add(place)
            due += _activations(flow.nodes[place])
    return sum(t.total_bytes for t in kept), tuple(flow.nodes[place].op for place in sorted(again))


def _activations(node: Node) -> Iterable[Tensor]:
    return (tensor for tensor in node.inputs if tensor.kind == "activation")


def refuse_unknown_ops(saved_ops: Sequence[str], flows: Iterable[Dataflow | None]) -> None:
    """Refuse names that no op of any block has."""
    ops = [node.op for flow in flows if flow is not None for node in flow.nodes]
    names = sorted({op.name for op in ops})
    problems = [
        Problem("no block of the model has such an op", "plan.saved_ops", name, hint=_near(name, names))
        for name in saved_ops
        if not any(chosen(op, (name,)) for op in ops)
    ]
    if problems:
        raise InputError(*problems)


def _near(name: str, names: Sequence[str]) -> str:
    return did_you_mean(name, names) or f"{PRODUCTS}, or one of {', '.join(names)}" if names else ""
