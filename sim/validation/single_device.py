"""Training throughput of one device, model by model: op graph + device model against published figures.

The rows are those of NVIDIA's DeepLearningExamples (scenarios/published/single_device.yaml).  Every constant belongs
to the chip (hardware/generations, which says which of them were set with these rows in sight: the streaming share
of V100, the vector ceiling of V100, the convolution share of A100).  `left_out` reports, for each model, the error
after one factor per chip generation and unit (matrix, vector) is fitted on the *other* models only; the null model is
one utilisation of the format's peak, likewise fitted on the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any, Final

from sim.device.records import Accelerator
from sim.files.hardware import load_accelerator
from sim.files.models import load_model_file
from sim.ops import Format
from sim.plan.prepare import single_device
from sim.records import dataclass
from sim.validation.validation import Comparison, Request, Row, Skipped, ValidationSet, compare, requests
from sim.validation.validation import Outcome as RowOutcome
from sim.workload.dlrm import Dlrm
from sim.workload.records import AttentionKernel, BatchNorm, Launch, Model, Numerics, OptimizerName
from sim.workload.resnet import ResNet
from sim.workload.transformer import Transformer
from sim.workload.translation import AttentionNmt

CRITEO_SEEN_15: Final = (
    7912889, 33823, 17139, 7339, 20046, 4, 7105, 1382, 63, 5554114, 582469, 245828, 11,
    2209, 10667, 104, 4, 968, 15, 8165896, 2675940, 7156453, 302516, 12022, 97, 35,
)  # fmt: skip
"""Rows of each Criteo 1TB table kept at a frequency threshold of 15 (DeepLearningExamples, DLRM "small")."""


PRIOR_ROWS: Final = 5  # weight of the catalogue's constants against rows, in rows


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One model left out: errors of its rows with a factor fitted on the others, and of the null model."""

    model: str
    errors: tuple[float, ...]
    null_errors: tuple[float, ...]


def run_set(spec: ValidationSet, rows: Sequence[Row] | None = None) -> tuple[list[Comparison], list[Skipped]]:
    """Predict every row the set can express; the others come back with their reason."""
    compared: list[Comparison] = []
    skipped: list[Skipped] = []
    for request in requests(spec, rows):
        outcome = compare(request, lambda asked: simulate_row(spec, asked))
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
        else:
            compared.append(outcome)
    return compared, skipped


def left_out(rows: Sequence[Comparison]) -> list[LeftOut]:
    """Each model's errors (relative, in time) with everything fitted on the other models of its chip generation."""
    found = []
    for model in sorted({row.group for row in rows}):
        ours, null = [], []
        for row in (r for r in rows if r.group == model):
            others = [r for r in rows if r.group != model and _kind(r) == _kind(row)]
            factor = shrunk_factor(others)
            level = median(r.time_over_ideal for r in others) if others else row.time_over_ideal
            ours.append((1.0 + row.error) * factor - 1.0)
            null.append(level / row.time_over_ideal - 1.0)
        found.append(LeftOut(model, tuple(ours), tuple(null)))
    return found


def shrunk_factor(rows: Sequence[Comparison]) -> float:
    """Factor in time the rows ask for: mean of −log(1 + error), shrunk towards 1 as if by five exact rows."""
    return math.exp(sum(-math.log1p(row.error) for row in rows) / (len(rows) + PRIOR_ROWS))


def median_error(parts: Sequence[LeftOut], null: bool = False) -> float:
    """Median over all rows of the absolute left-out error (of the null model)."""
    return median(abs(e) for part in parts for e in (part.null_errors if null else part.errors))


def _kind(row: Comparison) -> str:
    """Chip generation and unit: `a100-sxm4-40gb tf32` → a100 matrix; fp32 runs on the vector unit."""
    chip, _, compute = row.accelerator.partition(" ")
    return f"{chip.split('-')[0]} {'vector' if compute == 'fp32' else 'matrix'}"


def left_out_summary(rows: Sequence[Comparison]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Mean absolute left-out error by model, and the figure the set is judged by."""
    parts = left_out([row for row in rows if math.isfinite(row.error)])
    if not parts:
        return {}, ()
    ours, null = median_error(parts), median_error(parts, null=True)
    note = f"each model left out in turn: median {100 * ours:.1f} % over all rows; null model {100 * null:.1f} %"
    return {part.model: mean(map(abs, part.errors)) for part in parts}, (note,)


def simulate_row(spec: ValidationSet, request: Request) -> RowOutcome | str:
    """Throughput of one step on one device, in what the row counts (`units` to a sample)."""
    given = request.overrides
    missing = [key for key in ("family", "accelerator", "precision", "sub_batch") if key not in given]
    if missing:
        return f"the row does not say {', '.join(missing)}"
    chip = load_accelerator(str(given["accelerator"]))
    numerics = numerics_of(given, chip)
    if numerics.compute not in chip.compute:
        return f"{chip.name} does not compute in {numerics.compute}"
    model = model_of(given)
    batch = _sub_batch(given)
    if batch < 1:
        return "the sub-batch is empty"
    seconds, compute_s = step_time(model, batch, numerics, chip, updates=0.0 if given.get("accumulates") else 1.0)
    ideal = model.flops_per_sample()[1] * batch / chip.compute[numerics.compute].peak_flops
    return RowOutcome(
        fields={
            "units_per_s": batch * float(str(given.get("units", 1))) / seconds,
            "samples_per_s": batch / seconds,
            "step_time_s": seconds,
        },
        accelerator=f"{chip.name} {numerics.compute}",
        ideal_s=ideal,
        compute_share=compute_s / seconds,
        fits=True,
    )


def step_time(
    model: Model, batch: int, numerics: Numerics, chip: Accelerator, updates: float = 1.0
) -> tuple[float, float]:
    """(s, of it arithmetic) of forward, backward and `updates` optimiser updates of one device."""
    stage = single_device(model, batch, numerics, chip).stages[0]
    passes = [(work, block.count) for block, work in stage.passes()]
    compute = sum((work.seconds - work.memory_bound_s - work.overhead_s) * count for work, count in passes)
    return stage.pass_s + updates * stage.update.seconds, compute


def numerics_of(given: Mapping[str, Any], chip: Accelerator) -> Numerics:
    """fp32 and TF32 keep everything in fp32; mixed multiplies in fp16 with fp32 master weights, and stores
    activations in fp16 unless the framework keeps them wide.
    """
    precision = given["precision"]
    half: Format = "fp16" if "fp16" in chip.compute else "bf16"
    compute: Format = half if precision == "mixed" else "tf32" if precision == "tf32" else "fp32"
    kernels: Mapping[str, Any] = {
        "optimizer": OptimizerName(given.get("optimizer", "adam")),
        "fused": bool(given.get("fused", True)),
        "attention": AttentionKernel.PLAIN,
        "batch_norm": BatchNorm(given.get("batch_norm", "passes")),
        "shape_ops": bool(given.get("shape_ops", False)),
        "launch": Launch(given.get("launch", "eager")),
    }
    if precision == "mixed":
        return Numerics(half, given.get("activations", half), half, half, "fp32", **kernels)
    return Numerics(compute, "fp32", "fp32", "fp32", None, **kernels)


def _sub_batch(given: Mapping[str, Any]) -> int:
    """Samples of one pass: as printed, in units, per accumulation step, or tokens over tokens per sample."""
    batch = float(given["sub_batch"]) * float(given.get("sub_batch_unit", 1))
    batch /= float(given.get("accumulated_in", 1))
    if given.get("tokens_per_batch"):
        batch /= float(given["units"])
    return max(0, math.floor(batch + 0.5))


def model_of(given: Mapping[str, Any]) -> Model:
    """The model of a row."""
    family = given["family"]
    if family == "resnet":
        return ResNet(depth=50)
    if family == "gnmt":
        return AttentionNmt(encoder_layers=2, decoder_layers=5, vocabulary=32320, unroll=int(given["unroll"]))
    if family == "dlrm-criteo-small":
        return Dlrm(tables=CRITEO_SEEN_15)
    sizes: dict[str, Any] = dict(load_model_file(PRESET_OF.get(family, family)).sizes)
    sizes |= MORE.get(family, {})
    sizes |= {key: given[key] for key in ("sequence", "predictions", "classes") if key in given}
    return Transformer(**sizes)


PRESET_OF: Final[Mapping[str, str]] = {"transformer": "transformer-big", "transformer-xl-large": "transformer-xl-base"}
MORE: Final[Mapping[str, Mapping[str, Any]]] = {
    "transformer": {"vocabulary": 33708, "sequence": 26, "encoder_sequence": 26},
    "transformer-xl-large": {
        "hidden": 1024, "depth": 18, "heads": 16, "ffn": 4096, "sequence": 384, "memory": 384,
    },
}  # fmt: skip
"""What the rows' models change in a published preset (READMEs of DeepLearningExamples)."""
