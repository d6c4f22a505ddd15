"""What the sizes of a Transformer and its sharding must satisfy; all problems are reported at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from sim.errors import InputError, Problem
from sim.workload.records import Shard

POSITIVE = ("hidden", "depth", "heads", "kv_heads", "head_dim", "vocabulary", "sequence", "ffn", "moe_every")
NOT_NEGATIVE = (
    "experts", "memory", "window", "encoder_depth", "encoder_sequence", "dense_layers", "shared_experts", "q_rank",
    "kv_rank", "rotary_dim", "v_head_dim", "expert_ffn", "classes", "predictions", "token_types", "max_positions",
    "relative_buckets",
)  # fmt: skip
MOST = {"depth": 1 << 16, "encoder_depth": 1 << 16}
LARGEST = 1 << 31
"""No size of a model is larger, and no stack deeper than `MOST`: far beyond any model, and still counted in no time."""


class TransformerSizes(Protocol):
    """The sizes the rules speak of."""

    @property
    def hidden(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def kv_heads(self) -> int: ...

    @property
    def head_dim(self) -> int: ...

    @property
    def ffn(self) -> int: ...

    @property
    def sequence(self) -> int: ...

    @property
    def depth(self) -> int: ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def rotary_dim(self) -> int: ...

    @property
    def cutoffs(self) -> tuple[int, ...]: ...

    @property
    def dense_layers(self) -> int: ...

    @property
    def predictions(self) -> int: ...

    @property
    def encoder_tokens(self) -> int: ...

    @property
    def memory(self) -> int: ...

    @property
    def experts(self) -> int: ...

    @property
    def top_k(self) -> int: ...

    @property
    def expert_ffn(self) -> int: ...

    @property
    def capacity_factor(self) -> float: ...


def check_sizes(model: TransformerSizes) -> None:
    """Raise `InputError` with every size that cannot be."""
    found = [_least(model, name, 1) for name in POSITIVE]
    found += [_least(model, name, 0) for name in NOT_NEGATIVE]
    found += [_most(model, name, MOST.get(name, LARGEST)) for name in (*POSITIVE, *NOT_NEGATIVE)]
    problems = [p for p in found if p]
    if not problems:
        problems = [*_heads(model), *_ends(model), *_experts(model)]
    if problems:
        raise InputError(*problems)


def _least(model: object, name: str, least: int) -> Problem | None:
    value = getattr(model, name)
    if value >= least:
        return None
    return Problem(f"must be at least {least}", name, str(value))


def _most(model: object, name: str, most: int) -> Problem | None:
    value = getattr(model, name)
    return Problem(f"must be at most {most:,}", name, f"{value:g}") if value > most else None


def _heads(model: TransformerSizes) -> list[Problem]:
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


def _ends(model: TransformerSizes) -> list[Problem]:
    problems = []
    if model.predictions > model.sequence:
        problems.append(Problem(f"cannot exceed sequence = {model.sequence}", "predictions", str(model.predictions)))
    bounds = (0, *model.cutoffs, model.vocabulary)
    if any(a >= b for a, b in pairwise(bounds)):
        rule = f"must rise between 0 and vocabulary = {model.vocabulary}"
        problems.append(Problem(rule, "cutoffs", ", ".join(map(str, model.cutoffs))))
    return problems


def _experts(model: TransformerSizes) -> list[Problem]:
    if not model.experts:
        return []
    problems = []
    if not 1 <= model.top_k <= model.experts:
        problems.append(Problem(f"must lie between 1 and experts = {model.experts}", "top_k", str(model.top_k)))
    if model.dense_layers > model.depth:
        problems.append(Problem(f"cannot exceed depth = {model.depth}", "dense_layers", str(model.dense_layers)))
    if model.capacity_factor <= 0:
        problems.append(Problem("must be positive", "capacity_factor", str(model.capacity_factor)))
    return problems


def check_shard(model: TransformerSizes, sub_batch: int, shard: Shard) -> None:
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


def check_positive(model: object, names: tuple[str, ...], divides: tuple[tuple[str, str], ...] = ()) -> None:
    """Raise `InputError` for every size below 1 and every pair whose first does not divide the second."""
    found = [p for name in names if (p := _least(model, name, 1))]
    if not found:
        for part, whole in divides:
            values = getattr(model, part), getattr(model, whole)
            if values[1] % values[0]:
                hint = f"nearest: {nearest_divisors(values[1], values[0])}"
                found.append(Problem(f"must divide {whole} = {values[1]}", part, str(values[0]), hint=hint))
    if found:
        raise InputError(*found)
