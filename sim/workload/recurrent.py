"""Recurrent language models of the paper (Hestness, Ardalani, Diamos, PPoPP 2019): word LSTM and character RHN.

Word LM: embedding, LSTM layers unrolled over q steps, softmax over the vocabulary (Jozefowicz et al. 2016).
With `projection` the softmax sees a narrower vector, as in the paper's case study (§6);
with `sampled` > 0 it is computed over that many sampled words instead of the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import lru_cache
from typing import ClassVar

from sim.errors import Problem
from sim.fields import problem, size
from sim.records import dataclass
from sim.workload.cells import highway_cell, lstm_cell
from sim.workload.expand import GraphModel
from sim.workload.graph import Graph, Tensor
from sim.workload.records import Numerics
from sim.workload.tape import Tape


@dataclass(frozen=True, slots=True)
class LstmLM(GraphModel):
    """LSTM language model. Parameters: layers·(8h² + 4h) + 2hv + v without projection."""

    FAMILY: ClassVar[str] = "lstm_lm"

    hidden: int = field(default=2004, metadata=size("width h of embedding and LSTM layers"))
    recurrent_layers: int = field(default=2, metadata=size("LSTM layers"))
    vocabulary: int = field(default=10004, metadata=size("words v"))
    unroll: int = field(default=80, metadata=size("unrolled time steps q of one sample", "words"))
    projection: int = field(default=0, metadata=size("width of the projection before the softmax; 0: none", least=0))
    sampled: int = field(default=0, metadata=size("words in the sampled softmax; 0: full softmax", least=0))

    def contradictions(self) -> Iterator[Problem]:
        if self.sampled > self.vocabulary:
            yield problem("sampled", f"cannot exceed vocabulary = {self.vocabulary}", self.sampled)

    @property
    def name(self) -> str:
        """Family and size."""
        return f"lstm_lm h={self.hidden} v={self.vocabulary} q={self.unroll}"

    @property
    def parameters(self) -> float:
        """Embedding, LSTM kernels and biases, projection, softmax."""
        h, v = self.hidden, self.vocabulary
        out = self.projection or h
        return float(v * h + self.recurrent_layers * (8 * h * h + 4 * h) + h * self.projection + out * v + v)

    @property
    def units_per_sample(self) -> float:
        """Words the computation of one sample processes."""
        return float(self.unroll)

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Embedding, one loop per LSTM layer, softmax over all steps at once."""
        return _lstm_graph(self, sub_batch, numerics)


@lru_cache(maxsize=16)
def _lstm_graph(model: LstmLM, batch: int, numerics: Numerics) -> Graph:
    tape, h, q = Tape(numerics), model.hidden, model.unroll
    tape.section("embedding", "embedding", q)
    state = tape.embedding("embedding lookup", tape.weight("embedding", model.vocabulary, h, batch * q), batch)
    for layer in range(1, model.recurrent_layers + 1):
        tape.section(f"lstm {layer}", "block", q)
        state, _ = lstm_cell(tape, f"lstm {layer}", (state,), h, batch)
    softmax_head(tape, state, batch * q, h, model.vocabulary, model.projection, model.sampled)
    return tape.graph()


@dataclass(frozen=True, slots=True)
class HighwayLM(GraphModel):
    """Character model: a recurrent highway layer. Parameters: (2 + 2·depth)h² + 2·depth·h + 2hv + v."""

    FAMILY: ClassVar[str] = "highway_lm"

    hidden: int = field(default=2004, metadata=size("width h of embedding and state"))
    transitions: int = field(default=10, metadata=size("highway transitions within a time step"))
    vocabulary: int = field(default=98, metadata=size("characters v"))
    unroll: int = field(default=150, metadata=size("unrolled time steps q of one sample", "characters"))

    @property
    def name(self) -> str:
        """Family and size."""
        return f"highway_lm h={self.hidden} v={self.vocabulary} q={self.unroll}"

    @property
    def parameters(self) -> float:
        """Embedding, transition kernels and biases, softmax."""
        h, v, depth = self.hidden, self.vocabulary, self.transitions
        return float((2 + 2 * depth) * h * h + 2 * depth * h + 2 * h * v + v)

    @property
    def units_per_sample(self) -> float:
        """Characters the computation of one sample processes."""
        return float(self.unroll)

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Embedding, one loop over the time steps, softmax over all steps at once."""
        return _highway_graph(self, sub_batch, numerics)


@lru_cache(maxsize=16)
def _highway_graph(model: HighwayLM, batch: int, numerics: Numerics) -> Graph:
    tape, h, q = Tape(numerics), model.hidden, model.unroll
    tape.section("embedding", "embedding", q)
    x = tape.embedding("embedding lookup", tape.weight("embedding", model.vocabulary, h, batch * q), batch)
    tape.section("highway", "block", q)
    state = highway_cell(tape, x, h, model.transitions, batch)
    softmax_head(tape, state, batch * q, h, model.vocabulary)
    return tape.graph()


def softmax_head(
    tape: Tape, state: Tensor, rows: int, width: int, vocabulary: int, projection: int = 0, sampled: int = 0
) -> None:
    """Projection, logits, bias and cross entropy of `rows` positions at once."""
    tape.section("softmax", "head")
    if projection:
        state = tape.matmul("projection", (state,), tape.weight("projection", width, projection), rows)
        width = projection
    if sampled:
        words = tape.weight("softmax", vocabulary, width, rows + sampled)
        logits = tape.sampled_logits("logits", state, words, rows, sampled)
    else:
        logits = tape.matmul("logits", (state,), tape.weight("softmax", width, vocabulary), rows)
        logits = tape.scale_shift("softmax bias", logits, (tape.weight("softmax bias", vocabulary),), broadcast=True)
    tape.cross_entropy("softmax", logits)
