"""Pyramidal attention encoder–decoder for speech (Chan et al. 2016; Chorowski et al. 2015), as in the paper.

Three bidirectional LSTM layers, time halved after the first and the second; a decoder of two LSTM cells of half the
width (one steers the attention, one makes the output) and attention that sees content and, through a convolution,
where it looked before. Decoder steps: a quarter of the frames.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from typing import Any, ClassVar, Self

from sim.fields import about, size
from sim.ops import Convolution
from sim.records import dataclass
from sim.workload.cells import DERIVATIVE, TANH, lstm_cell
from sim.workload.expand import GraphModel
from sim.workload.graph import Graph, Tensor
from sim.workload.records import Numerics
from sim.workload.sizing import solve_width
from sim.workload.tape import Tape
from sim.workload.translation import SOFTMAX, SOFTMAX_GRADIENT, bidirectional


@dataclass(frozen=True, slots=True)
class AttentionSpeech(GraphModel):
    """Listen, attend and spell."""

    FAMILY: ClassVar[str] = "attention_speech"

    hidden: int = field(default=1024, metadata=size("width h of an encoder direction; the decoder has h/2", least=2))
    frames: int = field(default=300, metadata=size("encoder steps T of one utterance", "frames", least=4))
    features: int = field(default=40, metadata=size("features of a frame"))
    attention: int = field(default=128, metadata=size("width of the attention's hidden layer"))
    filter_width: int = field(default=50, metadata=size("width of the convolution over the last alignment"))
    filters: int = field(default=4, metadata=size("filters of that convolution"))
    vocabulary: int = field(default=31, metadata=size("characters v"))

    weight_noise: bool = field(
        default=False, metadata=about("noise on the decoder's kernels at every step (the paper's graph draws it)")
    )

    @property
    def name(self) -> str:
        """Family and size."""
        return f"attention_speech h={self.hidden} T={self.frames}"

    @property
    def half(self) -> int:
        """Width of the decoder's cells."""
        return self.hidden // 2

    @property
    def positions(self) -> int:
        """Encoder states the decoder attends to, and decoder steps."""
        return self.frames // 4

    @property
    def parameters(self) -> float:
        """Encoder, attention, decoder, output."""
        h, d, v, a = self.hidden, self.half, self.vocabulary, self.attention
        encoder = 2 * 4 * h * (self.features + h + 1) + 2 * 2 * 4 * h * (3 * h + 1)
        cells = 4 * d * (d + 2 * h + v + 1) + 4 * d * (2 * d + 2 * h + 1)
        convolution = self.filter_width * self.filters + self.filters * a
        return float(encoder + cells + convolution + 2 * h * a + a + 2 * d * a + a + a + d * v + v)

    @property
    def units_per_sample(self) -> float:
        """Characters the computation of one sample writes."""
        return float(self.positions)

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Self:
        """The width h that gives this many parameters."""
        return solve_width(lambda width: cls(hidden=width + 1, **fixed), parameters)

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Encoder loops with halved time between them, keys, a loop over the decoder, loss."""
        return _graph(self, sub_batch, numerics)


@lru_cache(maxsize=16)
def _graph(model: AttentionSpeech, b: int, numerics: Numerics) -> Graph:
    tape, h, steps = Tape(numerics), model.hidden, model.frames
    frames = tape.tensor("frames", b * model.features, differentiable=False, steps=steps)
    states: tuple[Tensor, ...] = (frames,)
    for layer in (1, 2, 3):
        name = f"encoder {layer}"
        states = bidirectional(tape, name, states, h, b, steps)
        tape.section(name)
        if layer < 3:
            pair, steps = states, steps // 2
            states = (tape.pointwise("halve time", pair, tape.tensor("halved", b * 2 * h, steps=steps), 1.0),)
    memory = tape.pointwise("memory", states, b * steps * 2 * h, 0.0)
    tape.section("keys")
    keys = tape.matmul("keys", (memory,), tape.weight("keys kernel", 2 * h, model.attention), b * steps)
    keys = tape.scale_shift("keys bias", keys, (tape.weight("keys bias", model.attention),), broadcast=True)
    tape.section("decoder", "block", steps)
    logits = _decoder_step(tape, model, b, memory, keys)
    tape.section("loss", "head")
    tape.cross_entropy("softmax", logits)
    return tape.graph()


def _decoder_step(tape: Tape, model: AttentionSpeech, b: int, memory: Tensor, keys: Tensor) -> Tensor:
    h, d, n, v = model.hidden, model.half, model.positions, model.vocabulary
    context = tape.tensor("context", b * 2 * h)
    spelled = tape.tensor("last character", b * v, differentiable=False)
    query = lstm_cell(tape, "attention cell", (context, spelled), d, b, noise=model.weight_noise)
    alignment = _alignment(tape, model, b, query, keys)
    tape.weighted_sum("context", alignment, memory, context, n)
    state, _ = lstm_cell(tape, "decoder cell", (context, query[0]), d, b, noise=model.weight_noise)
    logits = tape.matmul("logits", (state,), tape.weight("output kernel", d, v), b)
    return tape.scale_shift("output bias", logits, (tape.weight("output bias", v),), broadcast=True)


def _alignment(tape: Tape, model: AttentionSpeech, b: int, query: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
    """softmax(w·tanh(W·query + U·(Q ∗ last alignment) + keys + b))."""
    d, n, a, f = model.half, model.positions, model.attention, model.filters
    last = tape.tensor("alignment", b * n)
    shape = Convolution("", b, n, 1, 1, f, model.filter_width, 1)
    seen = tape.convolution("alignment filters", last, tape.weight("filters", model.filter_width, f), shape)
    where = tape.matmul("where", (seen,), tape.weight("where kernel", f, a), b * n)
    what = tape.matmul("what", query, tape.weight("what kernel", 2 * d, a), b)
    both = tape.pointwise("what and where", (what, where), b * n * a, 1.0, gradient_flops=0.5)
    summed = tape.pointwise("with keys", (both, keys), b * n * a, 1.0, gradient_flops=0.0)
    shifted = tape.scale_shift("energy bias", summed, (tape.weight("energy bias", a),), broadcast=True)
    bent = tape.pointwise("bend", (shifted,), b * n * a, TANH, gradient_flops=DERIVATIVE, saves_output=True)
    energy = tape.matmul("energy", (bent,), tape.weight("energy vector", a), b * n)
    return tape.pointwise("alignment", (energy,), last, SOFTMAX, gradient_flops=SOFTMAX_GRADIENT, saves_output=True)
