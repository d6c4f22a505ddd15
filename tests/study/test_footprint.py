"""Menghani's footprint metrics: sizes are arithmetic, times and energy come from the device model."""

from __future__ import annotations

import pytest

from sim.files.hardware import load_accelerator
from sim.files.models import preset
from sim.report.footprint import footprint_json, footprint_text
from sim.study.footprint import ModelFootprint, Variant, footprint


def of(model: str = "bert-base", chip: str = "a100-sxm4-80gb", batch: int = 8) -> ModelFootprint:
    return footprint(preset(model, sequence=128), load_accelerator(chip), batch)


def variant(found: ModelFootprint, name: str) -> Variant:
    return next(v for v in found.variants if v.name == name)


def test_size_on_disk_is_parameters_times_bytes() -> None:
    """BERT base: 109.5 M parameters (Devlin et al.: 110 M), 4, 2, 1 and 1 bytes each."""
    found = of()
    for name, size in (("fp32", 4), ("16-bit", 2), ("fp8", 1), ("int8", 1)):
        assert variant(found, name).disk_bytes == pytest.approx(109.5e6 * size, rel=0.005)


def test_distilled_bert_has_the_size_of_distilbert() -> None:
    """Half of the blocks: 66 M parameters, 40 % smaller (Sanh et al. 2019), and faster."""
    found = of()
    assert variant(found, "distilled").parameters == pytest.approx(66e6, rel=0.02)
    assert 0.0 < (variant(found, "distilled").latency_s or 0.0) < (variant(found, "16-bit").latency_s or 0.0)


def test_pruned_blocks_keep_half_of_the_values_and_their_indices() -> None:
    """2:4 in 16 bits stores 2 B·½ + 2 bit·½ = 1.125 B for each weight of a block (arXiv:2104.08378)."""
    found = of()
    dense, pruned = variant(found, "16-bit"), variant(found, "pruned 2:4")
    blocks = 2 * (dense.parameters - pruned.parameters)
    assert dense.disk_bytes - pruned.disk_bytes == pytest.approx(blocks * (2 - 1.125))


def test_pruning_is_faster_only_with_structured_sparsity() -> None:
    """A100 multiplies 2:4 operands at twice the rate, V100 does not; it never gets slower."""
    fast, slow = of(batch=64), of(chip="v100-sxm2-32gb")
    assert (variant(fast, "pruned 2:4").throughput_per_s or 0) > (variant(fast, "16-bit").throughput_per_s or 0)
    assert variant(slow, "16-bit").latency_s is not None
    assert variant(slow, "pruned 2:4").latency_s == variant(slow, "16-bit").latency_s
    assert "no structured sparsity" in variant(slow, "pruned 2:4").note


def test_a_format_the_chip_lacks_is_a_row_with_a_reason() -> None:
    """V100 has neither bf16 nor fp8: 16 bits are fp16, fp8 has a size and no times."""
    found = of(chip="v100-sxm2-32gb")
    assert variant(found, "16-bit").format == "fp16"
    assert variant(found, "fp8").latency_s is None
    assert "no fp8" in variant(found, "fp8").note


def test_narrower_weights_need_less_memory() -> None:
    """fp32 > 16 bits > 8 bits."""
    sizes = [variant(of(), name).memory_bytes for name in ("fp32", "16-bit", "fp8")]
    assert sizes == sorted(sizes, reverse=True)


def test_training_takes_twenty_units_per_parameter_and_six_flop_each() -> None:
    """Without other data: 20·N units (Hoffmann et al.); FLOPs per sample are the model's own."""
    model = preset("bert-base", sequence=128)
    training = footprint(model, load_accelerator("a100-sxm4-80gb"), 8).training
    assert training.samples * model.units_per_sample == pytest.approx(20 * model.parameters)
    assert training.flops == pytest.approx(training.samples * model.flops_per_sample()[1])


def test_energy_per_query_never_exceeds_board_power() -> None:
    """Energy · throughput is a power at most that of the board."""
    chip = load_accelerator("a100-sxm4-80gb")
    assert chip.power is not None
    for v in of().variants:
        if v.energy_j is not None and v.throughput_per_s is not None:
            assert 0 < v.energy_j * v.throughput_per_s <= chip.power.peak_w * 1.3, v.name


def test_reports_say_the_same() -> None:
    """Every variant in the table and in the JSON."""
    found = of()
    text, payload = footprint_text(found), footprint_json(found)
    assert [v["name"] for v in payload["variants"]] == [v.name for v in found.variants]
    assert all(v.name in text for v in found.variants)
    assert payload["queries_to_equal_training"] == found.queries_to_equal_training


def test_throughput_is_that_of_a_batch_that_fits() -> None:
    """Llama 3 8B at 8,192 tokens: 32 sequences of logits do not fit 80 GiB beside 32 GB of weights; 8 do."""
    found = footprint(preset("llama3-8b"), load_accelerator("a100-sxm4-80gb"), 32)
    single = variant(found, "fp32")
    assert single.batch == 8
    assert single.fits
    assert footprint_json(found)["variants"][0]["batch"] == 8
    assert "or of as many as fit" in footprint_text(found)


def test_a_model_that_does_not_fit_alone_says_so() -> None:
    """GPT-3's weights exceed the chip at any batch."""
    found = footprint(preset("gpt3-175b"), load_accelerator("a100-sxm4-80gb"), 4)
    assert variant(found, "16-bit").batch == 1
    assert not variant(found, "16-bit").fits
    assert "does not fit" in footprint_text(found)


def test_a_chip_for_inference_has_no_training() -> None:
    """TPU v1 (2015) multiplies int8 only: the int8 variant is timed, training is none with the reason."""
    found = footprint(preset("resnet50"), load_accelerator("tpu-v1"))
    assert (variant(found, "int8").latency_s or 0.0) > 0.0
    assert found.training is None
    assert footprint_json(found)["training"] is None
    assert "int8 only" in footprint_text(found)


def test_training_data_follow_the_parameters_a_unit_meets() -> None:
    """DLRM: 20 samples for each of its 2.37 M MLP weights and looked-up row elements, not for 24 G table elements."""
    found = footprint(preset("dlrm"), load_accelerator("a100-sxm4-80gb"))
    assert found.training is not None
    assert found.training.samples == pytest.approx(20 * 2.372e6, rel=1e-3)
