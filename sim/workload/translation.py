"""Attention encoder–decoder for translation, as in the paper (Hestness et al. 2019) and TensorFlow's NMT of 2017.

Bidirectional LSTM encoder, LSTM decoder that is fed its last attention vector, multiplicative attention
(Luong et al. 2015) over the encoder's states, softmax over the target vocabulary without bias.
One bidirectional layer and one decoder layer: 33h² + 3hv + 12h parameters.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from typing import ClassVar

from sim.fields import size
from sim.records import dataclass
from sim.workload.cells import lstm_cell
from sim.workload.expand import GraphModel
from sim.workload.graph import Graph, Tensor
from sim.workload.records import Numerics
from sim.workload.tape import Tape

SOFTMAX, SOFTMAX_GRADIENT = 5.0, 4.0  # max, subtract, exp, sum, divide; y·(dy − Σ y·dy)


@dataclass(frozen=True, slots=True)
class AttentionNmt(GraphModel):
    """LSTM encoder–decoder with attention."""

    FAMILY: ClassVar[str] = "attention_nmt"

    hidden: int = field(default=1024, metadata=size("width h of embeddings, LSTM layers and attention"))
    encoder_layers: int = field(default=1, metadata=size("bidirectional LSTM layers of the encoder"))
    decoder_layers: int = field(default=1, metadata=size("LSTM layers of the decoder"))
    vocabulary: int = field(default=36548, metadata=size("word pieces v, of source and target each"))
    unroll: int = field(default=26, metadata=size("length q of source and of target", "word pieces"))

    @property
    def name(self) -> str:
        """Family and size."""
        return f"attention_nmt h={self.hidden} v={self.vocabulary} q={self.unroll}"

    @property
    def parameters(self) -> float:
        """Embeddings, encoder, decoder, attention (keys 2h², output 3h²), softmax."""
        h, deeper = self.hidden, self.encoder_layers - 1
        encoder = 2 * (8 * h * h + 4 * h) + deeper * 2 * (12 * h * h + 4 * h)
        decoder = 12 * h * h + 4 * h + (self.decoder_layers - 1) * (8 * h * h + 4 * h)
        return float(3 * h * self.vocabulary + encoder + decoder + 5 * h * h)

    @property
    def units_per_sample(self) -> float:
        """Word pieces of the target that the computation of one sample processes."""
        return float(self.unroll)

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Embeddings, a loop per direction of the encoder, keys, a loop over the decoder, softmax."""
        return _graph(self, sub_batch, numerics)


def bidirectional(
    tape: Tape, layer: str, inputs: tuple[Tensor, ...], width: int, batch: int, steps: int
) -> tuple[Tensor, ...]:
    """An LSTM over the sequence in either direction: two loops, two state sequences."""
    states: list[Tensor] = []
    for direction in ("forward", "backward"):
        tape.section(layer, "block", steps)
        flipped = direction == "backward"
        taken = tuple(tape.reshape("reversed", t) for t in inputs) if flipped else inputs
        state, _ = lstm_cell(tape, f"{layer} {direction}", taken, width, batch, ragged=True)
        states.append(tape.reshape("reversed back", state) if flipped else state)
    return tuple(states)


@lru_cache(maxsize=16)
def _graph(model: AttentionNmt, b: int, numerics: Numerics) -> Graph:
    tape, h, q, v = Tape(numerics), model.hidden, model.unroll, model.vocabulary
    tape.section("source embedding", "embedding", q)
    states: tuple[Tensor, ...] = (tape.embedding("source lookup", tape.weight("source embedding", v, h, b * q), b),)
    for layer in range(1, model.encoder_layers + 1):
        states = bidirectional(tape, f"encoder {layer}", states, h, b, q)
    tape.section("memory", "block")
    memory = tape.mask("memory mask", tape.reshape("batch major", tape.pointwise("memory", states, b * q * 2 * h, 0.0)))
    rows = tape.reshape("memory rows", memory)
    keys = tape.reshape(
        "key rows", tape.matmul("keys", (rows,), tape.weight("keys kernel", 2 * h, h), b * q, sequence=True)
    )
    tape.section("target embedding", "embedding", q)
    target = tape.embedding("target lookup", tape.weight("target embedding", v, h, b * q), b)
    tape.section("decoder", "block", q)
    attended = _decoder_step(tape, model, b, target, memory, keys)
    tape.section("softmax", "head")
    logits = tape.matmul("logits", (attended,), tape.weight("softmax", h, v), b * q, sequence=True)
    tape.cross_entropy("softmax", tape.reshape("rows", tape.reshape("sequence", logits)))
    return tape.graph()


def _decoder_step(tape: Tape, model: AttentionNmt, b: int, target: Tensor, memory: Tensor, keys: Tensor) -> Tensor:
    h, q = model.hidden, model.unroll
    attended = tape.tensor("attention vector", b * h)
    inputs: tuple[Tensor, ...] = (target, attended)
    for layer in range(1, model.decoder_layers + 1):
        state, _ = lstm_cell(tape, f"decoder {layer}", inputs, h, b)
        inputs = (state,)
    scores = tape.product("scores", state, keys, batch=b, m=1, n=q, k=h)
    weights = tape.pointwise("alignment", (scores,), b * q, SOFTMAX, gradient_flops=SOFTMAX_GRADIENT, saves_output=True)
    context = tape.product("context", weights, memory, batch=b, m=1, n=2 * h, k=q)
    return tape.matmul("attention", (state, context), tape.weight("attention kernel", 3 * h, h), b, attended)
