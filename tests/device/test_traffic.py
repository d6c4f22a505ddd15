"""DRAM bytes: compulsory where operands fit, blocked where they do not; and what the cache costs the word LM."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest

from sim.device import Accelerator, Cache
from sim.device.cached import cache_aware
from sim.device.table import Executed
from sim.device.tiles import Product
from sim.device.traffic import convolution_product, gemm_bytes, reread_bytes
from sim.ops import Convolution, Gemm


def test_operand_that_fits_is_read_once(table4: Accelerator) -> None:
    """A 512×512 weight (1 MB) fits half of 6 MB: compulsory traffic only."""
    op = Gemm("g", 100_000, 512, 512, format="fp32")
    assert gemm_bytes(op, table4) == op.bytes_read + op.bytes_written


def test_large_square_product_follows_the_bound() -> None:
    """Loads = 2·n³/√S elements for n ≫ √S (Hong & Kung 1981; Smith et al. 2019)."""
    n, cache_elements = 100_000, 250_000
    loads = 2 * n * n * 4.0 + reread_bytes(Product(n, n, n, 1, 4.0), cache_elements * 4.0)
    assert loads == pytest.approx(2 * n**3 / math.sqrt(cache_elements) * 4.0, rel=1e-12)


def test_skinny_product_keeps_its_rows() -> None:
    """128 rows against a huge weight: the weight streams once, only the rows are read again."""
    m, n, k, elements = 128, 80_000, 40_000, 750_000
    extra = reread_bytes(Product(m, n, k, 1, 4.0), elements * 4.0)
    assert extra == pytest.approx(m * k * 4.0 * (n / (elements / m) - 1))


@pytest.mark.parametrize("direction", ["forward", "data", "weight"])
@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 4), (2, 1)])
def test_convolution_as_a_product_keeps_its_flops(
    direction: Literal["forward", "data", "weight"], stride: int, kernel: int
) -> None:
    """The implicit product has the FLOPs of the convolution in every direction."""
    op = Convolution("c", 8, 14, 14, 64, 128, kernel, kernel, stride=stride, direction=direction)
    product = convolution_product(op)
    assert 2.0 * product.batch * product.m * product.n * product.k == pytest.approx(op.flops)


def test_cache_costs_a_recurrent_model_more_than_nothing(table4: Accelerator) -> None:
    """Blocking can only add traffic, and a larger cache takes it away again."""
    ops = [Gemm("gates", 4096, 80_000, 40_000, format="fp32"), Gemm("wgrad", 80_000, 40_000, 128, format="fp32")]
    step = [Executed("lstm", op) for op in ops]
    small = cache_aware(step, replace(table4, cache=Cache(0.05e6)))
    large = cache_aware(step, replace(table4, cache=Cache(60e9)))
    assert small.cache_aware_bytes > large.cache_aware_bytes == pytest.approx(large.compulsory_bytes)
    assert small.slowdown > large.slowdown >= 1.0
