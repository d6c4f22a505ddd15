"""Menghani's footprint metrics: sizes are arithmetic, times and energy come from the device model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.errors import InputError
from sim.files.fields import read
from sim.files.hardware import load_accelerator
from sim.files.library import folder
from sim.files.loader import load
from sim.files.models import preset
from sim.files.quality import QualityFile, qualities
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


@pytest.mark.parametrize(
    ("name", "bits"), [("mxfp8", 8.25), ("mxfp6", 6.25), ("mxfp4", 4.25), ("nvfp4", 4.5), ("fp4", 4.0)]
)
def test_block_scaled_weights_carry_their_scales(name: str, bits: float) -> None:
    """A byte of scale for every 32 elements (OCP MX 1.0) or 16 (NVFP4); the chip's own formats have a row each."""
    found = variant(of(chip="b200-sxm-180gb"), name)
    assert found.disk_bytes == pytest.approx(found.parameters * bits / 8)
    assert found.latency_s is not None


def test_weights_of_four_bits_are_widened_on_the_way() -> None:
    """Blocks in 4.125 bits (16 for every 128 weights), the rest in 16; one query reads the weights and little else, so
    that it is sooner, and no product is faster than in 16 bits."""
    found = of(batch=64)
    wide, narrow = variant(found, "16-bit"), variant(found, "int4 weights")
    blocks = 85.05e6  # of BERT base: 12 blocks of 7.09 M
    assert wide.disk_bytes - narrow.disk_bytes == pytest.approx(blocks * (2 - 4.125 / 8), rel=1e-3)
    assert 0.0 < (narrow.latency_s or 0.0) <= (wide.latency_s or 0.0)
    assert narrow.throughput_per_s == pytest.approx(wide.throughput_per_s, rel=0.05)


def test_an_int8_chip_of_2015_takes_weights_of_four_bits() -> None:
    """TPU v1 at 34 GB/s of memory: one image waits for the weights, 25.6 MB or about half of that."""
    found = footprint(preset("resnet50"), load_accelerator("tpu-v1"))
    eight, four = variant(found, "int8"), variant(found, "int4 weights")
    assert four.disk_bytes < 0.6 * eight.disk_bytes
    assert (four.latency_s or 0.0) < (eight.latency_s or 0.0)
    assert "products in int8" in four.note


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


def test_a_query_costs_its_share_of_the_chip_and_its_energy() -> None:
    """Four years of 1.5 times the chip, a quarter for the network, 5 % of both a year; 0.08 USD/kWh, hosts 0.43, site
    1.2 (the defaults of campaign.prices): by hand."""
    chip = load_accelerator("a100-sxm4-80gb")
    life_s, year_s = 4 * 365.25 * 86400.0, 365.25 * 86400.0
    found = of()
    for v in found.variants:
        if v.throughput_per_s is None:
            assert v.cost_usd is None
            continue
        bought = chip.price_usd / v.throughput_per_s * 1.75
        expected = bought / life_s + bought * 0.05 / year_s + v.energy_j * 1.43 * 1.2 * 0.08 / 3.6e6
        assert v.cost_usd == pytest.approx(expected), v.name
    assert [row["cost_per_query_usd"] for row in footprint_json(found)["variants"]] == [
        v.cost_usd for v in found.variants
    ]


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


def test_published_quality_and_the_frontier() -> None:
    """75.92 of 76.13 (torchvision's int8 ResNet-50). A variant that costs more and reaches less is off the frontier."""
    model, chip = preset("resnet50"), load_accelerator("a100-sxm4-80gb")
    published = qualities("resnet50")
    assert published["int8"].relative == pytest.approx(75.92 / 76.13)
    shown = {v.name: v for v in footprint(model, chip, published=published).variants}
    assert (shown["int8"].best, shown["fp32"].best, shown["16-bit"].best) == (True, True, None)
    worse = published | {"fp32": replace(published["fp32"], value=75.0)}
    assert not {v.name: v for v in footprint(model, chip, published=worse).variants}["fp32"].best


def test_less_perplexity_is_better() -> None:
    """DistilGPT2: 21.1 after 16.3."""
    assert qualities("gpt2")["distilled"].relative == pytest.approx(16.3 / 21.1)
    assert qualities("no-such-model") == {}


def test_qualities_are_of_models_of_the_library_and_of_variants_that_exist() -> None:
    names = {"fp32", "16-bit", "fp8", "int8", "pruned 2:4", "distilled"}
    entries = read(QualityFile, load(folder("scenarios") / "quality.yaml", "quality.yaml")).qualities
    for entry in entries:
        assert (folder("models") / f"{entry.model}.yaml").exists()
        assert entry.variant in names


def test_a_decoded_token_waits_for_weights_and_keys() -> None:
    """Llama 3 8B in 16 bits on an H100, one token after 2,048: the 7.50 G weights of blocks and head and 268 MB of keys
    and values (32 blocks, 8 heads of 128) once over 3.35 TB/s, and the starts of kernels on top.  With blocks in 4
    bits most of their bytes are spared: a row is less than a tile."""
    chip = load_accelerator("h100-sxm5-80gb")
    found = footprint(preset("llama3-8b"), chip, 1, decode=2048)
    whole = variant(found, "16-bit")
    kept = 32 * 2 * 8 * 128 * 2048 * 2
    read_s = (2 * 7.505e9 + kept) / (chip.memory.bandwidth * chip.memory.achievable)
    assert read_s < (whole.latency_s or 0.0) < read_s + 32 * 15 * chip.kernel_overhead_s
    assert whole.memory_bytes - whole.disk_bytes == pytest.approx(kept, rel=0.01)
    narrow = variant(found, "int4 weights")
    spared_s = 6.98e9 * (2 - 4.125 / 8) / (chip.memory.bandwidth * chip.memory.achievable)  # weights of the blocks
    assert 0.7 * spared_s < (whole.latency_s or 0.0) - (narrow.latency_s or 0.0) <= spared_s


def test_only_decoders_write_tokens() -> None:
    """An encoder has nothing to add a token to."""
    with pytest.raises(InputError, match="decoders that keep keys and values"):
        footprint(preset("bert-base"), load_accelerator("a100-sxm4-80gb"), 1, decode=128)
