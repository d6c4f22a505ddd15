"""Published models: the count of every tensor adds up to the published number of parameters."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.files.loader import parse
from sim.files.models import canonical, list_models, load_model_file, preset, read_model
from sim.files.scenario import build, document_of
from sim.simulation import model_of, project_target
from sim.workload.build import build_model
from sim.workload.records import Numerics, Shard

EXACT = [name for name in list_models() if load_model_file(name).published % 1e6]


@pytest.mark.parametrize("name", EXACT)
def test_counts_of_released_weights_are_exact(name: str) -> None:
    """Where weights are released the count is theirs, to the last parameter."""
    assert preset(name).parameters == load_model_file(name).published


@pytest.mark.parametrize("name", ["gpt3-6.7b", "gpt3-175b", "deepseek-v3"])
def test_counts_of_papers_hold_to_a_tenth_of_a_percent(name: str) -> None:
    """Where only a rounded count is printed, it is met within 0.1 %."""
    assert preset(name).parameters == pytest.approx(load_model_file(name).published, rel=1e-3)


@pytest.mark.parametrize(("name", "count"), [("transformer-base", 63e6), ("transformer-big", 213e6)])
def test_the_first_transformers_are_of_the_printed_size(name: str, count: float) -> None:
    """Vaswani et al. print 65M and 213M; a shared table of 37,000 rows gives 63.1M and 214.2M."""
    assert preset(name).parameters == pytest.approx(count, rel=0.01)


@pytest.mark.parametrize("name", list_models())
def test_layers_hold_what_the_model_counts(name: str) -> None:
    """The weights of the layers on one unsharded device add up to `parameters`."""
    model = preset(name)
    held = sum(layer.count * layer.parameter_elements for layer in model.layers(1, Numerics()))
    assert held == pytest.approx(model.parameters, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "active"), [("mixtral-8x7b", 12.88e9), ("deepseek-v3", 37.55e9), ("deepseek-v2", 21e9)]
)
def test_active_parameters_of_mixtures(name: str, active: float) -> None:
    """13B of Mixtral, 37B of DeepSeek-V3 and 21B of V2 are printed as active."""
    assert preset(name).active_parameters == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("meta-llama/Llama-2-7b-hf", "llama2-7b"),
        ("Llama-3.1-405B", "llama3-405b"),
        ("bert-base-uncased", "bert-base"),
        ("GPT-3", "gpt3-175b"),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b"),
    ],
)
def test_spelling_is_forgiven(spelling: str, name: str) -> None:
    """Organisation, hyphens and the usual endings do not matter."""
    assert canonical(spelling) == name


def test_an_unknown_model_lists_its_neighbours() -> None:
    """A wrong name is an InputError with the closest right ones."""
    with pytest.raises(InputError, match="llama2-70b"):
        preset("llama2-71b")


def test_changes_reach_the_sizes() -> None:
    """A preset is a starting point: any size may be set."""
    assert preset("llama3-8b", sequence=2048).units_per_sample == 2048


@pytest.mark.parametrize("name", ["llama3-405b", "bloom-176b", "deepseek-v3", "t5-11b"])
def test_published_models_split_over_eight_tensor_ranks(name: str) -> None:
    """Every tensor-split weight is held once by the eight ranks together."""
    model = preset(name)
    layers = model.layers(1, Numerics(), Shard(8, True))
    held = sum(layer.count * layer.parameter_elements for layer in layers)
    assert model.parameters / 8 <= held < model.parameters / 7


def test_a_published_model_keeps_its_size_beside_a_projection() -> None:
    """ResNet-50 has 25.56 M parameters (He et al. 2016) whatever a scaling law projects; a family follows the law."""
    parts = {"scaling": "image", "cluster": {"extends": "dgx-a100", "accelerator": "a100-sxm4-80gb"}}
    found = {}
    for family in ("resnet50", "resnet"):
        scenario = build(document_of({"workload": {"family": family}, **parts}, "test"))
        found[family] = model_of(scenario, project_target(scenario)).parameters
    assert found["resnet50"] == 25_557_032
    assert found["resnet"] > 30e6
    assert build_model("resnet", {"depth": 50}, projected=41e6).parameters == pytest.approx(41e6, rel=0.02)


@pytest.mark.parametrize("family", ["dlrm", "resnet", "highway_lm", "transformer", "vit", "lstm_lm"])
@pytest.mark.parametrize("parameters", [float("inf"), float("nan"), 1e308, 0.0, -1.0])
def test_impossible_sizes_are_refused(family: str, parameters: float) -> None:
    """No endless search for a width."""
    with pytest.raises(InputError, match="parameters: must be positive and at most"):
        build_model(family, {}, parameters)


def test_a_file_of_the_library_is_checked_as_its_family() -> None:
    """Every shipped model is read as its family's record; a size the family lacks is refused with its place."""
    assert {load_model_file(name).name for name in list_models()} == set(list_models())
    node = parse("name: x\nfamily: resnet\nsizes: {depth: 50, hidden: 3}\nsource: none\nconfidence: D\n", "x.yaml")
    with pytest.raises(InputError, match=r"x.yaml:3:\d+: sizes.hidden"):
        read_model(node)
