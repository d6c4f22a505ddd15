"""`foretrain model`: what it prints and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli import main
from sim.cli.commands import cli
from sim.errors import InputError


def call(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["model", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_json_of_a_published_model() -> None:
    """The keys scripts rely on; Mixtral's 46.7B parameters of which 12.9B are active."""
    found = json.loads(call("mixtral-8x7b", "--json"))
    assert found["parameters"] == 46_702_792_704
    assert found["parameters_active"] == 12_879_925_248
    assert found["flops_training_per_sample"] == 3 * found["flops_forward_per_sample"]
    assert sum(found["parameters_by_part"].values()) == found["parameters"]
    kept = found["activation_bytes_by_recompute"]
    assert kept["none"] == found["activation_bytes_per_sample"] >= kept["selective"] > kept["full"]


def test_sizes_can_be_set_and_solved() -> None:
    """`--set` changes a size of a published model, `--parameters` solves the open ones of a family."""
    assert json.loads(call("llama3-8b", "--set", "sequence=2048", "--json"))["units_per_sample"] == 2048
    found = json.loads(call("transformer", "--parameters", "7e9", "--json"))
    assert found["parameters"] == pytest.approx(7e9, rel=0.01)


def test_a_configuration_file_is_read(tmp_path: Path) -> None:
    """The folder or the file of a Hugging Face model."""
    config = {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert json.loads(call(str(tmp_path / "config.json"), "--json"))["parameters"] == 124_439_808


def test_text_names_parts_and_layers() -> None:
    """The terminal report has the totals, every part and every layer."""
    text = call("bert-base")
    assert "109,514,298" in text
    assert all(word in text for word in ("attention", "embedding", "head", "activations kept"))


def test_without_a_name_everything_is_listed() -> None:
    """Families and published models."""
    text = call()
    assert "transformer" in text
    assert "gpt3-175b" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["llama-9"], "no such model"),
        (["gpt2", "--set", "vocabulary=0"], "vocabulary"),
        (["gpt2", "--set", "heads=7"], "must divide hidden"),
        (["none.json"], "cannot be read"),
    ],
)
def test_bad_input_is_an_input_error(arguments: list[str], words: str) -> None:
    """Wrong names and sizes are InputErrors (exit code 2 in `main`)."""
    result = CliRunner().invoke(cli, ["model", *arguments])
    assert isinstance(result.exception, InputError)
    assert words in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "heads=7"), "--set heads=7: heads: must divide hidden = 4096"),
        (("--set", "nonsense=1"), "--set nonsense=1: nonsense: unknown key"),
        (("--parameters", "5"), "--parameters: nothing is left to solve"),
    ],
)
def test_wrong_sizes_are_told_at_their_option(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sizes stand in --set, a parameter count in its own option."""
    with pytest.raises(SystemExit, match="2"):
        main(["model", "llama2-7b", *arguments])
    assert told in capsys.readouterr().err
