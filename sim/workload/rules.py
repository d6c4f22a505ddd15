"""What the sizes of a Transformer and its sharding must satisfy; all problems are reported at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sim.errors import InputError, Problem
from sim.workload.records import Shard

if TYPE_CHECKING:
    from sim.workload.transformer import Transformer


def size_problems(model: Transformer) -> list[Problem]:
    """Sizes that do not go together."""
    return [*_heads(model), *_ends(model), *_experts(model), *_windows(model), *_dropout(model)]


def _windows(model: Transformer) -> list[Problem]:
    if model.chunked and not model.window:
        return [Problem("needs a window", "chunked", "true", hint="window: 8192, the length of a chunk")]
    if model.chunked and model.memory:
        return [Problem("chunks have no past", "chunked", "true", hint="memory: 0")]
    if model.global_every and not model.window:
        return [
            Problem("tells blocks with a window apart", "global_every", str(model.global_every), hint="window: 4096")
        ]
    return []


def _dropout(model: Transformer) -> list[Problem]:
    if model.activation_dropout and not model.dropout:
        return [Problem("says where else dropout is", "activation_dropout", "true", hint="dropout: true")]
    return []


def _heads(model: Transformer) -> list[Problem]:
    problems = []
    if model.head_dim * model.heads != model.hidden and model.head_dim == model.hidden // model.heads:
        near = nearest_divisors(model.hidden, model.heads)
        hint = f"nearest: {near}; or give head_dim"
        problems.append(Problem(f"must divide hidden = {model.hidden}", "heads", str(model.heads), hint=hint))
    if model.heads % model.kv_heads:
        hint = f"nearest: {nearest_divisors(model.heads, model.kv_heads)}"
        problems.append(Problem(f"must divide heads = {model.heads}", "kv_heads", str(model.kv_heads), hint=hint))
    if model.rotary_dim > model.head_dim:
        problems.append(Problem(f"cannot exceed head_dim = {model.head_dim}", "rotary_dim", str(model.rotary_dim)))
    return problems


def _ends(model: Transformer) -> list[Problem]:
    problems = []
    if model.predictions > model.sequence:
        problems.append(Problem(f"cannot exceed sequence = {model.sequence}", "predictions", str(model.predictions)))
    bounds = (0, *model.cutoffs, model.vocabulary)
    if any(a >= b for a, b in pairwise(bounds)):
        rule = f"must rise between 0 and vocabulary = {model.vocabulary}"
        problems.append(Problem(rule, "cutoffs", ", ".join(map(str, model.cutoffs))))
    return problems


def _experts(model: Transformer) -> list[Problem]:
    problems = []
    if model.experts and model.top_k > model.experts:
        problems.append(Problem(f"must lie between 1 and experts = {model.experts}", "top_k", str(model.top_k)))
    if model.dense_layers > model.depth:
        problems.append(Problem(f"cannot exceed depth = {model.depth}", "dense_layers", str(model.dense_layers)))
    return problems


def check_shard(model: Transformer, sub_batch: int, shard: Shard) -> None:
    """Raise `InputError` if the degrees do not divide what they cut."""
    t, c = shard.tensor, shard.context
    cuts = [("tensor", t, "heads", model.heads), ("tensor", t, "ffn", model.ffn)]
    cuts.append(("context", c, "sequence", model.sequence))
    if model.encoder_tokens:
        cuts.append(("context", c, "encoder_sequence", model.encoder_tokens))
    if model.memory:
        cuts.append(("context", c, "memory", model.memory))
    if model.experts:
        cuts.append(("expert", shard.expert, "experts", model.experts))
        cuts.append(("tensor", t, "expert_ffn", model.expert_ffn or model.ffn))
    problems = [_divides(*cut) for cut in cuts]
    found = [p for p in problems if p]
    small, large = sorted((model.kv_heads, t))
    if large % max(small, 1):
        found.append(Problem(f"must divide kv_heads = {model.kv_heads} or be a multiple of it", "tensor", str(t)))
    if shard.expert > 1 and not model.experts:
        found.append(Problem("needs a model with experts", "expert", str(shard.expert)))
    if sub_batch < 1:
        found.append(Problem("must be at least 1", "sub_batch", str(sub_batch)))
    if found:
        raise InputError(*found)


def _divides(axis: str, degree: int, name: str, value: int) -> Problem | None:
    if degree >= 1 and value % degree == 0:
        return None
    hint = f"nearest: {nearest_divisors(value, degree)}"
    return Problem(f"must divide {name} = {value}", axis, str(degree), hint=hint)


def nearest_divisors(value: int, wanted: int) -> str:
    """The divisors of `value` just below and above `wanted`, in words."""
    divisors = [d for d in range(1, value + 1) if value % d == 0] if value < 1 << 20 else [1]
    below = [d for d in divisors if d <= wanted][-1:]
    above = [d for d in divisors if d > wanted][:1]
    return " or ".join(map(str, below + above))
