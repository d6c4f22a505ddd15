"""The Transformer family: decoder, encoder, encoder–decoder; every size free, every published variant a setting.

Sources: Vaswani et al. 2017; tensor parallelism Shoeybi et al. 2019; sequence parallelism and activation bytes
Korthikanti et al. 2022; FLOPs Narayanan et al. 2021 (appendix); grouped queries Ainslie et al. 2023; gated
activations Shazeer 2020; latent attention DeepSeek-V2 2024; experts Shazeer et al. 2017, Fedus et al. 2021.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, field, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, ClassVar, Literal, NamedTuple

from sim.errors import Problem
from sim.fields import DEEPEST, Record, about, size
from sim.records import dataclass
from sim.workload.attention import AttentionSizes, attention, attention_flops, attention_weights
from sim.workload.expand import layer_of
from sim.workload.graph import Tensor
from sim.workload.kernels import Frame, Kernels, Weight, held
from sim.workload.mlp import Activation, MlpSizes, mlp, mlp_weights
from sim.workload.records import Layer, Numerics, Shard
from sim.workload.rules import check_shard, size_problems
from sim.workload.transformer_sizes import solve_sizes
from sim.workload.vocabulary import (
    VocabularySizes,
    embedding,
    embedding_layer,
    embedding_parameters,
    embedding_weights,
    head_flops,
    head_layer,
    head_weights,
    share,
)

Kind = Literal["decoder", "encoder", "encoder_decoder"]
Positions = Literal["learned", "rotary", "relative", "transformer_xl", "alibi", "sinusoidal", "none"]


class Block(NamedTuple):
    """A kind of block: its stack, whether its feed-forward part is a mixture, and whether it attends in the window."""

    stack: Literal["encoder", "decoder"]
    experts: bool
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer(Record):
    """A Transformer with its sizes; 0 means "follow the usual rule", stated in each field's documentation."""

    padded: ClassVar[bool] = False

    name: str = field(metadata=about("name of the model"), default="transformer")
    kind: Kind = field(metadata=about("which stacks there are"), default="decoder")
    hidden: int = field(metadata=size("width of the residual stream", "elements"))
    depth: int = field(metadata=size("blocks of the (decoder) stack", "blocks", most=DEEPEST))
    heads: int = field(metadata=size("attention heads", "heads"))
    vocabulary: int = field(metadata=size("rows of the token table", "tokens"))
    sequence: int = field(metadata=size("length of one sample (of the decoder's input)", "tokens"))
    kv_heads: int = field(
        metadata=size("key-value heads of grouped-query attention; 0: as many as heads", "heads", least=0), default=0
    )
    head_dim: int = field(metadata=size("size of one head; 0: hidden / heads", "elements", least=0), default=0)
    v_head_dim: int = field(metadata=size("size of a value head; 0: as head_dim", "elements", least=0), default=0)
    ffn: int = field(
        metadata=size("width of the feed-forward part; 0: 4·hidden, gated 8/3·hidden to the next 256", least=0),
        default=0,
    )
    activation: Activation = field(metadata=about("activation of the feed-forward part"), default="gelu")
    tied: bool = field(metadata=about("output matrix shared with the token table"), default=True)
    positions: Positions = field(metadata=about("how positions enter"), default="learned")
    max_positions: int = field(
        metadata=size("rows of a learned position table; 0: sequence", "tokens", least=0), default=0
    )
    rotary_dim: int = field(
        metadata=size("rotated elements of a head; 0: all (rotary positions)", "elements", least=0), default=0
    )
    relative_buckets: int = field(
        metadata=size("buckets of learned relative positions, per stack and head", least=0), default=0
    )
    bias: bool = field(metadata=about("biases in the linear layers"), default=True)
    qkv_bias: bool | None = field(metadata=about("biases of query, key, value; none: as bias"), default=None)
    sinks: bool = field(metadata=about("a learned score per head that no value belongs to (gpt-oss)"), default=False)
    router_bias: bool = field(metadata=about("biases of the router of a mixture"), default=False)
    norm: Literal["layer", "rms"] = field(metadata=about("normalisation"), default="layer")
    norm_bias: bool | None = field(metadata=about("bias of the norms; none: yes for layer, no for rms"), default=None)
    qk_norm: bool = field(metadata=about("norms on query and key heads"), default=False)
    embedding_norm: bool = field(metadata=about("a norm after the embedding"), default=False)
    final_norm: bool = field(metadata=about("a norm before the head"), default=True)
    sandwich_norm: bool = field(metadata=about("norms after each part as well (Gemma 2)"), default=False)
    token_types: int = field(metadata=size("rows of a token-type table (BERT)", least=0), default=0)
    transform: bool = field(
        metadata=about("dense, activation, norm and output bias before the logits (BERT)"), default=False
    )
    classes: int = field(
        metadata=size("outputs of a classifier in place of the vocabulary head; 0: vocabulary", least=0), default=0
    )
    predictions: int = field(
        metadata=size("positions per sample the head computes; 0: all", "tokens", least=0), default=0
    )
    cutoffs: tuple[int, ...] = field(
        metadata=size("first rows of the tail clusters of an adaptive softmax; empty: full softmax"), default=()
    )
    dropout: bool = field(metadata=about("dropout in training"), default=False)
    activation_dropout: bool = field(
        metadata=about("dropout also between the two products of a dense feed-forward part"), default=False
    )
    encoder_depth: int = field(
        metadata=size("blocks of the encoder stack; 0: as depth (encoder_decoder)", "blocks", least=0, most=DEEPEST),
        default=0,
    )
    encoder_sequence: int = field(
        metadata=size("length of the encoder's input; 0: as sequence", "tokens", least=0), default=0
    )
    memory: int = field(
        metadata=size("cached tokens of the past each query also sees (Transformer-XL)", "tokens", least=0), default=0
    )
    window: int = field(metadata=size("sliding attention window; 0: none", "tokens", least=0), default=0)
    chunked: bool = field(metadata=about("the window stays in its chunk of the sequence (Llama 4)"), default=False)
    global_every: int = field(
        metadata=size("with a window, one block in so many attends to the whole sequence; 0: none", "blocks", least=0),
        default=0,
    )
    q_rank: int = field(metadata=size("rank of the query's latent projection (MLA); 0: none", least=0), default=0)
    kv_rank: int = field(
        metadata=size("rank of the key-value latent projection (MLA); 0: plain attention", least=0), default=0
    )
    experts: int = field(metadata=size("experts of a mixture; 0: dense", "experts", least=0), default=0)
    top_k: int = field(metadata=size("experts each token is sent to", "experts"), default=2)
    expert_ffn: int = field(metadata=size("width of one expert; 0: as ffn", "elements", least=0), default=0)
    shared_experts: int = field(metadata=size("experts every token passes", "experts", least=0), default=0)
    dense_layers: int = field(metadata=size("leading blocks without experts", "blocks", least=0), default=0)
    moe_every: int = field(metadata=size("one block in so many has experts", "blocks"), default=1)
    capacity_factor: float = field(metadata=about("padding of expert inputs against imbalance", gt=0), default=1.0)

    def derived(self) -> Mapping[str, object]:
        """Sizes that follow the usual rule where they are 0."""
        rules = {
            "kv_heads": self.heads,
            "head_dim": self.hidden // self.heads,
            "ffn": default_ffn(self.hidden, self.activation),
        }
        return {name: value for name, value in rules.items() if getattr(self, name) == 0}

    def contradictions(self) -> Iterable[Problem]:
        return size_problems(self)

    # ---- sizes of the parts

    @property
    def max_rows(self) -> int:
        """Rows of the learned position table."""
        return (self.max_positions or self.sequence) if self.positions == "learned" else 0

    @property
    def encoder_blocks(self) -> int:
        return (self.encoder_depth or self.depth) if self.kind == "encoder_decoder" else 0

    @property
    def encoder_tokens(self) -> int:
        return (self.encoder_sequence or self.sequence) if self.kind == "encoder_decoder" else 0

    def attention(
        self, cross: bool = False, causal: bool | None = None, kv_heads: int = 0, local: bool = True
    ) -> AttentionSizes:
        """Sizes of self or cross attention."""
        rotary = (self.rotary_dim or self.head_dim) if self.positions == "rotary" and not cross else 0
        return AttentionSizes(
            self.hidden,
            self.heads,
            kv_heads or self.kv_heads,
            self.head_dim,
            self.v_head_dim or self.head_dim,
            self.kind != "encoder" if causal is None else causal,
            rotary,
            self.bias if self.qkv_bias is None else self.qkv_bias,
            self.bias,
            self.qk_norm,
            self.q_rank,
            self.kv_rank,
            cross,
            self.encoder_tokens if cross else self.memory,
            0 if cross or not local else self.window,
            self.positions in ("relative", "transformer_xl") and not cross,
            self.positions == "transformer_xl" and not cross,
            self.sinks and not cross,
            self.chunked and not cross,
        )

    def mlp(self, experts: bool) -> MlpSizes:
        """Sizes of the dense or the expert feed-forward part."""
        if not experts:
            return MlpSizes(self.hidden, self.ffn, self.activation, self.bias, dropout=self.activation_dropout)
        width = self.expert_ffn or self.ffn
        shared = self.shared_experts * width
        return MlpSizes(
            self.hidden,
            width,
            self.activation,
            self.bias,
            self.experts,
            self.top_k,
            self.capacity_factor,
            shared,
            self.router_bias,
        )

    @property
    def ends(self) -> VocabularySizes:
        """Sizes of embedding and head."""
        stacks = 2 if self.kind == "encoder_decoder" else 1
        return VocabularySizes(
            hidden=self.hidden,
            vocabulary=self.vocabulary,
            positions=self.max_rows,
            position_elements=self.relative_buckets * self.heads * stacks,
            token_types=self.token_types,
            embedding_norm=self.embedding_norm,
            final_norm=self.final_norm,
            rms=self.norm == "rms",
            norm_bias=self.has_norm_bias,
            tied=self.tied,
            transform=self.transform,
            classes=self.classes,
            predictions=self.predictions,
            cutoffs=self.cutoffs,
        )

    @property
    def has_norm_bias(self) -> bool:
        return self.norm == "layer" if self.norm_bias is None else self.norm_bias

    def stacks(self) -> tuple[tuple[Literal["encoder", "decoder"], int], ...]:
        """The stacks in forward order, with their blocks."""
        encoder: tuple[tuple[Literal["encoder"], int], ...] = (("encoder", self.encoder_blocks),)
        return (*(encoder if self.encoder_blocks else ()), ("decoder", self.depth))

    def runs(self) -> list[tuple[Block, int]]:
        """Runs of equal blocks in forward order."""
        found: list[tuple[Block, int]] = []
        for stack, depth in self.stacks():
            first = min(depth, self.dense_layers) if self.experts else depth
            kinds = (
                Block(stack, place >= first and not (place + 1 - first) % self.moe_every, self._local(place))
                for place in range(depth)
            )
            found += [(block, len(list(run))) for block, run in groupby(kinds)]
        return found

    def _local(self, place: int) -> bool:
        """Whether a block attends in the window: all of them, or all but the last of each `global_every`."""
        return self.window > 0 and not (self.global_every and (place + 1) % self.global_every == 0)

    def block_counts(self) -> Counter[Block]:
        """How many blocks of each kind there are."""
        counts: Counter[Block] = Counter()
        if self.window and self.global_every:
            for block, count in self.runs():
                counts[block] += count
            return counts
        for stack, depth in self.stacks():
            mixed = max(0, depth - self.dense_layers) // self.moe_every if self.experts else 0
            local = self.window > 0
            counts += Counter({Block(stack, True, local): mixed, Block(stack, False, local): depth - mixed})
        return counts

    def block_weights(self, block: Block, kv_heads: int = 0) -> list[Weight]:
        """Weights of one block; `kv_heads` above its own when ranks outnumber them and each keeps a copy."""
        stack, experts, _ = block
        cross = self.kind == "encoder_decoder" and stack == "decoder"
        norms = (3 if cross else 2) * (2 if self.sandwich_norm else 1)
        norm = Weight("norm", norms * self.hidden * (2 if self.has_norm_bias else 1), "none", matmul=False)
        attention = attention_weights(self.attention(kv_heads=kv_heads))
        if cross:
            attention = [*attention, *attention_weights(self.attention(cross=True, kv_heads=kv_heads))]
        return [*attention, *mlp_weights(self.mlp(experts)), norm]

    # ---- the Model protocol

    @property
    def parameters(self) -> float:
        """All trainable parameters, by addition of every tensor."""
        return self._count(lambda w: w.elements)

    @property
    def active_parameters(self) -> float:
        """Parameters one token meets: of the experts only top_k."""
        return self._count(lambda w: w.elements * w.active)

    def _count(self, of: Any) -> float:
        ends = [*embedding_weights(self.ends), *head_weights(self.ends), *self.stack_ends()]
        total = sum(of(w) for w in ends)
        for block, count in self.block_counts().items():
            total += count * sum(of(w) for w in self.block_weights(block))
        return float(total)

    def stack_ends(self) -> list[Weight]:
        """The final norm of an encoder stack that feeds a decoder."""
        width = self.hidden * (2 if self.has_norm_bias else 1)
        return [Weight("norm", width, "none", matmul=False)] if self.encoder_blocks and self.final_norm else []

    @property
    def units_per_sample(self) -> float:
        """Tokens of one sample, of both stacks."""
        return float(self.sequence + self.encoder_tokens)

    def flops_per_sample(self) -> tuple[float, float]:
        """(forward, 3 × forward): products with weights 2·elements per token, attention over the full square.

        For a GPT: 72·s·l·h²·(1 + s/6h + V/12lh) in training (Narayanan et al. 2021, eq. 3 without recompute).
        """
        forward = head_flops(self.ends, self.sequence)
        for block, count in self.block_counts().items():
            forward += count * self.block_flops(block)
        return forward, 3.0 * forward

    def block_flops(self, block: Block) -> float:
        """Forward FLOPs of one block and one sample."""
        tokens = self.encoder_tokens if block[0] == "encoder" else self.sequence
        past = self.encoder_tokens if self.encoder_blocks else tokens + self.memory
        flops = attention_flops(self.attention(local=block.local), tokens)
        if self.encoder_blocks and block[0] == "decoder":
            flops += attention_flops(self.attention(cross=True), tokens)
        for w in self.block_weights(block):
            if w.matmul:
                flops += 2.0 * w.elements * w.active * (past if w.stream == "memory" else tokens)
        return flops

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """Embedding, runs of equal blocks, head; as one device of the sharded group sees them."""
        return expand(self, sub_batch, numerics, shard)

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> Transformer:
        """The Transformer of about `parameters`, other sizes fixed: see `solve_sizes`."""
        return solve_sizes(cls, parameters, fixed)


def default_ffn(hidden: int, activation: str) -> int:
    """4·hidden; a gated activation has three matrices, so 8/3·hidden, to the next multiple of 256."""
    return -(-8 * hidden // 3 // 256) * 256 if activation in ("swiglu", "geglu") else 4 * hidden


@lru_cache(maxsize=1024)
def expand(model: Transformer, sub_batch: int, numerics: Numerics, shard: Shard) -> tuple[Layer, ...]:
    """The layers of `model`; equal blocks are built once."""
    check_shard(model, sub_batch, shard)
    frames = {stack: frame(model, tokens, sub_batch, numerics, shard) for stack, tokens in stack_tokens(model)}
    built: dict[tuple[Block, int], Layer] = {}
    layers = [first_layer(model, frames)]
    for key in model.runs():
        if key not in built:
            built[key] = block_layer(model, frames, *key)
        layers.append(built[key])
    return (*layers, head_layer(frames["decoder"], model.ends))


def stack_tokens(model: Transformer) -> list[tuple[str, int]]:
    """Tokens per sample of each stack."""
    encoder = [("encoder", model.encoder_tokens)] if model.encoder_blocks else []
    return [*encoder, ("decoder", model.sequence)]


def frame(model: Transformer, tokens: int, sub_batch: int, numerics: Numerics, shard: Shard) -> Frame:
    """What the parts of one stack share."""
    split = shard.sequence_parallel and shard.tensor > 1
    cuts = asdict(replace(shard, sequence_parallel=split))
    return Frame(numerics=numerics, sub_batch=sub_batch, sequence=shard.kept(tokens), dropout=model.dropout, **cuts)


def first_layer(model: Transformer, frames: dict[str, Frame]) -> Layer:
    """The embedding, of both stacks in one layer, as the table is shared; the encoder's final norm rides along."""
    main, v = frames["decoder"], model.ends
    if "encoder" not in frames:
        return embedding_layer(main, v)
    k = Kernels(frames["encoder"], "embedding", "embedding")
    x = embedding(k, v)
    k.f = main
    k.left(embedding(k, v))
    k.f = frames["encoder"]
    k.left(k.norm(x, "encoder.norm", k.f.rows, model.hidden, model.norm == "rms") if model.final_norm else x)
    norms = held(model.stack_ends(), main)
    return layer_of(
        k, (*embedding_parameters(main, v, share(v.vocabulary, main.tensor)), *norms), 1, sent(model, frames)
    )


def sent(model: Transformer, frames: dict[str, Frame]) -> float:
    """Bytes a layer leaves to the next: the residual stream, behind an encoder beside the encoder's."""
    return sum(f.rows * model.hidden * f.act for f in frames.values())


def block_layer(model: Transformer, frames: dict[str, Frame], block: Block, count: int) -> Layer:
    """`count` equal blocks: attention, cross attention behind an encoder, feed-forward, each with norm and residual."""
    stack, experts, local = block
    f = frames[stack]
    kv_heads = max(model.kv_heads, f.tensor)  # fewer key-value heads than ranks: replicated
    causal = model.kind != "encoder" and stack == "decoder"
    wide = " with all of the sequence" if model.window and not local else ""
    k = Kernels(f, f"{stack} block" + (" with experts" if experts else "") + wide)
    own = model.attention(causal=causal, kv_heads=kv_heads, local=local)
    x = k.taken("residual stream", f.rows * model.hidden)
    x = residual(k, model, "attention", x, lambda y: attention(k, own, y))
    output = f.rows * model.hidden * f.act
    if "encoder" in frames and stack == "decoder":
        cross = model.attention(cross=True, causal=False, kv_heads=kv_heads)
        x = residual(k, model, "cross_attention", x, lambda y: attention(k, cross, y))
        output = sent(model, frames)
    k.left(residual(k, model, "mlp", x, lambda y: mlp(k, model.mlp(experts), y)))
    return layer_of(k, held(model.block_weights(block, kv_heads), f), count, output)


def residual(k: Kernels, model: Transformer, name: str, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
    """x + dropout(part(norm(x)) + bias)."""
    rows, h, rms = k.f.rows, model.hidden, model.norm == "rms"
    y = part(k.norm(x, f"{name}.norm", rows, h, rms))
    if model.sandwich_norm:
        y = k.norm(y, f"{name}.norm_after", rows, h, rms)
    return k.add(x, y, f"{name}.add", model.bias)
