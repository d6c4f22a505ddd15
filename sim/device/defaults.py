"""Calibrated constants by generation of chip, and those of a hypothetical chip, each with its source.

They belong to the chip, never to a model or a measured row.  What they mean:

* `achievable`: best measured dense product / dense peak where a ceiling was measured (stas00/ml-engineering,
  "Maximum Achievable Matmul FLOPS", bf16 and fp8).  No ceiling is published in that table for V100 and TPUs:
  V100 takes the A100's next lower step (cuBLAS on V100 tops out near 100 of 125 TFLOP/s); TPUs take the ratio of
  the only systolic array measured there, Gaudi 2 (0.97), rounded down to 0.95 for the larger 128x128 pipeline.
* `memory_achievable`: STREAM-triad bandwidth / data-sheet bandwidth (BabelStream results of each generation).
* `pointwise`: the same for normalisation, dropout, softmax and optimiser kernels, which reach about 0.9 of triad.
* `kernel_overhead_s`: launch and drain of one kernel on a busy device.
* `host_s`: what an eager framework on the hosts of that time takes per op; set on the one-node Megatron-DeepSpeed rows
  without tensor or pipeline parallelism (a100_megatron_single_node.csv, 65 us; models of 0.15-1.2 B issue slower than
  an A100 computes).  Faster hosts came with Hopper; compiled stacks (TPU, Gaudi, Trainium) and hypothetical chips: 0.
* `sustained`: share of the burst ceiling a device keeps for hours, on the shapes and at the power limit of training.
  Physical bound: an A100 sustains 1305 of 1410 MHz in HPL (0.93).  Set with `FusedAttention.first` and the
  `pointwise` of A100 and H100 on the one-node rows up to 7 B of the llm-foundry set (llm_steps.csv): gemm, attention
  and pointwise seconds against measured steps.  A100's was then lowered from 0.90 to 0.85 with all A100 sets in sight;
  H100's from 0.84 to 0.72 (its 989 TFLOP/s are stated at 1.83 GHz, and 700 W hold about 1.3-1.4 GHz under dense
  products) with all H100 sets in sight, its `pointwise` set to the rule above and `first` to keep the one-node rows;
  Blackwell's is that of SimuMax's B200 steps (operators at 0.39-0.65 of peak on Llama shapes), the TPUs' that of
  MaxText on v4 and v5e, V100's the clock it holds at 300 W (about 1.42 of 1.53 GHz).
* Set with the one-device rows of DeepLearningExamples in sight (scenarios/published/single_device.csv): V100's
  `pointwise` and vector ceiling; the set's own figure leaves each model out.  A100's `convolution` is that of Hopper;
  0.66 had made up there for passes that fused batch normalisation does not have (mlperf_resnet.yaml, 0.72-0.80).
* Rows in sight: A100, H100, B200, TPU and V100 `sustained`, `pointwise`, `first`, A100's and B200's
  flash-attention shares, `host_s` of Ampere, and the TPU's
  `convolution` were chosen with published steps of the shipped validation sets in sight (docs/validation.md), so the
  figures of those sets are in-sample for them.  The host times of other generations are assumptions.
* Recalled or assumed, without a table in this repository: `memory_achievable` and the ceilings given as "about" or
  "no MAMF row", `kernel_overhead_s`, `convolution`, `access_bytes`, `random_bytes`, `ramp_k`, `max_split_k`,
  `multicast`, the vector ceiling 0.9, the sustained share and attention of chips not named above, and every
  efficiency of AMD, Gaudi, Trainium and TPU attention.
* Tile shapes, their relative efficiency and alignment: NVIDIA, "Matrix Multiplication Background User's Guide".
* Flash attention: FlashAttention-2 (arXiv:2307.08691) on A100, FlashAttention-3 (arXiv:2407.08608) on H100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sim.device.records import FusedAttention, MatrixUnit, TileShape
from sim.errors import InputError, Problem
from sim.ops import Format

MAMF = "stas00/ml-engineering, compute/accelerator/README.md, Maximum Achievable Matmul FLOPS"
NVIDIA_GUIDE = "NVIDIA, Matrix Multiplication Background User's Guide (tile, wave and alignment quantisation)"

GPU_SHAPES: Final = (
    TileShape(256, 128, 1.0),
    TileShape(128, 256, 1.0),
    TileShape(128, 128, 0.95),
    TileShape(256, 64, 0.88),
    TileShape(64, 256, 0.88),
    TileShape(128, 64, 0.82),
    TileShape(64, 128, 0.82),
    TileShape(64, 64, 0.65),
    TileShape(64, 32, 0.50),
    TileShape(32, 64, 0.50),
    TileShape(32, 32, 0.40),
)
"""Tiles cuBLAS offers, largest first; the relative efficiencies follow the guide's tile-size figure
by eye: no table of them is published."""

AMPERE_ALIGNMENT: Final = ((128, 1.0), (64, 0.96), (32, 0.88), (16, 0.76), (8, 0.6), (4, 0.5), (2, 0.45))
"""Row bytes that divide evenly → efficiency; from A100 on best at 128 bytes (guide; Anthony et al. 2024, whose figures
show the order of the steps; the values between 128 bytes and 2 are assumptions).

The odd end is what padding GPT-2's vocabulary from 50,257 to 50,304 saves: a quarter of a step of which the head is a
third (Karpathy, nanoGPT, 2023), so an odd row runs at about 0.45.
"""

VOLTA_ALIGNMENT: Final = ((16, 1.0), (8, 0.5), (4, 0.35), (2, 0.25))
"""V100's tensor cores need 16-byte rows and gain nothing beyond (guide); what narrower rows lose is assumed."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the chips of one generation have in common."""

    matrix_unit: MatrixUnit  # `units` is that of the flagship; a catalogue file states its own
    achievable: Mapping[Format, float]
    memory_achievable: float
    pointwise: float
    kernel_overhead_s: float
    attention: FusedAttention | None
    sustained: float
    access_bytes: float
    random_bytes: float
    source: str
    host_s: float = 0.0


def _gpu(
    units: int, tile_k: int, alignment: tuple[tuple[int, float], ...], convolution: float, multicast: float = 1.0
) -> MatrixUnit:
    return MatrixUnit(
        units=units,
        tile_m=256,
        tile_n=128,
        tile_k=tile_k,
        shapes=GPU_SHAPES,
        max_split_k=16,
        ramp_k=64.0,
        alignment=alignment,
        multicast=multicast,
        convolution=convolution,
    )


def _systolic(units: int, side: int, convolution: float = 1.0) -> MatrixUnit:
    """A systolic array streams rows (8 at a time) through side×side weights; a compiler hides the rest."""
    return MatrixUnit(units=units, tile_m=8, tile_n=side, tile_k=side, ramp_k=0.0, convolution=convolution)


def _formats(matrix: float, vector: float = 0.9, fp8: float | None = None) -> Mapping[Format, float]:
    low = matrix if fp8 is None else fp8
    ratios: dict[Format, float] = {"fp64": vector, "fp32": vector, "tf32": matrix, "bf16": matrix, "fp16": matrix}
    ratios |= {"fp8": low, "int8": low, "fp4": low}
    return MappingProxyType(ratios)


GENERATIONS: Final[Mapping[str, Generation]] = MappingProxyType(
    {
        "kepler": Generation(
            _gpu(13, 8, (), 0.7), _formats(0.75, 0.75), 0.75, 0.68, 8e-6, None, 1.0, 32, 32,
            "no matrix unit; ceilings as cuBLAS SGEMM on K40/K80 (about 0.75 of peak)", host_s=65e-6,
        ),
        "pascal": Generation(
            _gpu(56, 8, (), 0.8), _formats(0.9), 0.78, 0.72, 6e-6, None, 1.0, 32, 32,
            "no matrix unit; cuBLAS SGEMM reaches about 0.9 of peak; BabelStream P100 0.78", host_s=65e-6,
        ),
        "volta": Generation(
            _gpu(80, 32, VOLTA_ALIGNMENT, 0.80), _formats(0.80, 0.95), 0.87, 0.70, 5e-6, None, 0.93, 32, 32,
            "no MAMF row: cuBLAS fp16 tops out near 100 of 125 TFLOP/s; BabelStream V100 0.87-0.92", host_s=65e-6,
        ),
        "turing": Generation(
            _gpu(40, 32, VOLTA_ALIGNMENT, 0.75), _formats(0.70), 0.80, 0.72, 5e-6, None, 0.6, 32, 32,
            "no MAMF row; the 70 W board of a T4 holds about 0.6 of the boost clock", host_s=65e-6,
        ),
        "ampere": Generation(
            _gpu(108, 32, AMPERE_ALIGNMENT, 0.75), _formats(0.869), 0.87, 0.82, 4e-6,
            FusedAttention(0.80, 0.67, 16.0, first=0.64), 0.85, 32, 64,
            f"{MAMF}: 271.2 of 312; FlashAttention-2 figures 4-6", host_s=65e-6,
        ),
        "ada": Generation(
            _gpu(142, 32, AMPERE_ALIGNMENT, 0.75), _formats(0.75), 0.88, 0.80, 4e-6,
            FusedAttention(0.75, 0.62), 0.9, 32, 64, "no MAMF row; between A100 and H100", host_s=45e-6,
        ),
        "hopper": Generation(
            _gpu(132, 64, AMPERE_ALIGNMENT, 0.75, 2.0), _formats(0.803, fp8=0.709), 0.90, 0.80, 3.5e-6,
            FusedAttention(0.72, 0.56, 22.0, first=0.50), 0.72, 32, 64,
            f"{MAMF}: 794.5 of 989, fp8 1402.6 of 1979; FlashAttention-3 figures 5-6", host_s=40e-6,
        ),
        "blackwell": Generation(
            _gpu(148, 64, AMPERE_ALIGNMENT, 0.75, 2.0), _formats(0.776, fp8=0.763), 0.90, 0.65, 3.5e-6,
            FusedAttention(0.85, 0.64, 22.0, first=0.40), 0.59, 32, 64, f"{MAMF}: 1745 of 2250, fp8 3432.5 of 4500",
            host_s=30e-6,
        ),
        "blackwell_ultra": Generation(
            _gpu(148, 64, AMPERE_ALIGNMENT, 0.75, 2.0), _formats(0.786, fp8=0.745), 0.90, 0.65, 3.5e-6,
            FusedAttention(0.85, 0.64, 22.0, first=0.40), 0.59, 32, 64,
            f"{MAMF}: B300 1769 of 2250, fp8 3353.3 of 4500", host_s=30e-6,
        ),
        "cdna1": Generation(
            _gpu(120, 32, AMPERE_ALIGNMENT, 0.6), _formats(0.6), 0.80, 0.72, 7e-6, None, 1.0, 64, 64,
            "no MAMF row: as MI325X", host_s=65e-6,
        ),
        "cdna2": Generation(
            _gpu(110, 32, AMPERE_ALIGNMENT, 0.6), _formats(0.6), 0.80, 0.72, 7e-6,
            FusedAttention(0.45, 0.35), 1.0, 64, 64, "no MAMF row: as MI325X", host_s=65e-6,
        ),
        "cdna3": Generation(
            _gpu(304, 64, AMPERE_ALIGNMENT, 0.6), _formats(0.511), 0.80, 0.72, 6e-6,
            FusedAttention(0.45, 0.32), 0.95, 64, 64, f"{MAMF}: MI300X 668.4 of 1307.4 (MI325X 784.9)", host_s=45e-6,
        ),
        "cdna4": Generation(
            _gpu(256, 64, AMPERE_ALIGNMENT, 0.6), _formats(0.622), 0.80, 0.72, 6e-6,
            FusedAttention(0.50, 0.36), 0.95, 64, 64, f"{MAMF}: MI355X 1565 of 2516.6", host_s=40e-6,
        ),
        "gaudi2": Generation(
            _systolic(2, 256), _formats(0.969, fp8=0.955), 0.85, 0.78, 2e-6,
            FusedAttention(0.60, 0.50), 0.97, 64, 64, f"{MAMF}: 418.7 of 432, fp8 826.5 of 865",
        ),
        "gaudi3": Generation(
            _systolic(8, 256), _formats(0.741, fp8=0.769), 0.85, 0.78, 2e-6,
            FusedAttention(0.55, 0.45), 0.97, 64, 64, f"{MAMF}: 1243 of 1677, fp8 1289.5 of 1677",
        ),
        "tpu": Generation(
            _systolic(4, 128, 0.89), _formats(0.95), 0.90, 0.85, 1e-6,
            FusedAttention(0.60, 0.50), 0.87, 64, 128, "no MAMF row: the measured systolic array, Gaudi 2, less 2 %",
        ),
        "trainium": Generation(
            _systolic(2, 128, 0.8), _formats(0.85), 0.85, 0.78, 2e-6,
            FusedAttention(0.55, 0.45), 0.97, 64, 128, "no MAMF row: systolic array, earlier compiler than TPU's",
        ),
        "hypothetical": Generation(
            _gpu(128, 32, AMPERE_ALIGNMENT, 0.75), _formats(0.78), 0.85, 0.77, 4e-6,
            FusedAttention(0.70, 0.55), 0.95, 64, 64, f"medians of the shipped generations above ({MAMF})",
        ),
    }
)  # fmt: skip


def generation(name: str) -> Generation:
    """The constants of a generation by name; an `InputError` lists the names there are."""
    try:
        return GENERATIONS[name]
    except KeyError:
        have = ", ".join(GENERATIONS)
        raise InputError(Problem("unknown generation", "generation", name, hint=f"one of {have}")) from None
