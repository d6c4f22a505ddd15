"""The primitives of a block of a Transformer: each states once what runs forward and backward, what is kept for
backward and what comes and goes; the tape puts them together.

A `Frame` holds what every part of a block shares: formats, tokens on this device, degrees.  Two token counts matter:
`tokens` inside a tensor-parallel region (each rank sees all of them) and `rows` between the regions, which sequence
parallelism divides by the tensor degree (Korthikanti et al. 2022, section 4.2.2).  Byte counts per element follow the
kernels of Megatron-LM: bias-GELU, bias-dropout-add, scaled masked softmax and LayerNorm are one pass each when fused;
unfused, every elementwise op streams its operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Literal, NamedTuple, TypeAlias

from sim.ops import BLOCKS, BYTES_PER_ELEMENT, Collective, CollectiveKind, Gather, Gemm, Op, Pointwise
from sim.records import dataclass
from sim.workload.graph import LayerKind, Node, Tensor
from sim.workload.recorder import Note, Recorder
from sim.workload.records import Numerics, Parameter, Shard

MASK: int = 1  # bytes of one element of a dropout mask
FP32: int = 4

Steps: TypeAlias = tuple[tuple[str, float, float], ...]
"""Passes of an unfused chain: name, bytes read, bytes written per element."""


class Primitive(NamedTuple):
    """Passes of TensorFlow 1's own ops for what other frameworks have a kernel for: elements read, written of each."""

    forward: Steps
    backward: Steps


#: nn.moments and nn.batch_normalization, as contrib.layers.layer_norm calls them (nn_impl.py, TensorFlow 1.15), and
#: their gradients op by op; what is one figure per row or column is left out.
LAYER_NORM = Primitive(
    (("mean", 1, 0), ("difference", 1, 1), ("variance", 1, 0), ("inverse", 0, 1), ("scale", 2, 1), ("shift", 1, 1),
     ("offset", 1, 1), ("add", 2, 1)),
    (("offset", 1, 0), ("scale.input", 2, 1), ("scale.inverse", 2, 1), ("negate", 1, 1), ("shift.mean", 2, 1),
     ("mean.sum", 1, 0), ("shift.inverse", 1, 1), ("inverse.sum", 2, 1), ("weight", 1, 1), ("weight.sum", 1, 0),
     ("root", 1, 1), ("root.sum", 1, 0), ("variance", 0, 1), ("deviation", 1, 1), ("difference", 2, 1), ("mean", 0, 1),
     ("sum", 3, 1)),
)  # fmt: skip

#: nn.dropout: uniform numbers, kept ones as 0 and 1, inputs scaled, their product (nn_ops.py, TensorFlow 1.15).
DROPOUT = Primitive(
    (("uniform", 0, 1), ("keep", 1, 0.25), ("cast", 0.25, 1), ("scale", 1, 1), ("product", 2, 1)),
    (("product", 2, 1), ("scale", 1, 1)),
)  # fmt: skip


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Shard):
    """Formats, degrees and token counts of one device for one sub-batch."""

    numerics: Numerics
    sub_batch: int
    sequence: int  # tokens of one sample on this device
    dropout: bool = False
    tokens: int = field(init=False)
    rows: int = field(init=False)
    act: float = field(init=False)  # bytes of a stored activation
    operand: float = field(init=False)  # bytes of a stored operand of a matrix product
    mask: int = field(init=False)

    @property
    def primitive(self) -> bool:
        """Whether every op of TensorFlow 1 is a pass."""
        return self.numerics.shape_ops and not self.numerics.fused

    def __post_init__(self) -> None:
        tokens = self.sub_batch * self.sequence
        put = object.__setattr__
        put(self, "tokens", tokens)
        put(self, "rows", -(-tokens // self.tensor) if self.sequence_parallel else tokens)
        put(self, "act", BYTES_PER_ELEMENT[self.numerics.activations])
        put(self, "operand", min(self.act, BYTES_PER_ELEMENT[self.numerics.compute]))
        put(self, "mask", MASK if self.dropout else 0)


class Kernels(Recorder):
    """A tape of one layer whose primitives are kernels: ops with their bytes, never fused any further."""

    def __init__(self, f: Frame, layer: str, kind: LayerKind = "block") -> None:
        super().__init__(f.numerics)
        self.f = f
        self._literal = self._fuses = False
        self._narrow: dict[Tensor, Tensor] = {}
        self.section(layer, kind)

    def stored(self, name: str, elements: float, size: float | None = None, *, core: bool = False) -> Tensor:
        """An activation of `size` bytes an element (as activations are stored, unless given)."""
        return Tensor(name, elements, elements * (self.f.act if size is None else size), core=core)

    def taken(self, name: str, elements: float) -> Tensor:
        """What the layer receives from the one before; its gradient is complete at the end of backward."""
        x = self.stored(name, elements)
        self._now.inputs.append(x)
        return self._note((), x, lambda dy: None)

    def left(self, x: Tensor) -> None:
        """What the layer leaves to the next one, whose gradient arrives from there."""
        self._uses[x] += 1
        arrives = self._alike(x, "gradient")
        self._notes.append(
            Note(self._now, self.stored("next", 0), lambda dy: self._parts.setdefault(x, []).append(arrives))
        )

    def operand(self, x: Tensor, product: str) -> Tensor:
        """What a product keeps of its input: the input, or its copy in the narrower format of products, which the first
        product to read it casts."""
        if self.f.operand == self.f.act:
            return x
        return self._narrow.setdefault(x, self.stored(f"{product}.cast", x.elements, self.f.operand))

    def kernel(
        self,
        inputs: Sequence[Tensor],
        out: Tensor | None,
        forward: Sequence[Op],
        backward: Sequence[Op],
        *,
        saves: Sequence[Tensor] = (),
        makes: Sequence[Tensor] = (),
        scratch: float = 0.0,
        joins: bool = False,
        core: bool = False,
    ) -> Tensor:
        """One primitive: `forward` reads `inputs` and leaves `out`; `backward` turns its gradient into theirs.

        `saves` is kept for backward, among it what the kernel `makes` beside its result; `scratch` [B] comes and goes
        in backward; `joins`: the inputs' gradients are added into those of their other readers within the kernels.
        Without ops the result is the input under another name, and so is the gradient.
        """
        result = out or self.stored("loss", 0)
        if forward or inputs:
            self._chain(forward, inputs, (result, *makes), core)

        def pull(dy: Tensor) -> None:
            if not backward and not joins:
                for tensor in inputs:
                    self._pass(tensor, dy)
                return
            parts = () if joins else tuple(self._part(tensor) for tensor in inputs)
            aside = (self.stored("scratch", scratch, 1.0),) if scratch else ()
            if backward:
                self._chain(backward, (dy, *saves), (*parts, *aside), core)

        return self._note(() if joins else inputs, result, pull)

    def _chain(self, ops: Sequence[Op], inputs: Sequence[Tensor], outputs: Sequence[Tensor], core: bool) -> None:
        """Ops one after the other, each reading what the last one wrote; inputs and what was gathered stay to the end.

        The last op that leaves anything makes the outputs, but for what an earlier op of the name makes beside the
        result; sums into gradients of weights may follow it.
        """
        if not ops:
            self._rename(inputs[0], outputs[0])
        sizes = [temporary(op) for op in ops]
        final = max((place for place, size in enumerate(sizes) if size), default=len(ops) - 1)
        between: tuple[Tensor, ...] = ()
        whole = tuple(inputs)
        beside = {tensor.name: tensor for tensor in outputs[1:]}
        for place, (op, size) in enumerate(zip(ops, sizes, strict=True)):
            made: tuple[Tensor, ...] = ()
            if place == final:
                made = (*outputs[:1], *beside.values())
            elif size:
                made = (beside.pop(op.name) if op.name in beside else self.stored(op.name, size, 1.0),)
            self._now.nodes.append(Node(op, (*whole, *between), made, reduction=True, core=core))
            if isinstance(op, Collective) and op.kind == "all_gather":
                whole = (*whole, *made)
            elif made or place == final:
                between = made if place < final else ()

    def afterwards(self, ops: Sequence[Op]) -> None:
        """Ops of a pass that run when backward is over: what they leave never meets what backward needs."""
        self._now.nodes += [Node(op, (), (), reduction=True) for op in ops]

    def _rename(self, x: Tensor, result: Tensor) -> None:
        """`x` goes on as `result`, without an op."""
        for place, node in enumerate(self._now.nodes):
            if x in node.outputs:
                outputs = tuple(result if t is x else t for t in node.outputs)
                self._now.nodes[place] = replace(node, outputs=outputs)

    def dropped(self, x: Tensor, name: str) -> Tensor:
        """Dropout with a pass of its own; its mask is kept."""
        f, n = self.f, x.elements
        if not f.mask:
            return x
        mask, (forward, backward) = self.stored("mask", n, f.mask), dropout(f, name, n)
        return self.kernel((x,), self.stored("dropped", n), forward, backward, saves=(mask,), makes=(mask,))

    # ---- linear layers

    def column(
        self,
        x: Tensor,
        name: str,
        n: int,
        k: int,
        *,
        parts: tuple[int, ...] = (),
        bias: bool = False,
        folded: bool = False,
        joins: bool = False,
        pieces: int = 1,
    ) -> Tensor:
        """Y = X·W with the columns of W split over the tensor ranks; `folded`: the pass that follows adds the bias;
        `pieces` of the tokens one after the other, each through all that follows, so that Y is never whole.

        Under sequence parallelism X is gathered first, and again beside dX = dY·Wᵀ, which is reduced over the ranks
        while dW = Xᵀ·dY runs.
        """
        f, inputs = self.f, self.f.tokens * k
        wide, sp = f.tokens * n, f.sequence_parallel
        gather = collective(f, f"{name}.gather", "all_gather", inputs) if sp else []
        again = collective(f, f"{name}.gather_again", "all_gather", inputs, overlap=True) if sp else []
        kind: CollectiveKind = "reduce_scatter" if sp else "all_reduce"
        rows = -(-f.tokens // pieces)
        product = replace(gemm(f, name, rows, n, k, parts=parts), count=pieces)
        dgrad = replace(gemm(f, f"{name}.dgrad", rows, k, n), count=pieces)
        wgrad = replace(weight_gradient(f, f"{name}.wgrad", n, k, rows), count=pieces)
        forward = [*gather, *casts(f, name, inputs), *weight_casts(f, name, n * k), product]
        backward = [
            *casts(f, f"{name}.grad", wide),
            *again,
            dgrad,
            *collective(f, f"{name}.reduce_grad", kind, inputs, overlap=True),
            wgrad,
            *(bias_gradient(f, name, wide) if bias else []),
        ]
        forward += bias_pass(f, name, wide) if bias and not folded else []
        return self._linear(x, name, wide / pieces, forward, backward, joins)

    def row(self, x: Tensor, name: str, n: int, k: int) -> Tensor:
        """Y = X·W with the rows of W split: partial sums are reduced (scattered under sequence parallelism), and dY is
        gathered first under sequence parallelism."""
        f, sp = self.f, self.f.sequence_parallel
        kind: CollectiveKind = "reduce_scatter" if sp else "all_reduce"
        forward = [
            *casts(f, name, f.tokens * k),
            *weight_casts(f, name, n * k),
            gemm(f, name, f.tokens, n, k),
            *collective(f, f"{name}.reduce", kind, f.tokens * n),
        ]
        backward = [
            *(collective(f, f"{name}.gather_grad", "all_gather", f.tokens * n) if sp else []),
            *casts(f, f"{name}.grad", f.tokens * n),
            gemm(f, f"{name}.dgrad", f.tokens, k, n),
            weight_gradient(f, f"{name}.wgrad", n, k, f.tokens),
        ]
        return self._linear(x, name, f.rows * n, forward, backward)

    def whole(
        self, x: Tensor, name: str, m: int, n: int, k: int, *, parts: tuple[int, ...] = (), joins: bool = False
    ) -> Tensor:
        """Y = X·W on every rank alike, m rows of it."""
        backward = [gemm(self.f, f"{name}.dgrad", m, k, n), weight_gradient(self.f, f"{name}.wgrad", n, k, m)]
        return self._linear(x, name, m * n, [gemm(self.f, name, m, n, k, parts=parts)], backward, joins)

    def _linear(
        self, x: Tensor, name: str, elements: float, forward: Sequence[Op], backward: Sequence[Op], joins: bool = False
    ) -> Tensor:
        kept = self.operand(x, name)
        out = self.stored(name, elements)
        makes = () if kept is x else (kept,)
        return self.kernel((x,), out, forward, backward, saves=(kept,), makes=makes, joins=joins)

    # ---- pointwise chains

    def norm(
        self,
        x: Tensor,
        name: str,
        rows: float,
        width: int,
        rms: bool,
        *,
        joins: bool = False,
        part: Tensor | None = None,
    ) -> Tensor:
        """LayerNorm or RMSNorm: one read, one write; an unfused RMSNorm is computed in fp32 step by step.

        Backward reads dY and X for the gradients of input and weight.  `part`: only so much of X is normalised.
        """
        f, a, wide = self.f, self.f.act, FP32
        steps: Steps = (("widen", a, wide), ("square", wide, wide), ("mean", wide, 0), ("scale", wide, wide))
        steps = (*steps, ("narrow", wide, a), ("weight", a, a))
        back: Steps = (("input", 2 * a, a), ("weight", 2 * a, 0.0))
        if rms:
            back = (("weight", 2 * a, a), ("widen", a, wide), ("scale", 3 * wide, 2 * wide), ("square", 2 * wide, wide))
            back = (*back, ("sum", 2 * wide, wide), ("narrow", wide, a))
        n = rows * width
        forward = chain(f, name, n, (a, a, 8.0), steps) if rms else [pointwise(f, name, n, a, a, 8.0)]
        backward = chain(f, f"{name}.backward", n, (2 * a, a, 12.0), back)
        if f.primitive and not rms:
            forward, backward = passes(f, name, n, LAYER_NORM)
        if part is None:
            return self.kernel((x,), self.stored(name, n), forward, backward, saves=(x,), joins=joins)
        out = self.stored(name, x.elements)
        return self.kernel((x,), out, forward, backward, saves=(part,), makes=(part,), joins=joins)

    def add(self, x: Tensor, branch: Tensor, name: str, bias: bool) -> Tensor:
        """x + dropout(branch + bias): reads both, writes the sum and the mask; the sum's gradient goes to x as it is,
        through the dropout to the branch, and summed over the rows to the bias."""
        f, a = self.f, self.f.act
        n = x.elements
        steps: Steps = (("bias", a, a),) if bias else ()
        drop, back = dropout(f, f"{name}.dropout", n)
        forward = chain(f, name, n, (2 * a, a + f.mask, 3.0), steps)
        if not f.numerics.fused:
            forward += [*drop, pointwise(f, f"{name}.add", n, 2 * a, a)]
        out, mask = self.stored(name, n), self.stored(f"{name} mask", n, f.mask)
        self._chain(forward, (x, branch), (out, mask) if f.mask else (out,), False)

        def pull(dy: Tensor) -> None:
            if f.mask:
                self._chain(back, (dy, mask), (self._part(branch),), False)
            else:
                self._pass(branch, dy)
            if bias:
                self._chain(bias_gradient(f, name, n), (dy,), (), False)
            self._pass(x, dy)

        return self._note((x, branch), out, pull)


def temporary(op: Op) -> float:
    """Bytes of what an op leaves to the next one of its kernel; sums into weights' gradients leave nothing, and an
    all-reduce works in place."""
    if isinstance(op, Collective):
        return 0.0 if op.kind == "all_reduce" else op.bytes
    into = (isinstance(op, Gemm) and op.transposed) or (isinstance(op, Gather) and op.scatter)
    return 0.0 if into else op.bytes_written


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


def passes(f: Frame, name: str, elements: float, what: Primitive) -> tuple[list[Op], list[Op]]:
    """Forward and backward of TensorFlow's own ops."""

    def each(steps: Steps, label: str) -> list[Op]:
        return [pointwise(f, f"{label}.{step}", elements, r * f.act, w * f.act) for step, r, w in steps]

    return each(what.forward, name), each(what.backward, f"{name}.backward")


def dropout(f: Frame, name: str, elements: float) -> tuple[list[Op], list[Op]]:
    """Dropout forward and backward, by a mask of a byte an element; nothing without one."""
    if not f.mask:
        return [], []
    if f.primitive:
        return passes(f, name, elements, DROPOUT)
    a = f.act
    return [pointwise(f, name, elements, a, a + f.mask)], [pointwise(f, f"{name}.backward", elements, a + f.mask, a)]


def collective(
    f: Frame, name: str, kind: CollectiveKind, elements: float, overlap: bool = False, size: float | None = None
) -> list[Op]:
    """A tensor-parallel collective over a buffer of `elements`, none when the tensor degree is 1."""
    if f.tensor == 1:
        return []
    return [
        Collective(name, kind, elements * (f.act if size is None else size), "tensor", f.numerics.activations, overlap)
    ]


def gemm(f: Frame, name: str, m: int, n: int, k: int, batch: int = 1, parts: tuple[int, ...] = ()) -> Gemm:
    """A product of the compute format whose result is stored as an activation; `parts`: as which it is counted."""
    numerics = f.numerics
    sparsity = numerics.sparsity(name) if numerics.sparse_products else None
    return Gemm(name, m, n, k, batch, numerics.compute, numerics.activations, sparsity=sparsity, parts=parts)


def weight_gradient(f: Frame, name: str, m: int, n: int, k: int, batch: int = 1) -> Gemm:
    """A product added into the gradient buffer (gradient accumulation fused into the product)."""
    return Gemm(name, m, n, k, batch, f.numerics.compute, f.numerics.gradients, True, transposed=True)


def casts(f: Frame, name: str, elements: float) -> list[Op]:
    """Activations stored wider than the compute format: cast once more (8 bits and less: plus the transposed copy,
    whose blocks lie the other way where they share a scale)."""
    narrow = BYTES_PER_ELEMENT[f.numerics.compute]
    if narrow >= f.act:
        return []
    copies = 2 if narrow < BYTES_PER_ELEMENT["bf16"] else 1
    return [pointwise(f, f"{name}.cast", elements, f.act, copies * narrow)]


def weight_casts(f: Frame, name: str, elements: float) -> list[Op]:
    """Weights stored wider than the compute format (automatic mixed precision) are cast in every forward pass; of
    sparse ones the kept are picked and packed, as they are and transposed for backward."""
    wide, narrow = BYTES_PER_ELEMENT[f.numerics.weights], BYTES_PER_ELEMENT[f.numerics.compute]
    sparsity = f.numerics.sparsity(name)
    if sparsity is not None:
        return [pointwise(f, f"{name}.prune", elements, wide, 2.0 * sparsity.bytes_per_element(narrow))]
    copies = 2 if f.numerics.compute in BLOCKS else 1  # scaled along either side
    return [pointwise(f, f"{name}.weight_cast", elements, wide, copies * narrow)] if narrow < wide else []


def bias_pass(f: Frame, name: str, elements: float) -> list[Op]:
    """Bias of a product: in its epilogue when fused, else a pass of its own."""
    return [] if f.numerics.fused else [pointwise(f, f"{name}.bias", elements, f.act, f.act)]


def bias_gradient(f: Frame, name: str, elements: float) -> list[Op]:
    """Sum of the output gradient over tokens: one read."""
    return [pointwise(f, f"{name}.bias_grad", elements, f.act, 0.0)]


def held(weights: Sequence[Weight], f: Frame) -> tuple[Parameter, ...]:
    """The weights one device holds after tensor and expert sharding, one `Parameter` per part."""
    totals: dict[tuple[str, bool], float] = {}
    for w in weights:
        divisor = f.tensor if w.cut == "tensor" else f.tensor * f.expert if w.cut == "expert" else 1
        key = (w.part, w.cut == "expert")
        totals[key] = totals.get(key, 0.0) + w.elements / divisor
    return tuple(Parameter(part, n, "expert" if of_experts else "data") for (part, of_experts), n in totals.items())
