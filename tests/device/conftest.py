"""Chips of the tests: data-sheet peaks (NVIDIA A100, H100 and V100 data sheets) and the paper's Table 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sim.device import Accelerator, Cache, Compute, Memory, default_power
from sim.files.generations import load_generation
from sim.ops import Format


def chip(
    name: str, peaks: Mapping[Format, float], vector: float, bandwidth: float, cache: Cache, units: int, watts: float
) -> Accelerator:
    """A chip of a known generation with its data-sheet figures."""
    kind = load_generation(name)
    compute = {key: Compute(peak, kind.achievable[key]) for key, peak in peaks.items()}
    compute["fp32"] = Compute(vector, kind.achievable["fp32"], matrix=False)
    memory = Memory(80 * 2**30, bandwidth, kind.memory_achievable, access_bytes=32, random_bytes=kind.random_bytes)
    return Accelerator(
        name=name,
        status="shipped",
        date="2020-11",
        compute=compute,
        memory=memory,
        cache=cache,
        matrix_unit=replace(kind.matrix_unit, units=units),
        kernel_overhead_s=kind.kernel_overhead_s,
        sparsity=2.0,
        power=default_power(watts, compute),
        pointwise=kind.pointwise,
        attention=kind.attention,
        sustained=kind.sustained,
    )


@pytest.fixture(scope="session")
def a100() -> Accelerator:
    peaks: dict[Format, float] = {"bf16": 312e12, "fp16": 312e12, "tf32": 156e12}
    return chip("ampere", peaks, 19.5e12, 2039e9, Cache(40e6, 7219e9), 108, 400)


@pytest.fixture(scope="session")
def h100() -> Accelerator:
    peaks: dict[Format, float] = {"bf16": 989.4e12, "fp16": 989.4e12, "tf32": 494.7e12, "fp8": 1979e12}
    return chip("hopper", peaks, 66.9e12, 3350e9, Cache(50e6, 8138e9), 132, 700)


@pytest.fixture(scope="session")
def table4() -> Accelerator:
    """The paper's target accelerator: 15.67 TFLOP/s at 80 %, 898 GB/s at 70 %, 6 MB cache (Table 4)."""
    return Accelerator(
        "table4",
        "hypothetical",
        "2019-02",
        {"fp32": Compute(15.67e12, 0.80, matrix=False)},
        Memory(32e9, 898e9, 0.70),
        Cache(6e6),
        None,
        0.0,
    )
