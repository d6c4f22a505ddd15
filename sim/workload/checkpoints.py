"""What backward keeps and what it runs again, where results of chosen ops are kept: a policy is a set of ops.

Backward reads some results of the forward pass. Those that are kept are read; any other is made again by its op from
what that op reads, and so on back to what is kept or what the block received. What nobody reads is neither kept nor
made again, however it was chosen (Griewank and Walther 2000; `jax.checkpoint` policies, PyTorch's selective
checkpointing).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, Final, NamedTuple

from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.ops import BYTES_PER_ELEMENT, Collective, Gemm, Op, Pointwise
from sim.workload.graph import Dataflow, Node, Tensor

PRODUCTS: Final = re.compile(r"products(?:/([1-9]\d*))?")
"""All matrix products without a batch: projections, not scores (XLA's `dots_with_no_batch_dims_saveable`), or every
so manieth of a block: of `products/2` the first, the third (torchtitan's `_custom_policy`).  Of all of them results are
kept as the model has them: of one whose terms lie on several ranks the sum."""


class Kept(NamedTuple):
    """How much of an op's result is kept, and in which format (empty: as it is)."""

    share: float
    format: Any = ""

    def nbytes(self, tensor: Tensor) -> float:
        """Bytes kept of a tensor."""
        whole = tensor.total_bytes
        if self.format:
            whole = min(whole, tensor.elements * tensor.steps * BYTES_PER_ELEMENT[self.format])
        return self.share * whole


def kept_results(ops: Iterable[Op], saved_ops: Sequence[str]) -> list[Kept]:
    """What is kept of the result of each op: chosen by name, by a pattern of names (`mlp.*`), or as products, each with
    the format after a colon.  What several choose is kept as the one that keeps most of it says, in its format if one
    has any.

    Products are counted as the model has them, in the order they run: query, key and value are three.
    """
    entries = [(*saved_entry(text), PRODUCTS.fullmatch(saved_entry(text)[0])) for text in saved_ops]
    numbers = count()
    kept = []
    for op in ops:
        widths = (op.parts or (op.n,)) if isinstance(op, Gemm) and op.batch == 1 else ()
        counted = list(zip(widths, numbers, strict=False))
        most = Kept(0.0)
        for name, form, products in entries:
            share = float(fnmatchcase(op.name, name) or (name == "products" and _sums(op)))
            if products and counted:
                stride = int(products[1] or 1)
                share = sum(width for width, number in counted if number % stride == 0) / sum(widths)
            most = max(most, Kept(share, form), key=lambda one: (one.share, one.format != ""))
        kept.append(most)
    return kept


def _sums(op: Op) -> bool:
    """Whether it adds the terms of a product that lie on several ranks."""
    return isinstance(op, Collective) and op.name.endswith(".reduce")


def saved_entry(text: str) -> tuple[str, str]:
    """(name, format) of `NAME` or `NAME:FORMAT`."""
    name, _, form = text.partition(":")
    return name, form


def checkpointed(flow: Dataflow, saved_ops: Sequence[str]) -> tuple[float, tuple[Op, ...]]:
    """(bytes kept, ops run again in order) where the block keeps what it received and the results of `saved_ops`."""
    results = kept_results((node.op for node in flow.nodes), saved_ops)
    maker = {tensor: place for place, node in enumerate(flow.nodes) for tensor in node.outputs}
    kept: dict[Tensor, float] = {}
    again: dict[int, tuple[Op, ...]] = {}
    due = list(flow.read)
    while due:
        tensor = due.pop()
        place = maker.get(tensor)
        result = Kept(1.0) if place is None else results[place]
        kept[tensor] = result.nbytes(tensor)
        if place is not None and place not in again:
            node = flow.nodes[place]
            again[place] = (*_rest(node.op, result), *_copies(node, result))
            due += _activations(node) if result.share < 1.0 else ()
    return sum(kept.values()), tuple(op for place in sorted(again) for op in again[place])


def _rest(op: Op, kept: Kept) -> Iterator[Op]:
    """What is left to run of an op of whose result a share is kept: the other products of those that run as one."""
    if kept.share < 1.0:
        yield replace(op, n=round(op.n * (1.0 - kept.share)), parts=()) if kept.share and isinstance(op, Gemm) else op


def _copies(node: Node, kept: Kept) -> Iterator[Op]:
    """Passes that narrow what is kept in a format of its own, and widen it again: both counted in backward."""
    result = node.outputs[0]
    narrow = kept.nbytes(result)
    wide = kept.share * result.total_bytes
    if narrow < wide:
        both = wide + narrow
        yield Pointwise(f"{node.op.name}.kept", result.elements * result.steps * kept.share, both, both)


def _activations(node: Node) -> Iterable[Tensor]:
    return (tensor for tensor in node.inputs if tensor.kind == "activation")


def refuse_unknown_ops(saved_ops: Sequence[str], flows: Iterable[Dataflow | None]) -> None:
    """Refuse names that no op of any block has."""
    blocks = [[node.op for node in flow.nodes] for flow in flows if flow is not None]
    names = sorted({op.name for ops in blocks for op in ops})
    problems = [
        Problem("no block of the model has such an op", "plan.saved_ops", name, hint=_near(saved_entry(name)[0], names))
        for name in saved_ops
        if not any(any(one.share for one in kept_results(ops, (name,))) for ops in blocks)
    ]
    if problems:
        raise InputError(*problems)


def _near(name: str, names: Sequence[str]) -> str:
    return did_you_mean(name, names) or f"products, products/2, or one of {', '.join(names)}" if names else ""
