"""Recurrent cells written onto a tape.

FLOPs per element of the transcendental functions are their arithmetic: the logistic function 1/(1 + e^−x) is 4,
the hyperbolic tangent (e^x − e^−x)/(e^x + e^−x) is 6; derivatives from the stored result are y·(1 − y)·dy = 3
and (1 − y²)·dy = 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.workload.graph import Tensor
from sim.workload.tape import Tape

SIGMOID, TANH, DERIVATIVE = 4.0, 6.0, 3.0  # FLOPs of a value, as Catamount counts them


def lstm_cell(
    tape: Tape,
    name: str,
    inputs: Sequence[Tensor],
    width: int,
    batch: int,
    *,
    ragged: bool = False,
    noise: bool = False,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997, with a forget gate): the new h and c.

    [i, j, f, o] = [x, h]·W + b;  c = σ(f + 1)·c + σ(i)·tanh(j);  h = σ(o)·tanh(c).
    W is (inputs + h) × 4h.  `ragged`: samples end at different steps, so the state is held past a sample's end;
    an op of its own only where shape ops are.  `noise`: Gaussian noise on the kernel at every step.
    """
    n = batch * width
    h, c = tape.tensor(f"{name} h", n), tape.tensor(f"{name} c", n)
    together = round(sum(t.elements for t in inputs) / batch) + width
    kernel = tape.weight(f"{name} kernel", together, 4 * width)
    bias = tape.weight(f"{name} bias", 4 * width)
    kernel = tape.noisy(f"{name} noise", kernel) if noise else kernel
    z = tape.scale_shift(f"{name} bias", tape.matmul(f"{name} gates", (*inputs, h), kernel, batch), (bias,))
    i, j, f, o = tape.split(f"{name} gate", z, 4)
    i = tape.pointwise(f"{name} input gate", (i,), n, SIGMOID, gradient_flops=DERIVATIVE, saves_output=True)
    j = tape.pointwise(f"{name} candidate", (j,), n, TANH, gradient_flops=DERIVATIVE, saves_output=True)
    f = tape.shift(f"{name} forget bias", f)
    f = tape.pointwise(f"{name} forget gate", (f,), n, SIGMOID, gradient_flops=DERIVATIVE, saves_output=True)
    o = tape.pointwise(f"{name} output gate", (o,), n, SIGMOID, gradient_flops=DERIVATIVE, saves_output=True)
    kept = tape.multiply(f"{name} keep", f, c)
    added = tape.multiply(f"{name} add", i, j)
    held = ragged and tape.numerics.shape_ops and not tape.numerics.fused
    new = tape.add(f"{name} cell", (kept, added), None if held else c)
    squashed = tape.pointwise(f"{name} squash", (new,), n, TANH, gradient_flops=DERIVATIVE, saves_output=True)
    out = tape.multiply(f"{name} state", o, squashed, None if held else h)
    if held:
        tape.hold(f"{name} cell hold", new, c)
        tape.hold(f"{name} state hold", out, h)
    return h, c


def highway_cell(tape: Tape, x: Tensor, width: int, depth: int, batch: int) -> Tensor:
    """One step of a recurrent highway network (Zilly et al. 2017) with coupled carry gate: returns the new state.

    For l = 1 … depth:  h = tanh(s·W_h + b_h);  t = σ(s·W_t + b_t);  s = h·t + s·(1 − t);  x enters at l = 1.
    """
    n = batch * width
    state = tape.tensor("state", n)
    s = state
    for level in range(depth):
        inputs = (x, s) if level == 0 else (s,)
        activated: list[Tensor] = []
        for part, cost in (("h", TANH), ("t", SIGMOID)):
            name = f"{part}{level}"
            kernel = tape.weight(f"{name} kernel", len(inputs) * width, width)
            bias = tape.weight(f"{name} bias", width)
            z = tape.scale_shift(f"{name} bias", tape.matmul(name, inputs, kernel, batch), (bias,))
            gate = tape.pointwise(f"{name} gate", (z,), n, cost, gradient_flops=DERIVATIVE, saves_output=True)
            activated.append(gate)
        h, t = activated
        carry = tape.pointwise(f"c{level}", (tape.shift(f"1 − t{level}", t),), n, 1.0)
        new = tape.multiply(f"h·t {level}", h, t)
        kept = tape.multiply(f"s·c {level}", s, carry)
        s = tape.add(f"s{level}", (new, kept), state if level == depth - 1 else None)
    return state
