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

from collections.abc import Sequence
from typing import Literal

from sim.ops import BYTES_PER_ELEMENT, Convolution, Gather
from sim.workload.graph import Tensor, Weight
from sim.workload.recorder import Note, Recorder
from sim.workload.records import BatchNorm, MemoryFormat


class Tape(Recorder):
    """Forward ops go in through these primitives; `graph()` gives forward and backward."""

    def matmul(
        self,
        name: str,
        inputs: Sequence[Tensor],
        weight: Weight,
        rows: int,
        out: Tensor | None = None,
        *,
        sequence: bool = False,
    ) -> Tensor:
        """[rows, k]·W[k, n]; several inputs stand side by side along k.

        `sequence`: a dense layer on [time, batch, k], for which TensorFlow 1 transposes and reshapes W and its
        gradient.
        """
        m, n, k, stored = rows, weight.columns, weight.rows, weight.tensor
        result = out or self.tensor(name, m * n)
        beside = self._literal and len(inputs) > 1
        operands = (self.tensor(f"{name} input", m * k),) if beside else tuple(inputs)
        if beside:
            self._stream(f"{name} concatenation", inputs, operands, 0.0)
        if sequence and self._literal:
            weight = self._rearranged(weight)
        self._emit(self._gemm(name, m, n, k), (*operands, weight.tensor), (result,))

        def backward(dy: Tensor) -> None:
            wanted = [t for t in inputs if t.differentiable]
            if wanted and beside:
                whole = self._alike(operands[0], "gradient")
                self._emit(self._gemm(f"{name} data gradient", m, k, n), (dy, stored), (whole,))
                self._stream(f"{name} slices", (whole,), tuple(self._part(t) for t in wanted), 0.0)
            elif wanted:
                parts = tuple(self._part(t) for t in wanted)
                self._emit(self._gemm(f"{name} data gradient", m, k, n), (dy, stored), parts)
            self._weight_gradient(weight, f"{name} weight gradient", (*inputs, dy), k, n, m)

        return self._note(inputs, result, backward)

    def product(
        self, name: str, a: Tensor, b: Tensor, *, batch: int, m: int, n: int, k: int, out: Tensor | None = None
    ) -> Tensor:
        """`batch` products of two activations, as attention scores and contexts are."""
        result = out or self.tensor(name, batch * m * n)
        self._emit(self._gemm(name, m, n, k, batch), (a, b), (result,))

        def backward(dy: Tensor) -> None:
            if a.differentiable:
                self._emit(self._gemm(f"{name} gradient", m, k, n, batch), (dy, b), (self._part(a),))
            if b.differentiable:
                self._emit(self._gemm(f"{name} gradient", k, n, m, batch), (a, dy), (self._part(b),))

        return self._note((a, b), result, backward)

    def weighted_sum(self, name: str, weights: Tensor, values: Tensor, out: Tensor, terms: int) -> None:
        """Σ weights·values over `terms` positions; a product and a reduction where shape ops are passes."""
        batch = round(weights.elements / terms)
        width = round(values.elements / weights.elements)
        if self._literal:
            saves = (weights, values)
            wide = self.pointwise(f"{name} product", saves, values.elements, 1.0, gradient_flops=1.0, saves=saves)
            self.pointwise(name, (wide,), out, terms, gradient_flops=0.0)
        else:
            self.product(name, weights, values, batch=batch, m=1, n=width, k=terms, out=out)

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

    def multiply(self, name: str, a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """Elementwise product; backward is one more product for each factor."""
        result = out or self.tensor(name, a.elements)
        self._stream(name, (a, b), (result,), result.elements)

        def backward(dy: Tensor) -> None:
            for factor, other in ((a, b), (b, a)):
                if factor.differentiable:
                    self._operand(f"{name} gradient", factor, result.elements, dy, other)

        return self._note((a, b), result, backward)

    def add(self, name: str, inputs: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        """Sum; its gradient goes to every input unchanged."""
        result = out or self.tensor(name, inputs[0].elements)
        self._stream(name, inputs, (result,), (len(inputs) - 1) * result.elements)

        def backward(dy: Tensor) -> None:
            for tensor in inputs:
                if tensor.differentiable:
                    self._pass(tensor, dy)

        return self._note(inputs, result, backward)

    def shift(self, name: str, x: Tensor) -> Tensor:
        """Adds a constant; an op of its own only where shape ops are."""
        if not self._literal:
            return x
        out = self.tensor(name, x.elements)
        self._stream(name, (x,), (out,), x.elements)
        return self._note((x,), out, lambda dy: self._pass(x, dy))

    def hold(self, name: str, new: Tensor, old: Tensor) -> Tensor:
        """`old` takes the value of `new` until a sample's own length, after which it keeps its value."""
        self._stream(name, (new,), (old,), 0.0)

        def backward(dy: Tensor) -> None:
            for tensor in (new, old):
                self._stream(f"{name} gradient", (dy,), (self._part(tensor),), 0.0)

        return self._note((new, old), old, backward)

    def reshape(self, name: str, x: Tensor) -> Tensor:
        """A copy in another shape where shape ops are passes, nothing elsewhere."""
        if not self._literal:
            return x
        out = self._alike(x, name)
        self._stream(name, (x,), (out,), 0.0)
        return self._note((x,), out, lambda dy: self._stream(f"{name} back", (dy,), (self._part(x),), 0.0))

    def mask(self, name: str, x: Tensor) -> Tensor:
        """Zeroes what lies past a sample's end by a product with 0 or 1; an op only where shape ops are."""
        if not self._literal:
            return x
        out = self._alike(x, name)
        self._stream(name, (x,), (out,), self._inside(x))
        return self._note((x,), out, lambda dy: self._operand(f"{name} gradient", x, self._inside(x), dy))

    def split(self, name: str, x: Tensor, pieces: int) -> tuple[Tensor, ...]:
        """Equal parts of `x`, copied out; backward copies the gradients together."""
        parts = tuple(self.tensor(f"{name} {i}", x.elements / pieces) for i in range(pieces))
        self._stream(f"{name} split", (x,), parts, 0.0)

        def backward(dy: Tensor) -> None:
            self._stream(f"{name} join", (dy, *map(self._sum, parts[1:])), (self._part(x),), 0.0)

        self._note((x,), parts[0], backward)
        return parts

    def scale_shift(self, name: str, x: Tensor, weights: Sequence[Weight], *, broadcast: bool = False) -> Tensor:
        """Bias: adds a row vector, whose gradient is the sum over the rows; `broadcast`: by a general addition."""
        out = self.tensor(name, x.elements)
        self._stream(name, (x, *(w.tensor for w in weights)), (out,), x.elements)

        def backward(dy: Tensor) -> None:
            for weight in weights:
                made = self._gradient(weight, dy)
                self._stream(f"{name} gradient", (dy,), (made,), self._inside(dy))
                self._accumulate(weight, made)
            self._pass(x, dy, shaped=broadcast)

        return self._note((x,), out, backward)

    def noisy(self, name: str, weight: Weight) -> Weight:
        """The weight with fresh Gaussian noise added at every step (Graves 2011): drawn, scaled, added."""
        size = weight.tensor.elements
        drawn, scaled, added = (self.tensor(f"{name} {what}", size) for what in ("drawn", "scaled", "added"))
        self._stream(f"{name} draw", (), (drawn,), size)
        self._stream(f"{name} scale", (drawn,), (scaled,), size)
        self._stream(f"{name} add", (scaled, weight.tensor), (added,), size)
        noised = Weight(weight.name, added, weight.rows, weight.columns)
        self._owner[noised] = self._now.layer
        self._noised.add(noised)
        return noised

    def normalise(self, name: str, x: Tensor, channels: int) -> Tensor:
        """Batch normalisation (Ioffe & Szegedy 2015).

        FLOPs per element: mean 1, variance 3, normalise 2, scale and shift 2; backward: gradients of scale and shift 3,
        of x with their sums at hand 5.  The statistics need the whole batch first, so x is read a second time to be
        normalised, and x and dy a second time backward; TensorFlow 1's graph has one op that counts them once.
        """
        scale, shift = self.weight(f"{name} scale", channels), self.weight(f"{name} shift", channels)
        out, n = self.tensor(name, x.elements), x.elements
        affine = (scale.tensor, shift.tensor)
        statistics = self.tensor(f"{name} statistics", 2 * channels)
        if self._literal:
            self._stream(name, (x, *affine), (out, statistics), 8 * n)
        else:
            self._stream(f"{name} statistics", (x,), (statistics,), 4 * n, reduction=True)
            self._stream(name, (x, statistics, *affine), (out,), 4 * n)

        def backward(dy: Tensor) -> None:
            made = tuple(self._gradient(w, dy) for w in (scale, shift))
            inputs = (dy, x, statistics, scale.tensor)
            if self._literal:
                self._stream(f"{name} gradient", inputs, (self._part(x), *made), 8 * n)
            else:
                self._stream(f"{name} sums", (dy, x, statistics), made, 3 * n, reduction=True)
                self._stream(f"{name} gradient", (*inputs, *made), (self._part(x),), 5 * n)
            for weight, gradient in zip((scale, shift), made, strict=True):
                self._accumulate(weight, gradient)

        return self._note((x,), out, backward)

    def batch_norm(
        self,
        name: str,
        x: Tensor,
        channels: int,
        *,
        relu: bool = False,
        addend: Tensor | None = None,
        loaded: bool = False,
    ) -> Tensor:
        """Normalises the output of a convolution, adds a shortcut, rectifies, as `Numerics.batch_norm` says.

        `loaded`: only convolutions read the result, and may normalise what they load.
        In passes forward costs three tensors (statistics read, normalised read and written) and backward five, ReLU's
        gradient three more; fused two tensors and a bit per element backward in each of two passes.
        """
        level = tuple(BatchNorm).index(self.numerics.batch_norm)
        if not level or self._literal:
            y = self.normalise(f"{name} norm", x, channels)
            y = y if addend is None else self.add(f"{name} sum", (y, addend))
            return self.pointwise(f"{name} relu", (y,), y.elements, 1.0, saves_output=True) if relu else y
        scale, shift = self.weight(f"{name} norm scale", channels), self.weight(f"{name} norm shift", channels)
        statistics, n = self.tensor(f"{name} norm statistics", 2 * channels), x.elements
        loaded = loaded and level >= 3  # never written: the next convolution makes it from x
        out = Tensor(f"{name} out", n, 0.0 if loaded else x.bytes, x.steps)
        mask = Tensor(f"{name} sign", n, n / 8 if relu and not loaded else 0.0, x.steps, differentiable=False)
        shortcut = () if addend is None else (addend,)
        if level == 1:
            self._stream(f"{name} norm statistics", (x,), (statistics,), 4 * n, reduction=True)
        if not loaded:
            reads = (x, statistics, scale.tensor, shift.tensor, *shortcut)
            self._stream(f"{name} norm", reads, (out, mask), (4 + relu + len(shortcut)) * n)

        def backward(dy: Tensor) -> None:
            made = tuple(self._gradient(w, dy) for w in (scale, shift))
            # compiled: the data gradient sums what it makes, with x and the signs beside it, and the two convolutions
            # that take this gradient form it from dy and x: one tensor more for each of them, and no pass
            read = () if level == 4 else (Tensor(f"{name} made", n, x.bytes) if loaded else dy,)
            self._stream(f"{name} norm sums", (*read, x, statistics, mask), made, (3 + relu) * n, reduction=True)
            parts = [self._part(x)]
            if addend is not None and level == 4:
                self._pass(addend, dy)
            elif addend is not None:
                parts.append(self._part(addend))
            inputs = (*read, x, statistics, *(() if level == 4 else (mask,)), scale.tensor, *made)
            self._stream(f"{name} norm gradient", inputs, parts, (5 + relu) * n)
            for weight, gradient in zip((scale, shift), made, strict=True):
                self._accumulate(weight, gradient)

        return self._note((x, *shortcut), out, backward)

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
        """2-D convolution; `shape` gives its geometry (format and count are set here).

        Each of its three products copies both tensors it reads where they lie channels first, and writes its result as
        it is wanted (nvprof of a V100 in tensorflow/tensorflow issue 15897: two nchwToNhwcKernel to every
        s884cudnn_..._nhwc2nchw).
        """
        out = self.tensor(name, shape.n * shape.h_out * shape.w_out * shape.c_out)

        def op(direction: Literal["forward", "data", "weight"]) -> Convolution:
            return Convolution(
                name if direction == "forward" else f"{name} {direction} gradient",
                shape.n, shape.h_out, shape.w_out, shape.c_in, shape.c_out, shape.kernel_h, shape.kernel_w,
                shape.stride, shape.groups, direction, self.numerics.compute, self._now.steps,
                None if direction == "weight" else self.numerics.sparsity(name),
            )  # fmt: skip

        def emit(direction: Literal["forward", "data", "weight"], a: Tensor, b: Tensor, made: Tensor) -> None:
            self._emit(op(direction), (self._channels_last(a), self._channels_last(b)), (made,))

        emit("forward", x, weight.tensor, out)

        def backward(dy: Tensor) -> None:
            if x.differentiable:
                emit("data", dy, weight.tensor, self._part(x))
            made = self._gradient(weight, dy)
            emit("weight", x, dy, made)
            self._accumulate(weight, made)

        return self._note((x,), out, backward)

    def _channels_last(self, x: Tensor) -> Tensor:
        """`x` as the convolutions of a matrix unit read it; vector units take it as it lies."""
        if self.numerics.memory_format == MemoryFormat.NHWC or self.numerics.compute in ("fp64", "fp32"):
            return x
        copied = self._alike(x, "channels last")
        self._stream(copied.name, (x,), (copied,), 0.0, reduction=True)
        return copied

    def cross_entropy(self, name: str, logits: Tensor, flops: float = 5.0) -> None:
        """Softmax and its loss in one op that also leaves softmax − target; backward scales that.

        The row is read once for its sum and once for the result, unless fused.
        """
        ready = self._alike(logits, "ready")
        reads = (logits,) if self.numerics.fused else (logits, logits)
        self._stream(name, reads, (ready,), flops * logits.elements)

        def backward(dy: Tensor) -> None:
            source = ready
            if self._literal:
                source = self._alike(ready, "barrier")
                self._stream(f"{name} second-derivative barrier", (ready,), (source,), 0.0)
            self._stream(f"{name} scaled gradient", (source,), (self._part(logits),), logits.elements)

        self._uses[logits] += 1
        self._notes.append(Note(self._now, Tensor("loss", 1, 0.0), backward))
