"""Recurrent cells written onto a tape.

FLOPs per element of the transcendental functions are their arithmetic: the logistic function 1/(1 + e^−x) is 4,
the hyperbolic tangent (e^x − e^−x)/(e^x + e^−x) is 6; derivatives from the stored result are y·(1 − y)·dy = 3
and (1 − y²)·dy = 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.workload.graph import Tensor
from sim.workload.tape import Tape

SIGMOID, TANH, DERIVATIVE = 4.0, 6.0, 3.0


def lstm_cell(
    tape: Tape, name: str, inputs: Sequence[Tensor], width: int, batch: int, rows: int | None = None
) -> Tensor:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997, with forget gate): returns the new state.

    [i, j, f, o] = [x, h]·W + b;  c = σ(f + 1)·c + σ(i)·tanh(j);  h = σ(o)·tanh(c).
    W is (inputs + h) × 4h.
    """
    n = batch * width
    h, c = tape.tensor(f"{name} h", n), tape.tensor(f"{name} c", n)
    together = round(sum(t.elements for t in inputs) / batch) + width
    kernel = tape.weight(f"{name} kernel", together, 4 * width)
    bias = tape.weight(f"{name} bias", 4 * width)
    z = tape.scale_shift(f"{name} bias", tape.matmul(f"{name} gates", (*inputs, h), kernel, batch), (bias,))
    i, j, f, o = tape.split(f"{name} gate", z, 4)
    i = tape.pointwise(f"{name} input gate", (i,), n, SIGMOID, gradient_flops=DERIVATIVE, saves_output=True)
    j = tape.pointwise(f"{name} candidate", (j,), n, TANH, gradient_flops=DERIVATIVE, saves_output=True)
    f = tape.pointwise(f"{name} forget gate", (f,), n, SIGMOID + 1, gradient_flops=DERIVATIVE, saves_output=True)
    o = tape.pointwise(f"{name} output gate", (o,), n, SIGMOID, gradient_flops=DERIVATIVE, saves_output=True)
    kept = tape.pointwise(f"{name} keep", (f, c), n, 1.0, saves=(f, c))
    added = tape.pointwise(f"{name} add", (i, j), n, 1.0, saves=(i, j))
    tape.add(f"{name} cell", (kept, added), c)
    squashed = tape.pointwise(f"{name} squash", (c,), n, TANH, gradient_flops=DERIVATIVE, saves_output=True)
    tape.pointwise(f"{name} state", (o, squashed), h, 1.0, saves=(o, squashed))
    return h
