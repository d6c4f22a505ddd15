"""Time of an op: the ideal roofline, tiles, waves, cache, gathers, attention, and what they must never do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.device import (
    Accelerator,
    Cache,
    Compute,
    MatrixUnit,
    Memory,
    OpTime,
    TileShape,
    op_energy,
    op_time,
    ridge_point,
    roofline_time,
    sparse_gain,
    time_ops,
)
from sim.device.tiles import Product, tile_time, tilings
from sim.errors import InputError
from sim.files.hardware import load_accelerator
from sim.ops import (
    Attention,
    Collective,
    Convolution,
    Gather,
    Gemm,
    Lump,
    Op,
    Pointwise,
    SparsePattern,
    Sparsity,
    executed_flops,
)

GEMM = Gemm("g", 4096, 4096, 4096)
sizes = st.integers(1, 6000)


def rate(op: Gemm | Convolution, chip: Accelerator) -> float:
    return op.flops / op_time(op, chip).seconds


@pytest.mark.parametrize(
    "op",
    [
        Gemm("g", 128, 79872, 39936, format="fp32"),
        Gemm("g", 7, 9, 11, batch=3, accumulate=True, format="fp32"),
        Convolution("c", 32, 56, 56, 64, 64, 3, 3, direction="weight", format="fp32"),
        Pointwise("p", 1e6, 4e6, 4e6, format="fp32"),
        Gather("e", 1000, 400.0, 1e9),
        Lump("l", 1e12, 3e9, 1e9),
    ],
)
def test_table4_is_the_ideal_roofline_exactly(op: Op, table4: Accelerator) -> None:
    """Without matrix unit and overhead each op takes max(F/(0.8·15.67e12), B/(0.7·898e9)) (paper, Table 4)."""
    expected = max(op.flops / (0.8 * 15.67e12), (op.bytes_read + op.bytes_written) / (0.7 * 898e9))
    assert op_time(op, table4).seconds == pytest.approx(expected, rel=1e-15)


def test_ridge_of_table4(table4: Accelerator) -> None:
    """Achievable ridge 0.8·15.67e12/(0.7·898e9) = 19.94 FLOP/B (paper, §5)."""
    assert ridge_point(table4, "fp32") == pytest.approx(19.94, abs=0.01)


def test_step_roofline_of_the_word_lm(table4: Accelerator) -> None:
    """123.8 TFLOP is compute-bound: 9.87 s per step (paper §6: 9.89 s)."""
    assert roofline_time(123.8e12, 3.6e12, table4, "fp32") == pytest.approx(9.89, rel=0.003)


@pytest.mark.parametrize(
    ("shape", "measured", "name"),
    [((1024, 10240, 5120), 271.2e12, "a100"), ((2048, 2048, 13312), 794.5e12, "h100")],
)
def test_best_shapes_reach_the_measured_ceiling(
    shape: tuple[int, int, int], measured: float, name: str, request: pytest.FixtureRequest
) -> None:
    """A burst (no sustained-power loss) of the best MAMF shape comes within 8 % of the measured rate."""
    chip = replace(request.getfixturevalue(name), sustained=1.0)
    assert rate(Gemm("g", *shape), chip) == pytest.approx(measured, rel=0.08)


def test_tile_step_in_a_sweep(a100: Accelerator) -> None:
    """Columns up to a tile multiple are free, the first one beyond costs a step; the time never falls."""
    assert a100.matrix_unit is not None
    times = [op_time(Gemm("g", 27648, n, 8192), a100).compute_s for n in range(1024, 1281, 64)]
    assert times == sorted(times)
    assert times[1] > times[0] * 1.02
    unit = replace(a100.matrix_unit, shapes=(TileShape(256, 128),), alignment=())
    one_shape = replace(a100, matrix_unit=unit)
    within = {op_time(Gemm("g", 27648, n, 8192), one_shape).compute_s for n in (1025, 1100, 1152)}
    assert len(within) == 1
    assert op_time(Gemm("g", 27648, 1024, 8192), one_shape).compute_s < within.pop()


def test_wave_step_in_a_sweep(a100: Accelerator) -> None:
    """One tile more than the 108 units hold starts a second wave: 108 tiles of 256×128 fill, 120 do not."""
    full = op_time(Gemm("g", 256 * 12, 128 * 9, 8192), a100).compute_s
    over = op_time(Gemm("g", 256 * 12, 128 * 10, 8192), a100).compute_s
    assert over / full > 1.2  # 10/9 of the work


def test_misaligned_rows_are_slower(a100: Accelerator) -> None:
    """k or n that is no multiple of 64 elements loads slower on A100; V100-style 8-element rows are slower yet."""
    best = rate(Gemm("g", 8192, 5376, 14336), a100)
    partly = rate(Gemm("g", 8192, 5400, 14400), a100)
    odd = rate(Gemm("g", 8192, 5401, 14401), a100)
    assert partly < 0.85 * best
    assert odd < 0.5 * best


def test_split_k_fills_idle_units(a100: Accelerator) -> None:
    """A weight gradient with few output tiles and a long k does not leave most units idle."""
    narrow = Gemm("wgrad", 512, 512, 65536)
    assert rate(narrow, a100) > 0.4 * rate(GEMM, a100)


def test_bigger_batch_of_products_fills_better(a100: Accelerator) -> None:
    """One 128×128×64 product wastes the chip; a thousand side by side do not."""
    assert rate(Gemm("g", 128, 128, 64, batch=1000), a100) > 50 * rate(Gemm("g", 128, 128, 64), a100)


@pytest.mark.parametrize(
    ("op", "low", "high", "name"),
    [
        (Attention("f", 1, 16, 16, 16384, 16384, 128, causal=False), 195e12, 230e12, "a100"),
        (Attention("f", 1, 32, 32, 16384, 16384, 64, causal=False), 165e12, 205e12, "a100"),
        (Attention("b", 1, 16, 16, 16384, 16384, 128, causal=False, backward=True), 165e12, 200e12, "a100"),
        (Attention("f", 1, 16, 16, 16384, 16384, 128, causal=False), 400e12, 680e12, "h100"),
        (Attention("f", 1, 16, 16, 16384, 16384, 128, causal=False, generation=2), 335e12, 405e12, "h100"),
        (
            Attention("b", 1, 16, 16, 16384, 16384, 128, causal=False, generation=2, backward=True),
            270e12,
            330e12,
            "h100",
        ),
    ],
)
def test_flash_attention_rates(
    op: Attention, low: float, high: float, name: str, request: pytest.FixtureRequest
) -> None:
    """Executed FLOP/s lie where FlashAttention-2 (A100, figs. 4-6; H100, charts of its
    repository: 370 forward, 338 of both) and FlashAttention-3 (H100) measured them,
    in bursts (no sustained-power loss).
    """
    chip = replace(request.getfixturevalue(name), sustained=1.0)
    assert low < op.executed_flops / op_time(op, chip).seconds < high


def test_causal_attention_approaches_half(a100: Accelerator) -> None:
    """A causal mask saves half of a long sequence and less of a short one (blocks on the diagonal run in full)."""

    def ratio(length: int) -> float:
        full = Attention("a", 8, 16, 16, length, length, 128, causal=False)
        return op_time(replace(full, causal=True), a100).compute_s / op_time(full, a100).compute_s

    assert ratio(16384) == pytest.approx(0.5, abs=0.01)
    assert ratio(512) == pytest.approx(0.625, abs=0.01)


def test_narrow_rows_do_not_stream(a100: Accelerator) -> None:
    """Useful gather bandwidth grows with the row up to about 1 KB (access granularity plus cost of a random start)."""

    def useful(row: float) -> float:
        op = Gather("e", 1_000_000, row, 50e9)
        return (op.bytes_read + op.bytes_written) / op_time(op, a100).seconds

    rates = [useful(row) for row in (8.0, 32.0, 128.0, 512.0, 4096.0)]
    assert rates == sorted(rates)
    assert rates[0] < 0.25 * rates[-1]
    assert rates[2] < 0.85 * rates[-1]


def test_a_scatter_reads_and_writes_the_table(a100: Accelerator) -> None:
    """Rows are added into it: two random accesses of the padded row, and the dense side once."""
    gather, scatter = (Gather("e", 1_000_000, 256.0, 50e9, back) for back in (False, True))
    table = 256.0 + a100.memory.random_bytes
    assert op_time(gather, a100).dram_bytes == pytest.approx(1e6 * (table + 256.0))
    assert op_time(scatter, a100).dram_bytes == pytest.approx(1e6 * (2 * table + 256.0))


def test_the_host_issues_ops_beside_the_device(a100: Accelerator) -> None:
    """Ten ops at 1 ms of the host each: what the device takes where that is longer, else 10 ms."""
    slow = replace(a100, host_s=1e-3)
    short, long = ([Pointwise("p", n, 2 * n, 2 * n)] * 10 for n in (1e4, 1e10))
    assert time_ops(short, slow).seconds == pytest.approx(10e-3)
    assert time_ops(long, slow).seconds == pytest.approx(time_ops(long, replace(a100, host_s=0.0)).seconds)


def test_small_table_stays_in_the_cache(a100: Accelerator) -> None:
    """A table that fits the cache costs no random DRAM access."""
    small, large = (Gather("e", 1_000_000, 64.0, table) for table in (1e6, 1e9))
    assert op_time(small, a100).seconds < 0.5 * op_time(large, a100).seconds


def test_format_the_chip_lacks_is_named(a100: Accelerator) -> None:
    """An fp8 product on an A100 is refused with the formats it has."""
    with pytest.raises(InputError, match=r"does not compute in this format.*bf16, fp16, tf32, fp32"):
        op_time(Gemm("g", 64, 64, 64, format="fp8"), a100)


def test_collectives_and_replays(a100: Accelerator) -> None:
    """A collective takes no device time; a recorded duration is replayed as it is."""
    assert op_time(Collective("c", "all_reduce", 1e9, "data"), a100).seconds == 0.0
    replay = op_time(Lump("l", 1e12, 1e9, duration_s=0.25), a100)
    assert (replay.seconds, replay.limit) == (0.25, "replay")


def test_ops_add_up(a100: Accelerator) -> None:
    """Total time = Σ count · time, and its three parts add up to it."""
    ops = [replace(GEMM, count=3), Pointwise("p", 1e8, 2e8, 2e8, count=2), Lump("l", 0.0, 0.0, duration_s=0.1)]
    total = time_ops(ops, a100)
    assert total.seconds == pytest.approx(sum(op.count * op_time(op, a100).seconds for op in ops))
    assert total.compute_s + total.memory_bound_s + total.overhead_s == pytest.approx(total.seconds)
    assert total.flops == pytest.approx(3 * GEMM.flops + 2e8)


def test_a_lower_clock_slows_products_and_saves_the_square_of_its_energy(a100: Accelerator) -> None:
    """C·V²·f with V in proportion to f: at half the clock twice the time, a quarter of the energy of a FLOP."""
    product = Gemm("g", 8192, 8192, 8192)
    slow = replace(a100, clock=0.5)
    assert op_time(product, slow).compute_s == pytest.approx(2 * op_time(product, a100).compute_s)
    assert op_energy(product, slow).arithmetic_j == pytest.approx(op_energy(product, a100).arithmetic_j / 4)


def test_chips_of_other_peaks_are_not_one_in_a_cache(a100: Accelerator) -> None:
    """The hash, like equality, tells chips with other rates apart."""
    faster = {name: replace(c, peak_flops=2 * c.peak_flops) for name, c in a100.compute.items()}
    assert hash(replace(a100, compute=faster)) != hash(a100) == hash(replace(a100))


def test_sparsity_is_used_only_when_asked(a100: Accelerator) -> None:
    """2:4 sparsity doubles the matrix rate of a product with such weights and leaves others alone."""
    pruned = replace(GEMM, sparsity=Sparsity())
    assert op_time(GEMM, a100).compute_s == pytest.approx(2 * op_time(pruned, a100).compute_s)
    assert op_time(GEMM, replace(a100, sparsity=1.0)).compute_s == op_time(GEMM, a100).compute_s


def test_zeros_anywhere_are_skipped_as_far_as_the_chip_skips_them(a100: Accelerator) -> None:
    """A fifth kept, half of the zeros skipped: 1 − 0.5·0.8 = 0.6 of the time."""
    scattered = replace(GEMM, sparsity=Sparsity(SparsePattern.UNSTRUCTURED, 0.2))
    some = replace(a100, zero_skipping=0.5)
    assert op_time(scattered, some).compute_s == pytest.approx(0.6 * op_time(GEMM, some).compute_s)


@pytest.mark.parametrize("sparsity", [Sparsity(), Sparsity(SparsePattern.UNSTRUCTURED, 0.2)])
def test_a_chip_without_the_unit_is_refused(a100: Accelerator, sparsity: Sparsity) -> None:
    """Neither a V100 with 2:4 nor an A100 with zeros anywhere gains: no time is printed as if it did."""
    with pytest.raises(InputError, match="zeros take as long"):
        op_time(replace(GEMM, sparsity=sparsity), replace(a100, sparsity=1.0))


def test_sparse_weights_are_stored_with_their_places() -> None:
    """16 bits, 2:4: 2 B·½ + 2 bit·½ = 1.125 B (arXiv:2104.08378); a tenth anywhere: 0.2 B and a bit of a map."""
    assert replace(GEMM, sparsity=Sparsity()).weight_bytes == GEMM.k * GEMM.n * 1.125
    assert Sparsity(SparsePattern.UNSTRUCTURED, 0.1).bytes_per_element(2.0) == pytest.approx(0.2 + 0.125)
    assert executed_flops(replace(GEMM, sparsity=Sparsity())) == GEMM.flops / 2


def ops() -> st.SearchStrategy[Op]:
    gemm = st.builds(lambda m, n, k, b: Gemm("g", m, n, k, batch=b), sizes, sizes, sizes, st.integers(1, 8))
    conv = st.builds(lambda n, h, c, o: Convolution("c", n, h, h, c, o, 3, 3), *[st.integers(1, 64)] * 4)
    point = st.builds(lambda e: Pointwise("p", e, 2 * e, 2 * e), st.floats(1, 1e9))
    gather = st.builds(lambda r, b, t: Gather("e", r, float(b), float(t)), sizes, sizes, st.integers(1, 10**10))
    return st.one_of(gemm, conv, point, gather)


FASTER: dict[str, Callable[[Accelerator, float], Accelerator]] = {
    "bandwidth": lambda c, f: replace(c, memory=replace(c.memory, bandwidth=c.memory.bandwidth * f)),
    "cache": lambda c, f: replace(c, cache=Cache(c.cache.capacity_bytes * f, c.cache.bandwidth)),
    "cache bandwidth": lambda c, f: replace(c, cache=Cache(c.cache.capacity_bytes, (c.cache.bandwidth or 0) * f)),
    "peak": lambda c, f: replace(c, compute={k: replace(e, peak_flops=e.peak_flops * f) for k, e in c.compute.items()}),
}


@pytest.mark.parametrize("what", FASTER)
@settings(max_examples=40, deadline=None)
@given(op=ops(), factor=st.floats(1.0, 8.0))
def test_more_hardware_is_never_slower(what: str, op: Op, factor: float, a100: Accelerator) -> None:
    """Time is monotone in bandwidth, cache capacity, cache bandwidth and peak."""
    assert op_time(op, FASTER[what](a100, factor)).seconds <= op_time(op, a100).seconds * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(op=ops())
def test_no_op_beats_the_roofline(op: Op, a100: Accelerator) -> None:
    """No op runs faster than its FLOPs at peak, and the terms are those of the time."""
    time: OpTime = op_time(op, a100)
    peak = a100.compute["bf16"].peak_flops
    assert time.seconds >= op.flops / peak
    assert time.seconds == pytest.approx(time.overhead_s + max(time.compute_s, time.dram_s, time.cache_s))


def test_heads_off_sixteen_bytes_leave_the_matrix_unit(a100: Accelerator) -> None:
    """Heads of 108 and 150 halves start off 16 bytes: at most the vector rate; 112, and one product at a time, do not
    (Anthony et al. 2024; BigScience's search for the 200 B model: 128 heads of 108 cost a third more per step)."""
    fast = rate(Gemm("scores", 2048, 2048, 112, batch=64), a100)
    vector = a100.compute["fp32"].peak_flops
    for head in (108, 150):
        assert rate(Gemm("scores", 2048, 2048, head, batch=64), a100) <= vector
        assert rate(Gemm("context", 2048, head, 2048, batch=64), a100) <= vector
    assert fast > 3 * vector
    assert rate(Gemm("one", 8192, 8192, 8190), a100) > 3 * vector
    assert rate(Gemm("interaction", 32, 27, 128, batch=4096), a100) > rate(Gemm("s", 32, 27, 150, batch=4096), a100)


def test_an_odd_batch_does_not_misalign_a_weight_gradient(a100: Accelerator) -> None:
    """Channels lie innermost: 39 images of 7x7 take as long per image as 40, tiles apart."""
    odd, even = (
        op_time(Convolution("", n, 7, 7, 512, 512, 3, 3, direction="weight", format="fp16"), a100).compute_s / n
        for n in (39, 40)
    )
    assert odd == pytest.approx(even, rel=0.05)


def one_unit(ramp_k: float, sustained: float) -> Accelerator:
    """One matrix engine of 1 TFLOP/s with tiles of 128x128, memory too fast to matter."""
    return Accelerator(
        "one",
        "shipped",
        "2026-01",
        {"bf16": Compute(1e12, 1.0)},
        Memory(1e12, 1e18, 1.0),
        Cache(1e6),
        MatrixUnit(1, 128, 128, 32, ramp_k=ramp_k),
        0.0,
        sustained=sustained,
    )


def test_a_tile_pays_its_ramp() -> None:
    """Six tiles of k = 1,024 with a ramp of 64, one of which is in the kernel's overhead: 2·128·128·(6·1,024 + 5·64)
    FLOPs at 1 TFLOP/s."""
    time = op_time(Gemm("g", 256, 384, 1024), one_unit(64.0, 1.0))
    assert time.compute_s == pytest.approx(2 * 128 * 128 * (6 * 1024 + 5 * 64) / 1e12, rel=1e-12)


@settings(deadline=None)
@given(sizes, sizes, sizes, st.integers(1, 64), st.floats(1e11, 1e13))
def test_the_fastest_tiling_is_taken(m: int, n: int, k: int, batch: int, bandwidth: float) -> None:
    """Of all on offer, by the slower of its matrix units and its way through the cache; none is faster than the
    peak, and every one covers the product."""
    unit = load_accelerator("a100-sxm4-80gb").matrix_unit
    assert unit is not None
    offers = list(tilings(Product(m, n, k, batch, 2.0), unit, 3e14))
    taken = tile_time(Product(m, n, k, batch, 2.0), unit, 3e14, bandwidth)
    assert taken in offers
    assert max(taken.compute_s, taken.cache_bytes / bandwidth) <= 1.000001 * min(
        max(offer.compute_s, offer.cache_bytes / bandwidth) for offer in offers
    )
    for offer in offers:
        assert offer.tiles % (batch * offer.split_k) == 0
        assert offer.tiles * offer.shape.m * offer.shape.n >= batch * offer.split_k * m * n
        assert offer.compute_s * 3e14 >= 0.999 * 2.0 * batch * m * n * k


@pytest.mark.parametrize(("m", "ramps"), [(63, 0), (64, 1), (1, 1)])
def test_small_products_are_packed(m: int, ramps: int) -> None:
    """Two products of bf16 on one unit: the ramp of the second counts where a side fills a transaction of 128 bytes,
    and where a block computes one vector; in between a unit holds both."""
    chip = one_unit(64.0, 1.0)
    assert chip.matrix_unit is not None
    chip = replace(chip, matrix_unit=replace(chip.matrix_unit, alignment=((128, 1.0), (2, 1.0))))
    time = op_time(Gemm("g", m, 128, 128, batch=2), chip)
    assert time.compute_s == pytest.approx(2 * 128 * 128 * (2 * 128 + ramps * 64) / 1e12, rel=1e-12)


@pytest.mark.parametrize(
    "op",
    [
        Gemm("g", 256, 384, 1024),
        Convolution("c", 32, 56, 56, 64, 64, 3, 3, direction="weight"),
        Attention("a", 4, 8, 8, 512, 512, 64),
    ],
)
def test_matrix_work_runs_at_the_sustained_rate(op: Op) -> None:
    """Half of the burst rate takes twice as long."""
    burst, kept = (op_time(op, one_unit(64.0, share)).compute_s for share in (1.0, 0.5))
    assert kept == pytest.approx(2 * burst, rel=1e-12)


def test_vector_units_have_no_structured_sparsity() -> None:
    """An A100 skips zeros in front of its matrix units (Mishra et al. 2021); products in fp32 do not run there."""
    a100 = load_accelerator("a100-sxm4-80gb")
    half = Sparsity(SparsePattern.TWO_OF_FOUR, 0.5)
    assert sparse_gain(half, a100, "bf16") == 2.0
    with pytest.raises(InputError, match="no structured sparsity in fp32"):
        sparse_gain(half, a100, "fp32")
