"""Published models by name: sizes, the count their authors or weights give, and where the sizes were read.

`published` is the number of trainable parameters of the released weights (or of the paper, rounded as printed);
0 where no exact figure was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeAlias

from sim.errors import InputError, Problem
from sim.workload.dlrm import CRITEO_40M, Dlrm
from sim.workload.resnet import ResNet
from sim.workload.transformer import Transformer
from sim.workload.vit import VisionTransformer

Published: TypeAlias = Transformer | VisionTransformer | Dlrm | ResNet
CLASSES: Final[Mapping[str, type[Published]]] = {
    "transformer": Transformer,
    "vit": VisionTransformer,
    "dlrm": Dlrm,
    "resnet": ResNet,
}


@dataclass(frozen=True, slots=True)
class Preset:
    """One published model."""

    sizes: Mapping[str, Any]
    source: str
    published: float = 0.0
    family: Literal["transformer", "vit", "dlrm", "resnet"] = "transformer"


GPT: Final = {"vocabulary": 50257, "dropout": True}
LLAMA: Final = {
    "activation": "swiglu",
    "tied": False,
    "positions": "rotary",
    "norm": "rms",
    "bias": False,
}
LLAMA_1: Final = {**LLAMA, "vocabulary": 32000, "sequence": 2048}
LLAMA_2: Final = {**LLAMA, "vocabulary": 32000, "sequence": 4096}
LLAMA_3: Final = {**LLAMA, "vocabulary": 128256, "sequence": 8192, "kv_heads": 8}
QWEN: Final = {**LLAMA, "qkv_bias": True, "sequence": 4096}
BERT: Final = {
    "kind": "encoder",
    "vocabulary": 30522,
    "sequence": 512,
    "embedding_norm": True,
    "final_norm": False,
    "token_types": 2,
    "transform": True,
    "dropout": True,
}
T5: Final = {
    "kind": "encoder_decoder",
    "vocabulary": 32128,
    "sequence": 114,
    "encoder_sequence": 512,
    "activation": "relu",
    "norm": "rms",
    "bias": False,
    "positions": "relative",
    "relative_buckets": 32,
    "dropout": True,
}
NEOX: Final = {"positions": "rotary", "sequence": 2048, "tied": False}
DEEPSEEK: Final = {**LLAMA, "sequence": 4096, "rotary_dim": 64, "head_dim": 192, "v_head_dim": 128, "kv_rank": 512}

GPT2_SOURCE: Final = "Radford et al. 2019, table 2; released weights"
GPT3_SOURCE: Final = "Brown et al. 2020, table 2.1 and D.1 (counts in millions)"
BERT_SOURCE: Final = "Devlin et al. 2019; released weights, masked-language-model head without the pooler"
LLAMA1_SOURCE: Final = "Touvron et al. 2023a, table 2; released weights"
LLAMA2_SOURCE: Final = "Touvron et al. 2023b; released weights (config.json)"
LLAMA3_SOURCE: Final = "Grattafiori et al. 2024, table 3; released weights (config.json)"
QWEN_SOURCE: Final = "Qwen2.5 technical report 2024, table 1; released weights (config.json)"
T5_SOURCE: Final = "Raffel et al. 2020; released weights (config.json)"
VIT_SOURCE: Final = "Dosovitskiy et al. 2021, table 1; ImageNet-1k classifier at 224×224"
RESNET_SOURCE: Final = "He et al. 2016, table 1; released weights (torchvision)"
NEOX_SOURCE: Final = "Black et al. 2022; Biderman et al. 2023; released weights"


def _sizes(base: Mapping[str, Any], hidden: int, depth: int, heads: int, **more: Any) -> dict[str, Any]:
    return {**base, "hidden": hidden, "depth": depth, "heads": heads, **more}


CRITEO_MULTIHOT: Final = (
    40000000, 39060, 17295, 7424, 20265, 3, 7122, 1543, 63, 40000000, 3067956, 405282, 10,
    2209, 11938, 155, 4, 976, 14, 40000000, 40000000, 40000000, 590152, 12973, 108, 36,
)  # fmt: skip
MULTIHOT_POOLING: Final = (3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1)

PRESETS: Final[dict[str, Preset]] = {
    "gpt2": Preset(_sizes(GPT, 768, 12, 12, sequence=1024), GPT2_SOURCE, 124_439_808),
    "gpt2-medium": Preset(_sizes(GPT, 1024, 24, 16, sequence=1024), GPT2_SOURCE, 354_823_168),
    "gpt2-large": Preset(_sizes(GPT, 1280, 36, 20, sequence=1024), GPT2_SOURCE, 774_030_080),
    "gpt2-xl": Preset(_sizes(GPT, 1600, 48, 25, sequence=1024), GPT2_SOURCE, 1_557_611_200),
    "gpt3-6.7b": Preset(_sizes(GPT, 4096, 32, 32, sequence=2048), GPT3_SOURCE, 6658e6),
    "gpt3-175b": Preset(_sizes(GPT, 12288, 96, 96, sequence=2048), GPT3_SOURCE, 174_600e6),
    "bert-base": Preset(_sizes(BERT, 768, 12, 12), BERT_SOURCE, 109_514_298),
    "bert-large": Preset(_sizes(BERT, 1024, 24, 16), BERT_SOURCE, 335_174_458),
    "llama-7b": Preset(_sizes(LLAMA_1, 4096, 32, 32, ffn=11008), LLAMA1_SOURCE, 6_738_415_616),
    "llama-13b": Preset(_sizes(LLAMA_1, 5120, 40, 40, ffn=13824), LLAMA1_SOURCE, 13_015_864_320),
    "llama-33b": Preset(_sizes(LLAMA_1, 6656, 60, 52, ffn=17920), LLAMA1_SOURCE, 32_528_943_616),
    "llama-65b": Preset(_sizes(LLAMA_1, 8192, 80, 64, ffn=22016), LLAMA1_SOURCE, 65_285_660_672),
    "llama2-7b": Preset(_sizes(LLAMA_2, 4096, 32, 32, ffn=11008), LLAMA2_SOURCE, 6_738_415_616),
    "llama2-13b": Preset(_sizes(LLAMA_2, 5120, 40, 40, ffn=13824), LLAMA2_SOURCE, 13_015_864_320),
    "llama2-70b": Preset(_sizes(LLAMA_2, 8192, 80, 64, kv_heads=8, ffn=28672), LLAMA2_SOURCE, 68_976_648_192),
    "llama3-8b": Preset(_sizes(LLAMA_3, 4096, 32, 32, ffn=14336), LLAMA3_SOURCE, 8_030_261_248),
    "llama3-70b": Preset(_sizes(LLAMA_3, 8192, 80, 64, ffn=28672), LLAMA3_SOURCE, 70_553_706_496),
    "llama3-405b": Preset(_sizes(LLAMA_3, 16384, 126, 128, ffn=53248), LLAMA3_SOURCE, 405_853_388_800),
    "llama3.2-1b": Preset(_sizes(LLAMA_3, 2048, 16, 32, ffn=8192, tied=True), LLAMA3_SOURCE, 1_235_814_400),
    "llama3.2-3b": Preset(_sizes(LLAMA_3, 3072, 28, 24, ffn=8192, tied=True), LLAMA3_SOURCE, 3_212_749_824),
    "mistral-7b": Preset(
        _sizes(LLAMA_2, 4096, 32, 32, kv_heads=8, ffn=14336, sequence=8192, window=4096),
        "Jiang et al. 2023, table 1; released weights",
        7_241_732_096,
    ),
    "mixtral-8x7b": Preset(
        _sizes(LLAMA_2, 4096, 32, 32, kv_heads=8, ffn=14336, experts=8, top_k=2),
        "Jiang et al. 2024, table 1; released weights",
        46_702_792_704,
    ),
    "mixtral-8x22b": Preset(
        _sizes(LLAMA_2, 6144, 56, 48, kv_heads=8, ffn=16384, experts=8, top_k=2),
        "released config.json (Mistral AI, 2024-04); 141B printed",
        141e9,
    ),
    "qwen2.5-0.5b": Preset(
        _sizes(QWEN, 896, 24, 14, kv_heads=2, ffn=4864, vocabulary=151936, tied=True), QWEN_SOURCE, 494_032_768
    ),
    "qwen2.5-1.5b": Preset(
        _sizes(QWEN, 1536, 28, 12, kv_heads=2, ffn=8960, vocabulary=151936, tied=True), QWEN_SOURCE, 1_543_714_304
    ),
    "qwen2.5-3b": Preset(
        _sizes(QWEN, 2048, 36, 16, kv_heads=2, ffn=11008, vocabulary=151936, tied=True), QWEN_SOURCE, 3_085_938_688
    ),
    "qwen2.5-7b": Preset(
        _sizes(QWEN, 3584, 28, 28, kv_heads=4, ffn=18944, vocabulary=152064), QWEN_SOURCE, 7_615_616_512
    ),
    "qwen2.5-14b": Preset(
        _sizes(QWEN, 5120, 48, 40, kv_heads=8, ffn=13824, vocabulary=152064), QWEN_SOURCE, 14_770_033_664
    ),
    "qwen2.5-32b": Preset(
        _sizes(QWEN, 5120, 64, 40, kv_heads=8, ffn=27648, vocabulary=152064), QWEN_SOURCE, 32_763_876_352
    ),
    "qwen2.5-72b": Preset(
        _sizes(QWEN, 8192, 80, 64, kv_heads=8, ffn=29568, vocabulary=152064), QWEN_SOURCE, 72_706_203_648
    ),
    "gpt-neox-20b": Preset(
        _sizes(NEOX, 6144, 44, 64, vocabulary=50432, rotary_dim=24), NEOX_SOURCE, 20_554_567_680
    ),
    "pythia-6.9b": Preset(
        _sizes(NEOX, 4096, 32, 32, vocabulary=50432, rotary_dim=32), NEOX_SOURCE, 6_857_302_016
    ),
    "pythia-12b": Preset(
        _sizes(NEOX, 5120, 36, 40, vocabulary=50688, rotary_dim=32), NEOX_SOURCE, 11_846_072_320
    ),
    "bloom-176b": Preset(
        _sizes({}, 14336, 70, 112, vocabulary=250880, sequence=2048, positions="alibi", embedding_norm=True),
        "BigScience 2022, table 3; released weights",
        176_247_271_424,
    ),
    "t5-small": Preset(_sizes(T5, 512, 6, 8, ffn=2048), T5_SOURCE, 60_506_624),
    "t5-base": Preset(_sizes(T5, 768, 12, 12, ffn=3072), T5_SOURCE, 222_903_552),
    "t5-large": Preset(_sizes(T5, 1024, 24, 16, ffn=4096), T5_SOURCE, 737_668_096),
    "t5-3b": Preset(_sizes(T5, 1024, 24, 32, head_dim=128, ffn=16384), T5_SOURCE, 2_851_598_336),
    "t5-11b": Preset(_sizes(T5, 1024, 24, 128, head_dim=128, ffn=65536), T5_SOURCE, 11_307_321_344),
    "deepseek-v2": Preset(
        _sizes(
            DEEPSEEK, 5120, 60, 128, vocabulary=102400, q_rank=1536, ffn=12288, experts=160, top_k=6,
            expert_ffn=1536, shared_experts=2, dense_layers=1,
        ),
        "DeepSeek-AI 2024a, section 3.1.2; released config.json (236B printed)",
        236e9,
    ),
    "deepseek-v3": Preset(
        _sizes(
            DEEPSEEK, 7168, 61, 128, vocabulary=129280, q_rank=1536, ffn=18432, experts=256, top_k=8,
            expert_ffn=2048, shared_experts=1, dense_layers=3,
        ),
        "DeepSeek-AI 2024b, section 4.2; released config.json (671B printed, without the multi-token module)",
        671e9,
    ),
    "transformer-base": Preset(
        _sizes(
            {"kind": "encoder_decoder", "positions": "sinusoidal", "activation": "relu", "dropout": True},
            512, 6, 8, vocabulary=37000, sequence=25, encoder_sequence=25, bias=True,
        ),
        "Vaswani et al. 2017, table 3 (65M printed); about 25 tokens a sentence (WMT14 en-de, 4.5M pairs)",
    ),
    "transformer-big": Preset(
        _sizes(
            {"kind": "encoder_decoder", "positions": "sinusoidal", "activation": "relu", "dropout": True},
            1024, 6, 16, vocabulary=37000, sequence=25, encoder_sequence=25, bias=True,
        ),
        "Vaswani et al. 2017, table 3 (213M printed); about 25 tokens a sentence (WMT14 en-de, 4.5M pairs)",
    ),
    "transformer-xl-base": Preset(
        _sizes(
            {"positions": "transformer_xl", "activation": "relu", "dropout": True, "final_norm": False},
            512, 16, 8, ffn=2048, vocabulary=267735, sequence=192, memory=192, qkv_bias=False,
            cutoffs=(19997, 39997, 199997),
        ),
        "Dai et al. 2019; sizes as trained on WikiText-103 by NVIDIA DeepLearningExamples (192M printed)",
    ),
    "vit-b16": Preset(_sizes({}, 768, 12, 12, patch=16), VIT_SOURCE, 86_567_656, "vit"),
    "vit-l16": Preset(_sizes({}, 1024, 24, 16, patch=16), VIT_SOURCE, 304_326_632, "vit"),
    "vit-h14": Preset(_sizes({}, 1280, 32, 16, patch=14), VIT_SOURCE, 632_045_800, "vit"),
    "resnet18": Preset({"depth": 18}, RESNET_SOURCE, 11_689_512, "resnet"),
    "resnet34": Preset({"depth": 34}, RESNET_SOURCE, 21_797_672, "resnet"),
    "resnet50": Preset({"depth": 50}, RESNET_SOURCE, 25_557_032, "resnet"),
    "resnet101": Preset({"depth": 101}, RESNET_SOURCE, 44_549_160, "resnet"),
    "resnet152": Preset({"depth": 152}, RESNET_SOURCE, 60_192_808, "resnet"),
    "dlrm": Preset(
        {"tables": CRITEO_40M},
        "MLPerf Training v0.7–v2.1: Criteo 1TB, indices below 40M, rows of 128 (reference configuration)",
        24_036_595_969,
        "dlrm",
    ),
    "dlrm-dcnv2": Preset(
        {"tables": CRITEO_MULTIHOT, "pooling": MULTIHOT_POOLING, "interaction": "cross"},
        "MLPerf Training v3.0: multi-hot Criteo 1TB, cross network of 3 layers and rank 512",
        0.0,
        "dlrm",
    ),
}  # fmt: skip


ALIASES: Final[Mapping[str, str]] = {
    "gpt2small": "gpt2",
    "gpt3": "gpt3-175b",
    "bloom": "bloom-176b",
    "dlrmmlperf": "dlrm",
    "mlperfdlrm": "dlrm",
    "dlrmv2": "dlrm-dcnv2",
    "transformerxl": "transformer-xl-base",
}
SUFFIXES: Final = ("hf", "uncased", "cased", "v01", "v03", "patch16224", "instruct", "base")


def squashed(name: str) -> str:
    """Letters and digits only, without an organisation in front."""
    return "".join(c for c in name.lower().rsplit("/", 1)[-1] if c.isalnum())


def canonical(name: str) -> str | None:
    """The preset that `name` means: spelling (`Llama-2-7b-hf`, `meta-llama/…`) is forgiven, nothing else."""
    known = {squashed(key): key for key in PRESETS} | dict(ALIASES)
    wanted = squashed(name).replace("llama31", "llama3")
    for suffix in ("", *SUFFIXES):
        short = wanted.removesuffix(suffix)
        if short in known:
            return known[short]
    return None


def preset(name: str, **changes: Any) -> Published:
    """The published model `name`, with `changes` to its sizes (`sequence=4096`, `dropout=False` …)."""
    key = canonical(name)
    if key is None:
        close = get_close_matches(name.lower(), PRESETS, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(PRESETS)}"
        raise InputError(Problem("no such model", "model", repr(name), hint=hint))
    found = PRESETS[key]
    return CLASSES[found.family](**{**preset_sizes(key), **changes})


def preset_sizes(key: str) -> dict[str, Any]:
    """Sizes of a published model, with its name where the family has one to give."""
    found = PRESETS[key]
    named = any(f.name == "name" for f in fields(CLASSES[found.family]))
    return {**found.sizes, **({"name": key} if named else {})}
