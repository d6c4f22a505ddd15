"""A language model that writes: the next token of sequences whose keys and values are kept."""

from __future__ import annotations

from dataclasses import replace

from sim.errors import InputError, Problem
from sim.ops import Attention, Op
from sim.records import dataclass
from sim.workload.records import Layer, Model, Numerics, Shard
from sim.workload.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Decoding:
    """A language model that adds one token to each of its sequences, `context` tokens after their start: products of
    one row a sequence, attention over all keys and values, which are read from memory."""

    model: Transformer
    context: int

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def parameters(self) -> float:
        return self.model.parameters

    @property
    def active_parameters(self) -> float:
        return self.model.active_parameters

    @property
    def units_per_sample(self) -> float:
        return 1.0

    @property
    def padded(self) -> bool:
        return self.model.padded

    def flops_per_sample(self) -> tuple[float, float]:
        """Of the one token; it trains nothing."""
        forward = sum(layer.count * op.flops for layer in self.layers(1, Numerics()) for op in layer.forward)
        return forward, 0.0

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """Those of a sequence of one token, with the keys and values of all."""
        single = replace(self.model, sequence=1).layers(sub_batch, numerics, shard)
        return tuple(replace(layer, forward=tuple(map(self._over_all, layer.forward))) for layer in single)

    def _over_all(self, op: Op) -> Op:
        return replace(op, kv_len=self.context, causal=False, share=None) if isinstance(op, Attention) else op


def decoding(model: Model, context: int) -> Decoding:
    """The model one token after `context`; InputError where it writes no tokens, or keeps them otherwise."""
    if not isinstance(model, Transformer) or model.kind != "decoder" or model.kv_rank or model.window:
        rule = "is for decoders that keep keys and values of every token"
        raise InputError(Problem(rule, "--decode", str(context), hint=f"not for {model.name}"))
    return Decoding(model, context)
