"""The single-device set: every row is compared or listed with its reason, and models left out are predicted."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median

import pytest

from sim.files.hardware import load_accelerator
from sim.validation.published import load_validation_set
from sim.validation.single_device import left_out, median_error, numerics_of, run_set
from sim.validation.validation import Comparison, Skipped, ValidationSet

SET = Path(__file__).parents[2] / "scenarios" / "published" / "single_device.yaml"


@pytest.fixture(scope="module")
def spec() -> ValidationSet:
    return load_validation_set(SET)


@pytest.fixture(scope="module")
def outcome(spec: ValidationSet) -> tuple[list[Comparison], list[Skipped]]:
    return run_set(spec)


def test_no_row_is_dropped_in_silence(spec: ValidationSet, outcome: tuple[list[Comparison], list[Skipped]]) -> None:
    """Compared and skipped rows together are the rows of the CSV; every skipped one says why."""
    compared, skipped = outcome
    assert len(compared) + len(skipped) == len(spec.rows)
    assert all(row.reason for row in skipped)
    assert {row.group for row in compared} == {
        "BERT", "DLRM", "GNMT", "ResNet-50", "Transformer", "Transformer-XL",
    }  # fmt: skip


def test_models_left_out_are_within_12_percent_and_beat_the_null_model(
    outcome: tuple[list[Comparison], list[Skipped]],
) -> None:
    """Median absolute error over all rows, each model left out in turn: at most 12 %, Transformer-XL and GNMT within
    15 % on average; null model above."""
    parts = left_out(outcome[0])
    assert median_error(parts) <= 0.12
    for part in parts:
        if part.model in ("Transformer-XL", "GNMT"):
            assert mean(map(abs, part.errors)) <= 0.15, part.model
    assert median_error(parts) < 0.5 * median_error(parts, null=True)
    assert median(abs(row.error) for row in outcome[0]) <= 0.20  # nothing refitted at all


def test_other_rows_go_through_the_same_rules(spec: ValidationSet) -> None:
    """Rows of a node, of a device without an entry and of another family come back with the reason."""
    base = dict(spec.rows[0]) | {"model": "BERT", "framework": "PyTorch", "n_gpus": "1", "batch_per_gpu": "32"}
    base |= {"precision": "FP32", "metric": "Throughput - FP32", "value": "50", "id_columns": "Sequence length=128"}
    rows = [
        base | {"device": "8x V100 32GB / DGX-1"},
        base | {"device": "8x V100 32GB / DGX-1", "n_gpus": "8"},
        base | {"device": "TPUv3"},
        base | {"device": "8x V100 32GB / DGX-1", "model": "nnUNet"},
        base | {"device": "8x V100 32GB / DGX-1", "precision": "TF32"},
    ]
    compared, skipped = run_set(spec, rows)
    assert len(compared) == 1
    reasons = " | ".join(row.reason for row in skipped)
    for expected in ("8 GPUs", "TPUv3", "nnUNet", "tf32"):
        assert expected in reasons


def test_mixed_precision_keeps_fp32_master_weights() -> None:
    """Mixed: fp16 products and activations, fp32 master copy; TF32 stores fp32 and needs no master copy."""
    chip = load_accelerator("a100-sxm4-40gb")
    mixed = numerics_of({"precision": "mixed"}, chip)
    tf32 = numerics_of({"precision": "tf32"}, chip)
    assert (mixed.compute, mixed.activations, mixed.master) == ("fp16", "fp16", "fp32")
    assert (tf32.compute, tf32.activations, tf32.master) == ("tf32", "fp32", None)
