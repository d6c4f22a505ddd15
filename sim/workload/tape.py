"""Records a forward pass section by section and writes the backward pass from it.

Every primitive notes how its gradient is computed.  `Tape.graph()` walks the notes backwards: it sums the
gradients of a tensor that was read more than once, carries gradients from one time step to the one before,
and accumulates weight gradients over the steps of a loop.

Algorithmic bytes (Hestness et al. 2019, §2.1): each op reads every input once and writes every output once.
A weight used in each of q steps is therefore read 2q times (forward, data gradient), and its gradient costs q times
a product written (4 B), and the sum read, the product read, the sum written (12 B in fp32).
With `Numerics.fused` the product is accumulated inside the matrix multiplication: read and written once per step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.ops import BYTES_PER_ELEMENT, Convolution, Gather, Gemm, Op, Pointwise
from sim.workload.graph import Graph, LayerKind, Node, Section, Tensor, Weight, fuse
from sim.workload.records import Numerics

Backward = Callable[[Tensor], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Note:
    """What to do with the gradient of `output` once it is known."""

    section: Section
    output: Tensor
    backward: Backward


class Tape:
    """Forward ops go in through the primitives; `graph()` gives forward and backward."""

    def __init__(self, numerics: Numerics) -> None:
        self.numerics = numerics
        self._forward: list[Section] = []
        self._backward: list[Section] = []
        self._notes: list[_Note] = []
        self._uses: Counter[Tensor] = Counter()
        self._parts: dict[Tensor, list[Tensor]] = {}
        self._carried: dict[Tensor, list[Tensor]] = {}
        self._weights: dict[str, list[Weight]] = {}
        self._gradients: dict[str, list[Tensor]] = {}
        self._owner: dict[Weight, str] = {}
        self._now: Section = Section("", "block")

    # ---- structure -------------------------------------------------------------------------------------------

    def section(self, layer: str, kind: LayerKind = "block", steps: int = 1) -> None:
        """Open a section: what follows runs `steps` times."""
        self._now = Section(layer, kind, steps)
        self._forward.append(self._now)

    def weight(self, name: str, rows: int, columns: int = 1, sparse_rows: int = 0) -> Weight:
        """A parameter tensor of the open section's layer."""
        size = BYTES_PER_ELEMENT[self.numerics.weights]
        tensor = Tensor(name, rows * columns, rows * columns * size, kind="weight")
        weight = Weight(name, tensor, rows, columns, sparse_rows)
        self._weights.setdefault(self._now.layer, []).append(weight)
        self._owner[weight] = self._now.layer
        return weight

    def tensor(self, name: str, elements: float, *, differentiable: bool = True, steps: int | None = None) -> Tensor:
        """An activation, one slice per step of the open section; may be read before it is made (recurrence)."""
        size = BYTES_PER_ELEMENT[self.numerics.activations]
        return Tensor(name, elements, elements * size, steps or self._now.steps, differentiable=differentiable)

    # ---- primitives ------------------------------------------------------------------------------------------

    def matmul(self, name: str, inputs: Sequence[Tensor], weight: Weight, rows: int) -> Tensor:
        """[rows, k]·W[k, n]; several inputs stand side by side along k."""
        m, n, k = rows, weight.columns, weight.rows
        out = self.tensor(name, m * n)
        self._emit(self._gemm(name, m, n, k), (*inputs, weight.tensor), (out,))

        def backward(dy: Tensor) -> None:
            wanted = [t for t in inputs if t.differentiable]
            if wanted:
                parts = tuple(self._part(t) for t in wanted)
                self._emit(self._gemm(f"{name} data gradient", m, k, n), (dy, weight.tensor), parts)
            self._weight_gradient(weight, f"{name} weight gradient", (*inputs, dy), k, n, m)

        return self._note(inputs, out, backward)

    def product(
        self, name: str, a: Tensor, b: Tensor, *, batch: int, m: int, n: int, k: int, out: Tensor | None = None
    ) -> Tensor:
        """`batch` products of two activations, as attention scores and contexts are."""
        result = out or self.tensor(name, batch * m * n)
        self._emit(self._gemm(name, m, n, k, batch), (a, b), (result,))

        def backward(dy: Tensor) -> None:
            if a.differentiable:
                self._invariant(a, self._gemm(f"{name} gradient", m, k, n, batch), (dy, b))
            if b.differentiable:
                self._invariant(b, self._gemm(f"{name} gradient", k, n, m, batch), (a, dy))

        return self._note((a, b), result, backward)

    def pointwise(
        self,
        name: str,
        inputs: Sequence[Tensor],
        elements: float | Tensor,
        flops: float,
        *,
        gradient_flops: float | None = None,
        saves: Sequence[Tensor] = (),
        saves_output: bool = False,
    ) -> Tensor:
        """Elementwise op or reduction: `flops` per output element forward, `gradient_flops` per output element and
        differentiable input backward, which reads the gradient and what was saved."""
        out = elements if isinstance(elements, Tensor) else self.tensor(name, elements)
        self._stream(name, inputs, (out,), flops * out.elements)
        kept = (*saves, *((out,) if saves_output else ()))

        def backward(dy: Tensor) -> None:
            wanted = [t for t in inputs if t.differentiable]
            parts = tuple(self._part(t) for t in wanted)
            each = flops if gradient_flops is None else gradient_flops
            self._stream(f"{name} gradient", (dy, *kept), parts, each * len(parts) * out.elements)

        return self._note(inputs, out, backward)

    def add(self, name: str, inputs: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        """Sum; its gradient goes to every input unchanged."""
        result = out or self.tensor(name, inputs[0].elements)
        self._stream(name, inputs, (result,), (len(inputs) - 1) * result.elements)

        def backward(dy: Tensor) -> None:
            for tensor in inputs:
                if tensor.differentiable:
                    self._pass(tensor, dy)

        return self._note(inputs, result, backward)

    def split(self, name: str, x: Tensor, pieces: int) -> tuple[Tensor, ...]:
        """Equal parts of `x`, copied out; backward copies the gradients together."""
        parts = tuple(self.tensor(f"{name} {i}", x.elements / pieces) for i in range(pieces))
        self._stream(f"{name} split", (x,), parts, 0.0)

        def backward(dy: Tensor) -> None:
            self._stream(f"{name} join", (dy, *map(self._sum, parts[1:])), (self._part(x),), 0.0)

        self._note((x,), parts[0], backward)
        return parts

    def scale_shift(self, name: str, x: Tensor, weights: Sequence[Weight], flops: float = 1.0) -> Tensor:
        """Bias (one weight) or scale and shift: adds a row vector; its gradient is the sum over the rows."""
        out = self.tensor(name, x.elements)
        self._stream(name, (x, *(w.tensor for w in weights)), (out,), flops * x.elements)

        def backward(dy: Tensor) -> None:
            self._pass(x, dy)
            for weight in weights:
                made = self._gradient(weight, dy)
                self._stream(f"{name} gradient", (dy,), (made,), self._inside(dy))
                self._accumulate(weight, made)

        return self._note((x,), out, backward)

    def embedding(self, name: str, table: Weight, rows: int) -> Tensor:
        """Rows of a table; the gradient is `rows` rows, scattered."""
        out = self.tensor(name, rows * table.columns)
        ids = self.tensor("ids", rows, differentiable=False)
        size = BYTES_PER_ELEMENT[self.numerics.weights]
        self._emit(
            Gather(name, rows, table.columns * size, table.tensor.bytes, False, self.numerics.weights, self._now.steps),
            (ids, table.tensor),
            (out,),
        )

        def backward(dy: Tensor) -> None:
            gradient = Tensor(f"{table.name} gradient", dy.elements, dy.bytes, dy.steps, "gradient", sparse=True)
            self._stream(f"{name} gradient rows", (dy,), (gradient,), 0.0)
            self._finish(table, gradient)

        return self._note((), out, backward)

    def sampled_logits(self, name: str, x: Tensor, table: Weight, rows: int, sampled: int) -> Tensor:
        """Logits of `sampled` words shared by all `rows` positions, and of each position's own word."""
        picked = self.embedding(f"{name} sampled rows", table, sampled)
        own = self.embedding(f"{name} target rows", table, rows)
        shared = self.product(name, x, picked, batch=1, m=rows, n=sampled, k=table.columns)
        target = self.pointwise(f"{name} of targets", (x, own), rows, 2.0 * table.columns, saves=(x, own))
        return self.pointwise(f"{name} together", (shared, target), rows * (sampled + 1), 0.0)

    def convolution(self, name: str, x: Tensor, weight: Weight, shape: Convolution) -> Tensor:
        """2-D convolution; `shape` gives its geometry (format and count are set here)."""
        out = self.tensor(name, shape.n * shape.h_out * shape.w_out * shape.c_out)

        def op(direction: str) -> Convolution:
            return Convolution(
                name if direction == "forward" else f"{name} {direction} gradient",
                shape.n, shape.h_out, shape.w_out, shape.c_in, shape.c_out, shape.kernel_h, shape.kernel_w,
                shape.stride, shape.groups, direction, self.numerics.compute, self._now.steps,  # type: ignore[arg-type]
            )  # fmt: skip

        self._emit(op("forward"), (x, weight.tensor), (out,))

        def backward(dy: Tensor) -> None:
            if x.differentiable:
                self._emit(op("data"), (dy, weight.tensor), (self._part(x),))
            made = self._gradient(weight, dy)
            self._emit(op("weight"), (x, dy), (made,))
            self._accumulate(weight, made)

        return self._note((x,), out, backward)

    def cross_entropy(self, name: str, logits: Tensor, flops: float = 5.0) -> None:
        """Softmax and its loss in one op that also leaves softmax − target; backward scales that."""
        ready = self.tensor(f"{name} gradient", logits.elements, steps=logits.steps)
        self._stream(name, (logits,), (ready,), flops * logits.elements)

        def backward(dy: Tensor) -> None:
            self._stream(f"{name} scaled gradient", (ready,), (self._part(logits),), logits.elements)

        self._uses[logits] += 1
        self._notes.append(_Note(self._now, Tensor("loss", 1, 0.0), backward))

    # ---- result ----------------------------------------------------------------------------------------------

    def graph(self) -> Graph:
        """Forward and backward, fused if the numerics say so."""
        source: Section | None = None
        for note in reversed(self._notes):
            if note.section is not source:
                source = note.section
                self._now = Section(source.layer, source.kind, source.steps)
                self._backward.append(self._now)
            note.backward(self._sum(note.output))
        graph = Graph(
            tuple(self._forward),
            tuple(s for s in self._backward if s.nodes),
            {layer: tuple(ws) for layer, ws in self._weights.items()},
            {layer: tuple(gs) for layer, gs in self._gradients.items()},
        )
        return fuse(graph) if self.numerics.fused else graph

    # ---- gradients -------------------------------------------------------------------------------------------

    def _note(self, inputs: Sequence[Tensor], out: Tensor, backward: Backward) -> Tensor:
        self._uses.update(t for t in inputs if t.differentiable)
        self._notes.append(_Note(self._now, out, backward))
        return out

    def _part(self, tensor: Tensor) -> Tensor:
        """A new contribution to the gradient of `tensor`."""
        carried = self._carried.get(tensor)
        if carried:
            return carried.pop()
        part = Tensor(f"{tensor.name} gradient", tensor.elements, tensor.bytes, tensor.steps)
        self._parts.setdefault(tensor, []).append(part)
        return part

    def _pass(self, tensor: Tensor, dy: Tensor) -> None:
        """The gradient goes through unchanged, without an op."""
        carried = self._carried.get(tensor)
        if carried:
            self._stream(f"{tensor.name} gradient", (dy,), (carried.pop(),), 0.0)
        else:
            self._parts.setdefault(tensor, []).append(dy)

    def _sum(self, tensor: Tensor) -> Tensor:
        """The gradient of `tensor`: contributions so far, and those that come from the step after."""
        parts = self._parts.pop(tensor, [])
        missing = self._uses[tensor] - len(parts)
        if missing > 0:
            carried = [self._slice(tensor, f"{tensor.name} carried gradient") for _ in range(missing)]
            self._carried[tensor] = list(carried)
            parts = [*parts, *carried]
        if len(parts) <= 1:
            return parts[0] if parts else tensor
        total = self._slice(tensor, f"{tensor.name} gradient sum")
        self._stream(total.name, parts, (total,), (len(parts) - 1) * self._inside(total))
        return total

    def _slice(self, tensor: Tensor, name: str) -> Tensor:
        return Tensor(name, tensor.elements, tensor.bytes, tensor.steps)

    def _invariant(self, tensor: Tensor, op: Op, inputs: tuple[Tensor, ...]) -> None:
        """A contribution; summed over the steps when `tensor` is the same in all of them."""
        if tensor.steps >= self._now.steps:
            self._emit(op, inputs, (self._part(tensor),))
            return
        total = self._part(tensor)
        step = self._slice(tensor, f"{tensor.name} gradient of a step")
        self._emit(op, inputs, (step,))
        self._stream(f"{tensor.name} gradient accumulation", (total, step), (total,), step.elements)

    def _gradient(self, weight: Weight, dy: Tensor) -> Tensor:
        size = BYTES_PER_ELEMENT[self.numerics.gradients]
        return Tensor(f"{weight.name} gradient", weight.tensor.elements, weight.tensor.elements * size, kind="gradient")

    def _weight_gradient(self, weight: Weight, name: str, inputs: tuple[Tensor, ...], m: int, n: int, k: int) -> None:
        made = self._gradient(weight, inputs[-1])
        looped = self._now.steps > 1
        if looped and self.numerics.fused:
            op = Gemm(name, m, n, k, 1, self.numerics.compute, self.numerics.gradients, True, self._now.steps)
            self._emit(op, (*inputs, made), (made,))
            self._finish(weight, made)
            return
        self._emit(Gemm(name, m, n, k, 1, self.numerics.compute, self.numerics.gradients, False, self._now.steps),
                   inputs, (made,))  # fmt: skip
        self._accumulate(weight, made)

    def _accumulate(self, weight: Weight, made: Tensor) -> None:
        """Add the step's gradient to the sum over steps (nothing to do outside a loop)."""
        if self._now.steps == 1:
            self._finish(weight, made)
            return
        before = Tensor(f"{weight.name} gradient sum", made.elements, made.bytes, kind="gradient")
        self._stream(f"{weight.name} gradient accumulation", (before, made), (before,), made.elements)
        self._finish(weight, before)

    def _finish(self, weight: Weight, gradient: Tensor) -> None:
        self._gradients.setdefault(self._owner[weight], []).append(gradient)

    # ---- emission --------------------------------------------------------------------------------------------

    def _gemm(self, name: str, m: int, n: int, k: int, batch: int = 1) -> Gemm:
        formats = self.numerics
        return Gemm(name, m, n, k, batch, formats.compute, formats.activations, False, self._now.steps)

    def _inside(self, tensor: Tensor) -> float:
        """Elements one iteration of the open section touches."""
        return tensor.elements * max(1.0, tensor.steps / self._now.steps)

    def _stream(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], flops: float) -> None:
        """An elementwise op or reduction of `flops` in all per iteration: every tensor once."""
        elements = max(self._inside(t) for t in (*outputs, *inputs))
        steps = self._now.steps
        op = Pointwise(
            name,
            elements,
            reads=sum(t.bytes * max(1.0, t.steps / steps) for t in inputs),
            writes=sum(t.bytes * max(1.0, t.steps / steps) for t in outputs),
            flops_per_element=flops / elements,
            format=self.numerics.activations,
            count=steps,
        )
        self._emit(op, tuple(inputs), tuple(outputs))

    def _emit(self, op: Op, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        self._now.nodes.append(Node(op, inputs, outputs))
