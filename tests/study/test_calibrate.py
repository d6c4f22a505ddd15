"""`calibrate`: the constants that made synthetic timings come back, with intervals that cover them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.device.timing import op_time
from sim.errors import InputError
from sim.files.cluster_text import dump_levels
from sim.files.clusters import ClusterFile, load_cluster
from sim.files.hardware import build_accelerator, load_accelerator
from sim.files.hardware_text import dump_accelerator
from sim.files.timings import read_timings
from sim.network import Communicator, Group
from sim.study.calibrate import calibrate

BASE = "a100-sxm4-80gb"
HEADER = "kind,format,m,n,k,batch,sequence,heads,head_dim,causal,direction,bytes,seconds"
GEMMS = [(n, n, n) for n in (256, 512, 1024, 2048, 4096, 8192)] + [
    (8192, 4096, 1024),
    (128, 128, 4096),
    (4096, 8192, 512),
]
ROWS = [f"gemm,bf16,{m},{n},{k},,,,,,," for m, n, k in GEMMS]
ROWS += [f"memory,,,,,,,,,,,{b:g}" for b in (1e8, 3e8, 1e9, 4e9)]
ATTENTION = [
    f"attention,bf16,,,,8,{s},{h},{d},{causal},{direction},"
    for s in (2048, 8192)
    for h, d in ((32, 64), (16, 128))
    for causal in ("true", "false")
    for direction in ("forward", "backward")
]
TRUTH = {"bf16.achievable": 0.7, "memory.achievable": 0.8, "kernel_overhead": 5e-6}
KERNEL = {"attention.forward": 0.6, "attention.backward": 0.5, "attention.softmax_dim": 20.0}


def chip():
    """The base with other constants, at full clock."""
    base = load_accelerator(BASE)
    return replace(
        base,
        compute={**base.compute, "bf16": replace(base.compute["bf16"], achievable=0.7)},
        memory=replace(base.memory, achievable=0.8),
        kernel_overhead_s=5e-6,
        attention=replace(base.attention, forward=0.6, backward=0.5, softmax_dim=20.0),
        sustained=1.0,
    )


@pytest.fixture
def table(tmp_path):
    """Write `rows` with the times of the known chip, times a factor for each row."""

    def write(rows, factors=None):
        path = tmp_path / "timings.csv"
        path.write_text("\n".join([HEADER, *(f"{row},1" for row in rows)]) + "\n", encoding="utf-8")
        known = chip()
        seconds = [op_time(t.op, known).seconds for t in read_timings(path, known)]
        factors = np.ones(len(rows)) if factors is None else factors
        lines = [f"{row},{float(s * f)!r}" for row, s, f in zip(rows, seconds, factors, strict=True)]
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        return path

    return write


def values(found):
    return {c.constant.name: c.value for c in found.constants}


def test_timings_without_noise_give_the_constants_back(table):
    """All six, from a base that has others; the written chip times the rows as the known one."""
    found = calibrate(table(ROWS + ATTENTION), BASE)
    assert values(found) == pytest.approx(TRUTH | KERNEL, rel=1e-6)
    assert all(c.low == pytest.approx(c.high, rel=1e-6) for c in found.constants)
    built = replace(build_accelerator(found.file), sustained=1.0)
    for row in found.residuals:
        assert op_time(row.timing.op, built).seconds == pytest.approx(row.timing.seconds, rel=1e-6)
    assert not found.unidentified


def test_intervals_cover_the_truth(table):
    """90 % intervals of three constants under 2 % of noise: of 36, fewer than 27 hits have a chance below 0.5 %."""
    hits = 0
    for seed in range(12):
        noise = np.exp(0.02 * np.random.default_rng(seed).standard_normal(len(ROWS)))
        found = calibrate(table(ROWS, noise), BASE)
        assert {c.constant.name for c in found.constants} == set(TRUTH)
        hits += sum(c.low <= TRUTH[c.constant.name] <= c.high for c in found.constants)
        assert all(c.high / c.low < 1.15 for c in found.constants)
    assert hits >= 27


def test_an_outlier_is_named_and_moves_nothing(table):
    """A product timed twice too slow."""
    factors = np.ones(len(ROWS))
    factors[4] = 2.0
    found = calibrate(table(ROWS, factors), BASE)
    assert [r.timing.line for r in found.residuals if r.outlier] == [6]
    assert values(found) == pytest.approx(TRUTH, rel=1e-5)
    assert "outlier, line 6: gemm bf16 4096 x 4096 x 4096" in str(found)


def test_what_rows_cannot_tell_stays_the_base_s(table):
    """Large products alone say nothing of memory or of a kernel's start; the base's values stay, and are named."""
    found = calibrate(table([f"gemm,bf16,{n},{n},{n},,,,,,," for n in (4096, 6144, 8192, 12288)]), BASE)
    assert set(values(found)) == {"bf16.achievable"}
    assert {u.name for u in found.unidentified} == {"memory.achievable", "kernel_overhead"}
    built, base = build_accelerator(found.file), load_accelerator(BASE)
    assert built.memory == base.memory
    assert built.kernel_overhead_s == base.kernel_overhead_s
    assert built.pointwise == base.pointwise


def test_one_head_dimension_cannot_tell_the_softmax(table):
    """Its cost and the kernel's rate do the same to every row."""
    found = calibrate(table([row for row in ATTENTION if ",64," in row]), BASE)
    assert "attention.softmax_dim" in {u.name for u in found.unidentified}


def test_a_direction_that_was_not_timed_is_named(table):
    """Forward rows alone: backward stays the base's 0.6 (hardware/generations/ampere.yaml)."""
    found = calibrate(table([row for row in ATTENTION if "forward" in row]), BASE)
    assert {u.name: u.base for u in found.unidentified}["attention.backward"] == "0.6"


def test_too_few_rows_are_refused(table):
    """Two products tell nothing."""
    with pytest.raises(InputError, match=r"2 different kernels .* 3 are needed"):
        calibrate(table(ROWS[4:6]), BASE)


def test_a_stream_that_fits_the_cache_is_left_out(table):
    """16 MB stay in the A100's 40 MiB: they do not time its memory."""
    found = calibrate(table([*ROWS, "memory,,,,,,,,,,,16e6"]), BASE)
    assert [t.line for t in found.cached] == [len(ROWS) + 2]


def test_the_rest_of_the_file_stays(table):
    """Peaks, power and price are the base's; the source keeps the old words and says the intervals."""
    found = calibrate(table(ROWS), BASE, "mine")
    base, built = load_accelerator(BASE), build_accelerator(found.file)
    assert (built.name, built.power.peak_w, built.price_usd) == ("mine", base.power.peak_w, base.price_usd)
    assert built.sources["compute"].text.startswith(base.sources["compute"].text)
    assert "90 % intervals): bf16.achievable 0.7 [0.7, 0.7]" in built.sources["compute"].text
    assert "memory.achievable 0.8 [0.8, 0.8]" in built.sources["memory"].text


def test_the_written_file_reads_back(table, tmp_path):
    """Every constant to four digits, and what attention rows of one kernel cannot tell (`first`, `block`)."""
    out = tmp_path / "mine.yaml"
    found = calibrate(table(ROWS + ATTENTION), BASE, "mine")
    out.write_text(dump_accelerator(found.file), encoding="utf-8")
    built = load_accelerator(out)
    for c in found.constants:
        assert c.constant.read(built) == pytest.approx(c.value, rel=1e-3)
    assert (built.attention.first, built.attention.block) == (0.64, 128)  # hardware/generations/ampere.yaml


def test_times_far_too_long_are_warned_of(table):
    """Milliseconds read as seconds: a chip at a thousandth of its peak."""
    found = calibrate(table(ROWS, np.full(len(ROWS), 1e3)), BASE)
    assert any(text.startswith("bf16.achievable is 0.0007 only") for text in found.warnings)


def test_links_come_back_from_collectives(tmp_path) -> None:
    """A node whose links reach 0.7 of their rate at 2 us, launches in 40 us: the intervals of the fit hold each, with
    rows 1 % off; the file written makes the times again."""
    base = load_cluster("dgx-a100")
    truth = {"nvlink3.efficiency": 0.7, "nvlink3.latency": 2e-6, "base": 40e-6}
    link = replace(base.levels[0].link, efficiency=0.7, latency_s=2e-6, base_s=40e-6)
    known = Communicator(replace(base, levels=(replace(base.levels[0], link=link),)))
    rng = np.random.default_rng(7)
    sizes = [(kind, 4.0**k, n) for kind in ("all_reduce", "all_gather") for k in (6, 8, 10, 12, 14, 16) for n in (4, 8)]
    rows = [
        f"collective,{kind},{b:g},{n},{known.time(kind, b, Group(n)) * rng.normal(1, 0.01)!r}" for kind, b, n in sizes
    ]
    path = tmp_path / "nccl.csv"
    path.write_text("\n".join(["kind,collective,bytes,devices,seconds", *rows]) + "\n", encoding="utf-8")
    found = calibrate(path, cluster="dgx-a100")
    fitted = {c.constant.name: c for c in found.constants}
    assert {name for name, value in truth.items() if fitted[name].low <= value <= fitted[name].high} == set(truth)
    assert isinstance(found.file, ClusterFile)
    out = tmp_path / "mine.yaml"
    out.write_text(dump_levels(found.file, "dgx-a100"), encoding="utf-8")
    again = Communicator(load_cluster(out))
    for kind, nbytes, n in sizes:
        assert again.time(kind, nbytes, Group(n)) == pytest.approx(known.time(kind, nbytes, Group(n)), rel=0.03)


def test_a_chip_or_a_cluster_is_calibrated(table) -> None:
    """One of the two."""
    for given in ({}, {"accelerator": BASE, "cluster": "dgx-a100"}):
        with pytest.raises(InputError, match="takes an accelerator or a cluster"):
            calibrate(table(ROWS), **given)
