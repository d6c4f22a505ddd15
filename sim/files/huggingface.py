"""A model from a Hugging Face `config.json`: the sizes it names, in our terms.

Key names are those of the `transformers` configuration classes.  A configuration does not say how long a training
sample is; `sequence` is `max_position_embeddings`, at most 8192 unless the caller gives one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.fields import did_you_mean, join
from sim.files.json_text import mapping, placing, read_text
from sim.workload.records import Model
from sim.workload.transformer import Transformer
from sim.workload.vit import VisionTransformer

LONGEST: Final = 8192  # tokens; most training samples are no longer, whatever the position limit


class Config:
    """The mapping of a file, whose missing and wrong entries are collected as problems."""

    def __init__(self, values: Mapping[str, Any], file: str, path: str = "") -> None:
        self.values = values
        self.file = file
        self.path = path  # of a part within the file
        self.problems: list[Problem] = []

    def size(self, *names: str, default: int | None = None) -> int:
        """The first of `names` that is there, a whole number of at least 1 (0 allowed where it is the default)."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < (0 if default == 0 else 1):
                self.refuse("must be a positive whole number", name, repr(value))
                return 1
            return value
        if default is None:
            self.refuse("is required", names[0])
            return 1
        return default

    def flag(self, name: str, default: bool) -> bool:
        """True or false, or nothing."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse("must be true or false", name, repr(value))
        return value if isinstance(value, bool) else default

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1, or nothing."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.refuse("must be a number from 0 to 1", name, repr(value))
            return default
        return float(value)

    def activation(self, *names: str) -> str:
        """The gated activation of a feed-forward layer."""
        name = next((name for name in names if self.values.get(name) is not None), names[0])
        value = str(self.values.get(name) or "silu")
        if value not in GATED:
            self.refuse("is no activation that is known here", name, repr(value), f"one of {', '.join(GATED)}")
        return GATED.get(value, "swiglu")

    def refuse(self, rule: str, path: str, value: str = "", hint: str = "") -> None:
        self.problems.append(Problem(rule, join(self.path, [path]), value, self.file, hint=hint))

    def dropped(self, *names: str) -> bool:
        """Whether any of these dropout rates is above zero."""
        return any([self.share(name, 0.0) > 0 for name in names])  # noqa: C419  (each is checked)

    def positions(self, *names: str) -> int:
        """Tokens of a sample by default."""
        return min(LONGEST, self.size(*(names or ("max_position_embeddings",)), default=LONGEST))


Sizes = dict[str, Any]
GATED: Final = {"silu": "swiglu", "swish": "swiglu", "gelu": "geglu", "gelu_new": "geglu", "gelu_pytorch_tanh": "geglu"}


def common(c: Config) -> Sizes:
    """Names most families share."""
    return {
        "hidden": c.size("hidden_size"),
        "depth": c.size("num_hidden_layers"),
        "heads": c.size("num_attention_heads"),
        "vocabulary": c.size("vocab_size"),
    }


def llama(c: Config) -> Sizes:
    """Llama and its kin: rotary positions, RMSNorm, gated feed-forward, grouped queries."""
    bias = c.flag("attention_bias", False)
    return {
        **common(c),
        "kv_heads": c.size("num_key_value_heads", default=0),
        "head_dim": c.size("head_dim", default=0),
        "ffn": c.size("intermediate_size"),
        "activation": c.activation("hidden_act", "hidden_activation"),
        "sequence": c.positions(),
        "tied": c.flag("tie_word_embeddings", False),
        "positions": "rotary",
        "norm": "rms",
        "bias": False,
        "qkv_bias": bias,
        "dropout": c.dropped("attention_dropout"),
    }


def windowed(c: Config) -> Sizes:
    """Mistral: Llama with a sliding window where one is named."""
    return {**llama(c), "window": c.size("sliding_window", default=0)}


def qwen2(c: Config) -> Sizes:
    return {**llama(c), "qkv_bias": True}


def qwen3(c: Config) -> Sizes:
    return {**llama(c), "qk_norm": True}


def gemma(c: Config) -> Sizes:
    return {**llama(c), "tied": c.flag("tie_word_embeddings", True), "activation": "geglu"}


def gemma2(c: Config) -> Sizes:
    return {**gemma(c), "sandwich_norm": True, **alternating(c, 4096, 2)}


def gemma3(c: Config) -> Sizes:
    """Gemma 3, its language part: norms on heads."""
    c = language(c)
    return {**gemma2(c), "qk_norm": True, **alternating(c, 4096, 6)}


def alternating(
    c: Config, window: int, period: int, kind: str = "sliding_attention", field: str = "sliding_window"
) -> Sizes:
    """Blocks in a window, the last of each period with the whole sequence: as `layer_types` lists them, or with the
    defaults of the family (transformers' configuration classes)."""
    kinds = c.values.get("layer_types")
    period = c.size("sliding_window_pattern", default=period)
    if isinstance(kinds, list) and "full_attention" in kinds:
        period = kinds.index("full_attention") + 1
        expected = ["full_attention" if (k + 1) % period == 0 else kind for k in range(len(kinds))]
        if kinds != expected:
            c.refuse(f"must repeat {period - 1} blocks of {kind} and one that sees the whole sequence", "layer_types")
    return {"window": c.size(field, default=window), "global_every": period}


def llama4(c: Config) -> Sizes:
    """Llama 4, its language part: a shared expert beside one that is chosen, in every or every second block; three of
    four blocks attend within chunks."""
    c = language(c)
    width = c.size("intermediate_size")
    rotated = c.values.get("no_rope_layers")
    if isinstance(rotated, list) and rotated and "layer_types" not in c.values:
        c.values = {**c.values, "layer_types": ["chunked_attention" if x else "full_attention" for x in rotated]}
    chunks = alternating(
        c, 8192, c.size("no_rope_layer_interval", default=4), "chunked_attention", "attention_chunk_size"
    )
    whole = c.values.get("attention_chunk_size", 0) is None
    return {
        **llama(c),
        **({} if whole else {**chunks, "chunked": True}),
        "ffn": c.size("intermediate_size_mlp", default=width),
        "experts": c.size("num_local_experts"),
        "top_k": c.size("num_experts_per_tok", default=1),
        "expert_ffn": width,
        "shared_experts": 1,
        "moe_every": c.size("interleave_moe_layer_step", default=1),
    }


def gpt_oss(c: Config) -> Sizes:
    """gpt-oss: biases everywhere but in the norms, a learned score per head, every second block in a window."""
    return {
        **llama(c),
        **alternating(c, 128, 2),
        "bias": True,
        "qkv_bias": True,
        "sinks": True,
        "experts": c.size("num_local_experts"),
        "top_k": c.size("num_experts_per_tok", "experts_per_token"),
        "router_bias": True,
    }


def glm4_moe(c: Config) -> Sizes:
    """GLM-4.5 and later: DeepSeek's experts over grouped queries, half of each head rotated."""
    sizes = deepseek(c)
    head = sizes["head_dim"] or sizes["hidden"] // max(1, sizes["heads"])
    sizes["rotary_dim"] = round(head * c.share("partial_rotary_factor", 0.5))
    return {**sizes, "qk_norm": c.flag("use_qk_norm", False)}


def language(c: Config) -> Config:
    """The language part of a configuration with several."""
    inner = c.values.get("text_config")
    if not isinstance(inner, dict):
        return c
    part = Config(inner, c.file, "text_config")
    part.problems = c.problems
    return part


def mixtral(c: Config) -> Sizes:
    experts = {"experts": c.size("num_local_experts"), "top_k": c.size("num_experts_per_tok")}
    return {**windowed(c), **experts}


def expert_sizes(c: Config, count: str) -> Sizes:
    """Fine-grained experts of Qwen and DeepSeek."""
    return {
        "experts": c.size(count),
        "top_k": c.size("num_experts_per_tok"),
        "expert_ffn": c.size("moe_intermediate_size"),
    }


def qwen2_moe(c: Config) -> Sizes:
    experts = expert_sizes(c, "num_experts")
    shared = c.size("shared_expert_intermediate_size", default=0)
    experts["shared_experts"] = shared // max(1, experts["expert_ffn"])
    return {**qwen2(c), **experts, "moe_every": c.size("decoder_sparse_step", default=1)}


def qwen3_moe(c: Config) -> Sizes:
    return {**qwen3(c), **expert_sizes(c, "num_experts"), "moe_every": c.size("decoder_sparse_step", default=1)}


def deepseek(c: Config) -> Sizes:
    """DeepSeek mixtures, with plain attention (the first) or latent attention (V2, V3)."""
    sizes = llama(c)
    if c.values.get("n_routed_experts") is not None:
        sizes |= expert_sizes(c, "n_routed_experts")
        sizes["shared_experts"] = c.size("n_shared_experts", default=0)
        sizes["dense_layers"] = c.size("first_k_dense_replace", default=0)
        sizes["moe_every"] = c.size("moe_layer_freq", default=1)
    if c.values.get("kv_lora_rank") is not None:
        rope = c.size("qk_rope_head_dim")
        sizes |= {
            "kv_heads": 0,
            "kv_rank": c.size("kv_lora_rank"),
            "q_rank": c.size("q_lora_rank", default=0),
            "rotary_dim": rope,
            "head_dim": c.size("qk_nope_head_dim") + rope,
            "v_head_dim": c.size("v_head_dim"),
        }
    return sizes


def gpt2(c: Config) -> Sizes:
    return {
        "hidden": c.size("n_embd", "hidden_size"),
        "depth": c.size("n_layer", "num_hidden_layers"),
        "heads": c.size("n_head", "num_attention_heads"),
        "vocabulary": c.size("vocab_size"),
        "ffn": c.size("n_inner", default=0),
        "sequence": c.size("n_positions", "n_ctx", "max_position_embeddings"),
        "tied": c.flag("tie_word_embeddings", True),
        "dropout": c.dropped("resid_pdrop", "attn_pdrop", "embd_pdrop"),
    }


def gpt_neox(c: Config) -> Sizes:
    sizes = common(c)
    head = sizes["hidden"] // sizes["heads"]
    return {
        **sizes,
        "ffn": c.size("intermediate_size"),
        "sequence": c.positions(),
        "tied": c.flag("tie_word_embeddings", False),
        "positions": "rotary",
        "rotary_dim": round(head * c.share("rotary_pct", 0.25)),
        "dropout": c.dropped("attention_dropout", "hidden_dropout"),
    }


def bloom(c: Config) -> Sizes:
    return {
        "hidden": c.size("hidden_size", "n_embed"),
        "depth": c.size("n_layer", "num_hidden_layers"),
        "heads": c.size("n_head", "num_attention_heads"),
        "vocabulary": c.size("vocab_size"),
        "sequence": c.positions("seq_length"),
        "positions": "alibi",
        "embedding_norm": True,
        "dropout": c.dropped("attention_dropout", "hidden_dropout"),
    }


def opt(c: Config) -> Sizes:
    """OPT: two rows of the position table are offsets."""
    sizes = common(c)
    if c.size("word_embed_proj_dim", default=sizes["hidden"]) != sizes["hidden"]:
        got = repr(c.values["word_embed_proj_dim"])
        c.refuse("a projected embedding is not supported", "word_embed_proj_dim", got)
    positions = c.size("max_position_embeddings")
    return {
        **sizes,
        "ffn": c.size("ffn_dim"),
        "activation": "relu",
        "sequence": positions,
        "max_positions": positions + 2,
        "tied": c.flag("tie_word_embeddings", True),
        "dropout": c.dropped("dropout", "attention_dropout"),
    }


def bert(c: Config) -> Sizes:
    """BERT and RoBERTa with the masked-language-model head."""
    positions = c.size("max_position_embeddings")
    return {
        **common(c),
        "kind": "encoder",
        "ffn": c.size("intermediate_size"),
        "sequence": min(512, positions),
        "max_positions": positions,
        "embedding_norm": True,
        "final_norm": False,
        "token_types": c.size("type_vocab_size", default=2),
        "transform": True,
        "dropout": c.dropped("hidden_dropout_prob", "attention_probs_dropout_prob"),
    }


def t5(c: Config) -> Sizes:
    """T5: relative positions, RMSNorm, no biases; version 1.1 has a gated feed-forward and its own output matrix."""
    depth = c.size("num_layers")
    kind = str(c.values.get("feed_forward_proj", "relu"))
    length = c.positions("n_positions")
    return {
        "kind": "encoder_decoder",
        "hidden": c.size("d_model"),
        "depth": c.size("num_decoder_layers", default=depth),
        "encoder_depth": depth,
        "heads": c.size("num_heads"),
        "head_dim": c.size("d_kv"),
        "ffn": c.size("d_ff"),
        "vocabulary": c.size("vocab_size"),
        "sequence": min(512, length),
        "activation": "geglu" if kind.startswith("gated") else "relu",
        "norm": "rms",
        "bias": False,
        "positions": "relative",
        "relative_buckets": c.size("relative_attention_num_buckets", default=32),
        "tied": c.flag("tie_word_embeddings", True),
        "dropout": c.dropped("dropout_rate"),
    }


def vit(c: Config) -> Sizes:
    """ViT with a classifier on as many classes as it has labels (1000 when it names none)."""
    labels = c.values.get("id2label")
    return {
        "hidden": c.size("hidden_size"),
        "depth": c.size("num_hidden_layers"),
        "heads": c.size("num_attention_heads"),
        "ffn": c.size("intermediate_size"),
        "image": c.size("image_size", default=224),
        "patch": c.size("patch_size", default=16),
        "channels": c.size("num_channels", default=3),
        "classes": len(labels) if isinstance(labels, dict) and labels else 1000,
        "dropout": c.dropped("hidden_dropout_prob", "attention_probs_dropout_prob"),
    }


READERS: Final[dict[str, Callable[[Config], Sizes]]] = {
    "bert": bert,
    "bloom": bloom,
    "deepseek": deepseek,
    "deepseek_v2": deepseek,
    "deepseek_v3": deepseek,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3": gemma3,
    "gemma3_text": gemma3,
    "glm4_moe": glm4_moe,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
    "gpt_oss": gpt_oss,
    "kimi_k2": deepseek,
    "llama": llama,
    "llama4": llama4,
    "llama4_text": llama4,
    "mistral": windowed,
    "mixtral": mixtral,
    "mt5": t5,
    "opt": opt,
    "phi3": llama,
    "qwen2": qwen2,
    "qwen2_moe": qwen2_moe,
    "qwen3": qwen3,
    "qwen3_moe": qwen3_moe,
    "roberta": bert,
    "t5": t5,
    "vit": vit,
}


def load_config(path: Path, **changes: Any) -> Model:
    """The model of a `config.json` (or of the folder that holds one), with `changes` to its sizes."""
    file = path / "config.json" if path.is_dir() else path
    text = read_text(file)
    with placing(text):
        return from_config(mapping(text, str(file)), str(file), **changes)


def read_config(file: Path) -> tuple[str, Sizes]:
    """Family and sizes that a `config.json` names."""
    text = read_text(file)
    with placing(text):
        return family_sizes(mapping(text, str(file)), str(file))


def family_sizes(values: Mapping[str, Any], file: str = "") -> tuple[str, Sizes]:
    """Family and sizes a configuration names; every missing or wrong entry is reported."""
    kind = values.get("model_type")
    reader = READERS.get(str(kind))
    if reader is None:
        near = did_you_mean(kind, READERS)
        hint = f"{near + '; ' if near else ''}supported: {', '.join(READERS)}"
        rule = "is required" if kind is None else "unsupported model_type"
        raise InputError(Problem(rule, "model_type", "" if kind is None else repr(kind), file, hint=hint))
    config = Config(values, file)
    sizes = reader(config)
    if config.problems:
        raise InputError(*config.problems)
    name = str(values.get("_name_or_path") or kind)
    return "vit" if kind == "vit" else "transformer", {"name": name, **sizes}


def from_config(values: Mapping[str, Any], file: str = "", **changes: Any) -> Model:
    """The model a configuration mapping describes, with `changes` to its sizes."""
    family, sizes = family_sizes(values, file)
    make: Any = VisionTransformer if family == "vit" else Transformer
    try:
        model: Model = make(**{**sizes, **changes})
    except InputError as error:
        raise InputError(*(Problem(p.rule, p.path, p.value, file, hint=p.hint) for p in error.problems)) from None
    return model
