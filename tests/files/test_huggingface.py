"""Hugging Face configurations: sizes as the files name them give the counts of the released weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.errors import InputError
from sim.files.huggingface import READERS, from_config, load_config
from sim.files.loader import load
from sim.files.scenario import load_scenario, read_workload
from sim.workload.build import build_model

LLAMA_3_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "vocab_size": 128256,
    "hidden_act": "silu",
    "attention_bias": False,
}
MISTRAL = {**LLAMA_3_8B, "model_type": "mistral", "vocab_size": 32000, "sliding_window": 4096}
MIXTRAL = {**MISTRAL, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}
QWEN = {
    **LLAMA_3_8B, "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}
NEOX = {
    "model_type": "gpt_neox", "hidden_size": 6144, "intermediate_size": 24576, "num_attention_heads": 64,
    "num_hidden_layers": 44, "vocab_size": 50432, "max_position_embeddings": 2048, "rotary_pct": 0.25,
}  # fmt: skip
BERT = {
    "model_type": "bert", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
    "num_hidden_layers": 12, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
}  # fmt: skip
T5 = {
    "model_type": "t5", "d_model": 1024, "d_kv": 128, "d_ff": 65536, "num_layers": 24, "num_heads": 128,
    "vocab_size": 32128, "relative_attention_num_buckets": 32, "n_positions": 512,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "n_routed_experts": 256,
    "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3, "moe_layer_freq": 1,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "vocab_size": 129280, "max_position_embeddings": 163840, "hidden_act": "silu",
}  # fmt: skip
OPT = {
    "model_type": "opt", "hidden_size": 4096, "ffn_dim": 16384, "num_attention_heads": 32, "num_hidden_layers": 32,
    "vocab_size": 50272, "max_position_embeddings": 2048, "word_embed_proj_dim": 4096,
}  # fmt: skip
GEMMA_2 = {
    "model_type": "gemma2", "hidden_size": 3584, "intermediate_size": 14336, "num_hidden_layers": 42,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "vocab_size": 256000,
    "max_position_embeddings": 8192,
}  # fmt: skip
GEMMA_3 = {
    **GEMMA_2, "model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
    "num_attention_heads": 4, "num_key_value_heads": 1, "vocab_size": 262144,
}  # fmt: skip
QWEN_3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768,
    "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
    "num_experts_per_tok": 8, "vocab_size": 151936, "max_position_embeddings": 40960, "decoder_sparse_step": 1,
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32,
    "num_experts_per_tok": 4, "vocab_size": 201088, "max_position_embeddings": 131072, "attention_bias": True,
}  # fmt: skip
GPT_OSS_120B = {**GPT_OSS, "num_hidden_layers": 36, "num_local_experts": 128}
LLAMA_4 = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
        "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
        "num_local_experts": 16, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1, "vocab_size": 202048,
        "max_position_embeddings": 10485760,
    },
}  # fmt: skip
GLM_4_5_AIR = {
    "model_type": "glm4_moe", "hidden_size": 4096, "intermediate_size": 10944, "moe_intermediate_size": 1408,
    "num_hidden_layers": 46, "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
    "n_routed_experts": 128, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 1,
    "vocab_size": 151552, "max_position_embeddings": 131072, "attention_bias": True, "partial_rotary_factor": 0.5,
}  # fmt: skip
KIMI_K2 = {
    **DEEPSEEK, "model_type": "kimi_k2", "num_attention_heads": 64, "num_key_value_heads": 64, "n_routed_experts": 384,
    "first_k_dense_replace": 1, "vocab_size": 163840,
}  # fmt: skip
PHI_3 = {
    **LLAMA_3_8B, "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_key_value_heads": 32,
    "vocab_size": 32064,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LLAMA_3_8B, 8_030_261_248),
        (MISTRAL, 7_241_732_096),
        (MIXTRAL, 46_702_792_704),
        (QWEN, 7_615_616_512),
        (GPT2, 124_439_808),
        (NEOX, 20_554_567_680),
        (BERT, 109_514_298),
        (T5, 11_307_321_344),
        (OPT, 6_658_473_984),
        (GEMMA_2, 9_241_705_984),
        (PHI_3, 3_821_079_552),
        (GEMMA_3, 999_885_952),
        (QWEN_3_MOE, 30_532_122_624),
        (GPT_OSS, 20_914_757_184),
        (GPT_OSS_120B, 116_829_156_672),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_counts_are_those_of_the_weights(config: dict[str, Any], parameters: int) -> None:
    """The released weights of each configuration have exactly so many parameters."""
    assert from_config(config).parameters == parameters


def test_windows_alternate_as_the_configuration_says() -> None:
    """Gemma 2 and gpt-oss every second block, Gemma 3 five of six (the defaults of transformers' classes, or what
    `layer_types` lists); any other order is refused."""
    for config, period, window in ((GEMMA_2, 2, 4096), (GEMMA_3, 6, 4096), (GPT_OSS, 2, 128)):
        model = from_config(config)
        assert (model.global_every, model.window) == (period, window)
    local, whole = "sliding_attention", "full_attention"
    maverick = from_config(LLAMA_4)
    assert (maverick.global_every, maverick.window, maverick.chunked) == (4, 8192, True)
    text = {**LLAMA_4["text_config"], "attention_chunk_size": 1024, "no_rope_layers": [1, 0] * 24}
    assert (from_config(text).global_every, from_config(text).window) == (2, 1024)
    assert not from_config({**text, "attention_chunk_size": None}).chunked
    told = from_config({**GEMMA_3, "sliding_window": 512, "layer_types": [local, local, whole] * 8 + [local] * 2})
    assert (told.global_every, told.window) == (3, 512)
    with pytest.raises(InputError, match="layer_types: must repeat"):
        from_config({**GEMMA_3, "layer_types": [local, whole, whole] * 8 + [local] * 2})


def test_deepseek_v3_has_its_671_billion() -> None:
    """671B in all and 37B active are printed."""
    model = from_config(DEEPSEEK)
    assert model.parameters == pytest.approx(671e9, rel=1e-3)
    assert model.active_parameters == pytest.approx(37e9, rel=0.02)


@pytest.mark.parametrize(
    ("config", "total", "active"), [(LLAMA_4, 107.8e9, 17e9), (GLM_4_5_AIR, 106e9, 12e9), (KIMI_K2, 1.03e12, 32e9)]
)
def test_mixtures_have_the_sizes_their_authors_print(config: dict[str, Any], total: float, active: float) -> None:
    """In all and per token, the language part alone: Llama 4 Scout, GLM-4.5-Air, Kimi K2."""
    model = from_config(config)
    assert model.parameters == pytest.approx(total, rel=0.02)
    assert model.active_parameters == pytest.approx(active, rel=0.12)


@pytest.mark.parametrize("where", ["workload", "family"])
@pytest.mark.parametrize("name", ["gpt2/config.json", "gpt2", "lab/my-gpt2"])
def test_workload_and_family_take_a_file_a_folder_or_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str
) -> None:
    """From the folder of the scenario, or from the hub's cache on this disk."""
    snapshot = tmp_path / "hub" / "models--lab--my-gpt2" / "snapshots" / "abc"
    for folder in (tmp_path / "own" / "gpt2", snapshot):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({**GPT2, "n_layer": 5}), encoding="utf-8")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc\n", encoding="utf-8")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    named = name if name.startswith("lab") else f"./{name}"
    told = named if where == "workload" else f"{{family: {named}}}"
    path = tmp_path / "own" / "a.yaml"
    path.write_text(f"workload: {told}\ncluster: dgx-a100\ntarget: {{steps: 1}}\nplan: {{sub_batch: 1}}\n")
    workload = load_scenario(path).workload
    assert (workload.family, workload.sizes["depth"]) == ("transformer", 5)


def test_a_file_and_its_folder_are_read(tmp_path: Path) -> None:
    """`config.json` may be named itself or by its folder; a caller may set the length of a sample."""
    (tmp_path / "config.json").write_text(json.dumps(GPT2), encoding="utf-8")
    assert load_config(tmp_path).parameters == load_config(tmp_path / "config.json").parameters
    assert load_config(tmp_path, sequence=256).units_per_sample == 256


def test_an_unsupported_type_is_named_with_the_list() -> None:
    """The message names the type and every type that can be read."""
    with pytest.raises(InputError, match="unsupported model_type, got 'mamba'") as caught:
        from_config({"model_type": "mamba"})
    assert all(name in str(caught.value) for name in READERS)


def test_all_problems_of_a_file_come_at_once(tmp_path: Path) -> None:
    """Missing and wrong entries are reported together, with the file."""
    path = tmp_path / "config.json"
    text = json.dumps({**GPT2, "n_head": None, "vocab_size": 0})
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}:1:{text.index('null') + 1}: n_head: is required",
        f"{path}:1:{text.index('0}') + 1}: vocab_size: must be a positive whole number, got 0",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "model_type": "llamma"\n}', "2:17: model_type: unsupported"),
        (
            '\n{"x": [{"vocab_size": "]}"}],\n"model_type": "gpt2",\n  "vocab_size" : "many" }',
            "4:18: vocab_size: must be",
        ),
        ('{"model_type": "gemma3", "text_config": {"hidden_size": -8}}', "1:57: text_config.hidden_size: must be"),
        ('{"model_type": "gpt2",\n"n_embd": 1,\n"n_embd": 2}', "3:11: n_embd: duplicate key"),
        ('{"model_type": "gpt_neox", "rotary_pct": NaN}', "1:42: rotary_pct: must be a number from 0 to 1"),
        ('{"model_type": "llama", "hidden_act": "relu9"}', "1:39: hidden_act: is no activation"),
        ('{"model_type": "llama", "tie_word_embeddings": "no"}', "1:48: tie_word_embeddings: must be true or false"),
        ('{"model_type": ' + "9" * 5000 + "}", "1:1: has a number of too many digits"),
        ("[" * 100_000, "1:1: is nested too deeply"),
    ],
)
def test_refusals_stand_where_the_value_stands(tmp_path: Path, text: str, place: str) -> None:
    """Line and column counted by hand in the text."""
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert any(str(problem).startswith(f"{path}:{place}") for problem in caught.value.problems), str(caught.value)


def test_heads_that_do_not_divide_are_refused() -> None:
    """The family's own rules hold for a configuration too."""
    with pytest.raises(InputError, match="must divide hidden = 768"):
        from_config({**GPT2, "n_head": 7})


def test_broken_json_is_located(tmp_path: Path) -> None:
    """The line and column of a syntax error are reported."""
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "gpt2",\n "n_embd": }', encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json:2:12: is not JSON"):
        load_config(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "none.json")


def test_a_scenario_may_name_a_configuration(tmp_path: Path) -> None:
    """`family: config.json` beside the scenario is the model it describes, sizes still to be overridden."""
    (tmp_path / "config.json").write_text(json.dumps(GPT2), encoding="utf-8")
    (tmp_path / "workload.yaml").write_text("family: config.json\nsizes: {max_positions: 512}\n", encoding="utf-8")
    workload = read_workload(load(tmp_path / "workload.yaml"), "workload")
    assert build_model(workload.family, workload.sizes).parameters == 124_439_808 - 512 * 768


def test_a_configuration_named_by_an_option_is_sought_from_here(tmp_path, monkeypatch):
    """`--set workload.family=folder/config.json`, the slash being no part of where the option stands."""
    (tmp_path / "hf").mkdir()
    config = {"model_type": "llama", "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8}
    config |= {"vocab_size": 1000, "intermediate_size": 1024, "max_position_embeddings": 512}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    for name in ("hf", "hf/config.json"):
        scenario = load_scenario("today/llama2-70b", [f"workload.family={name}"])
        assert scenario.workload.sizes["hidden"] == 512
