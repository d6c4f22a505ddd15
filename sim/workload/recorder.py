"""What a tape records: sections, weights, and how the gradients of tensors read more than once, carried from one time
step to the one before, or summed over the steps of a loop are put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sim.ops import BYTES_PER_ELEMENT, Gemm, Op, Pointwise
from sim.records import dataclass
from sim.workload.graph import Graph, LayerKind, Node, Section, Tensor, Weight, fuse
from sim.workload.records import BatchNorm, Numerics

Backward = Callable[[Tensor], None]


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """What to do with the gradient of `output` once it is known."""

    section: Section
    output: Tensor
    backward: Backward


class Recorder:
    """Sections in, graph out; the primitives are in `sim.workload.tape`."""

    def __init__(self, numerics: Numerics) -> None:
        self.numerics = numerics
        self._forward: list[Section] = []
        self._backward: list[Section] = []
        self._notes: list[Note] = []
        self._uses: Counter[Tensor] = Counter()
        self._parts: dict[Tensor, list[Tensor]] = {}
        self._carried: dict[Tensor, list[Tensor]] = {}
        self._weights: dict[str, list[Weight]] = {}
        self._gradients: dict[str, list[Tensor]] = {}
        self._owner: dict[Weight, str] = {}
        self._noised: set[Weight] = set()
        self._copied: set[Weight] = set()
        self._pending: list[tuple[Tensor, Tensor]] = []  # (sum over steps, product of a step)
        self._now: Section = Section("", "block")
        self._literal = numerics.shape_ops and not numerics.fused
        self._fuses = numerics.fused

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
        return fuse(graph) if self._fuses else graph

    # ---- gradients -------------------------------------------------------------------------------------------

    def _note(self, inputs: Sequence[Tensor], out: Tensor, backward: Backward) -> Tensor:
        self._uses.update(t for t in inputs if t.differentiable)
        self._notes.append(Note(self._now, out, backward))
        return out

    def _part(self, tensor: Tensor) -> Tensor:
        """A new contribution to the gradient of `tensor`; one per step, and their sum, if all steps read the tensor."""
        carried = self._carried.get(tensor)
        if carried:
            return carried.pop()
        part = self._alike(tensor, "gradient")
        self._parts.setdefault(tensor, []).append(part)
        if tensor.steps >= self._now.steps:
            return part
        step = self._alike(tensor, "gradient of a step")
        self._pending.append((part, step))
        return step

    def _pass(self, tensor: Tensor, dy: Tensor, *, shaped: bool = True) -> None:
        """The gradient goes through unchanged, without an op of its own."""
        if self._literal and shaped:
            self._to_shape(dy, tensor)
        elif self._carried.get(tensor):
            self._stream(f"{tensor.name} gradient", (dy,), (self._part(tensor),), 0.0)
        else:
            self._parts.setdefault(tensor, []).append(dy)

    def _operand(self, name: str, tensor: Tensor, flops: float, *inputs: Tensor) -> None:
        """The gradient of one operand of a binary op."""
        if self._literal:
            raw = self._alike(tensor, "raw gradient")
            self._stream(name, inputs, (raw,), flops)
            self._to_shape(raw, tensor)
        else:
            self._stream(name, inputs, (self._part(tensor),), flops)

    def _to_shape(self, raw: Tensor, tensor: Tensor) -> None:
        """Sum over broadcast axes (none here, yet an op) and reshape to the operand's shape."""
        summed = self._alike(tensor, "summed gradient")
        self._stream(f"{tensor.name} sum to shape", (raw,), (summed,), self._inside(summed))
        self._stream(f"{tensor.name} reshape", (summed,), (self._part(tensor),), 0.0)

    def _sum(self, tensor: Tensor) -> Tensor:
        """The gradient of `tensor`: contributions so far, and those that come from the step after."""
        parts = self._parts.pop(tensor, [])
        missing = self._uses[tensor] - len(parts)
        if missing > 0:
            carried = [self._alike(tensor, "carried gradient") for _ in range(missing)]
            self._carried[tensor] = list(carried)
            parts = [*parts, *carried]
        if len(parts) <= 1:
            return parts[0] if parts else tensor
        total = self._alike(tensor, "gradient sum")
        compiled = (
            self.numerics.batch_norm == BatchNorm.COMPILED
        )  # added where the last part is made, which is not stored alone
        reads, writes = (parts[1:], ()) if compiled else (parts, (total,))
        self._stream(total.name, reads, writes, (len(parts) - 1) * self._inside(total))
        return total

    @staticmethod
    def _alike(tensor: Tensor, what: str) -> Tensor:
        return Tensor(f"{tensor.name} {what}", tensor.elements, tensor.bytes, tensor.steps)

    def _rearranged(self, weight: Weight) -> Weight:
        """The weight copied twice on its way into the product."""
        source, again = weight.tensor, weight.tensor
        for what in ("transpose", "reshape"):
            again = self._alike(weight.tensor, what)
            self._stream(again.name, (source,), (again,), 0.0)
            source = again
        copied = Weight(weight.name, again, weight.rows, weight.columns)
        self._owner[copied] = self._owner[weight]
        self._copied.add(copied)
        return copied

    def _gradient(self, weight: Weight, dy: Tensor) -> Tensor:
        size = BYTES_PER_ELEMENT[self.numerics.gradients]
        return Tensor(f"{weight.name} gradient", weight.tensor.elements, weight.tensor.elements * size, kind="gradient")

    def _weight_gradient(self, weight: Weight, name: str, inputs: tuple[Tensor, ...], m: int, n: int, k: int) -> None:
        made = self._gradient(weight, inputs[-1])
        looped = self._now.steps > 1
        added = looped and self.numerics.fused
        formats, steps = self.numerics, self._now.steps
        op = Gemm(name, m, n, k, 1, formats.compute, formats.gradients, added, steps, transposed=True)
        if added:
            self._emit(op, (*inputs, made), (made,))
            self._finish(weight, made)
            return
        self._emit(op, inputs, (made,))
        self._accumulate(weight, made)

    def _accumulate(self, weight: Weight, made: Tensor) -> None:
        """Add the step's gradient to the sum over steps (nothing to do outside a loop)."""
        if self._literal and (weight in self._noised or weight in self._copied):
            flops = made.elements if weight in self._noised else 0.0
            for what in ("sum to shape", "reshape") if flops else ("reshape", "transpose"):
                step = Tensor(f"{weight.name} gradient {what}", made.elements, made.bytes, kind="gradient")
                self._stream(step.name, (made,), (step,), flops if what == "sum to shape" else 0.0)
                made = step
        if self._now.steps == 1:
            self._finish(weight, made)
            return
        before = Tensor(f"{weight.name} gradient sum", made.elements, made.bytes, kind="gradient")
        self._stream(f"{weight.name} gradient accumulation", (before, made), (before,), made.elements, stored=True)
        self._finish(weight, before)

    def _finish(self, weight: Weight, gradient: Tensor) -> None:
        self._gradients.setdefault(self._owner[weight], []).append(gradient)

    # ---- emission --------------------------------------------------------------------------------------------

    def _gemm(self, name: str, m: int, n: int, k: int, batch: int = 1) -> Gemm:
        formats = self.numerics
        return Gemm(
            name, m, n, k, batch, formats.compute, formats.activations, False, self._now.steps,
            sparsity=formats.sparsity(name),
        )  # fmt: skip

    def _inside(self, tensor: Tensor) -> float:
        """Elements one iteration of the open section touches."""
        return tensor.elements * max(1.0, tensor.steps / self._now.steps)

    def _stream(
        self,
        name: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        flops: float,
        *,
        reduction: bool = False,
        stored: bool = False,
    ) -> None:
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
            stored=stored,
        )
        self._emit(op, tuple(inputs), tuple(outputs), reduction=reduction)

    def _emit(
        self, op: Op, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], *, reduction: bool = False
    ) -> None:
        self._now.nodes.append(Node(op, inputs, outputs, reduction))
        pending, self._pending = self._pending, []
        for total, step in pending:
            self._stream(f"{total.name} accumulation", (total, step), (total,), step.elements)
