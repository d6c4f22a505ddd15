"""The tables and figures of "Beyond Human-Level Accuracy", recomputed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.validation.paper import DOMAINS, Line, domain, lines, printed
from sim.workload.first_order import TABLE_2

FOUND = list(lines())


@pytest.mark.parametrize("line", [x for x in FOUND if x.tolerance is not None and not x.mismatch], ids=lambda x: x.what)
def test_holds_within_its_tolerance(line: Line):
    """Every figure that the paper states consistently comes out within the stated tolerance."""
    told = f"{line.table}, {line.what}: {line.ours:.5g} beside {line.paper:.5g}"
    assert line.verdict == ("input" if line.given else "ok"), told


def test_known_mismatches_are_asserted_not_hidden():
    """Char and speech data scale, char model size, NMT FLOPs, and what follows for the days per epoch: each differs by
    more than its tolerance, and comes out at what the paper's own constants give by hand."""
    wrong = {line.what for line in FOUND if line.verdict == "known mismatch"}
    assert wrong == {line.what for line in FOUND if line.mismatch} == set(printed()["mismatches"])
    assert len(wrong) == 9


@pytest.mark.parametrize(
    ("ours", "mismatch", "verdict"),
    [
        (836.0, "known", "known mismatch"),  # (0.7/1.3)^(1/-0.092)
        (971.0, "known", "outside"),  # agrees with print: then nothing is mismatched
        (700.0, "known", "outside"),  # differs, but not as it is known to
        (836.0, "", "outside"),
        (971.0, "", "ok"),
    ],
)
def test_a_known_mismatch_can_fail(ours, mismatch, verdict):
    """Only the figure the paper's own constants give is a known mismatch; a change of the laws is told."""
    assert Line("Table 1", "char-lm: data scale", ours, 971.0, "x", 0.05, mismatch).verdict == verdict


def test_what_cannot_fail_is_not_counted_as_met():
    """Backed-out units, the published 17.06 s, the fitted 0.79 behind a line: it is an input, while it holds."""
    inputs = {line.what for line in FOUND if line.verdict == "input"}
    assert {f"{name}: days per epoch" for name in ("char-lm", "nmt", "speech")} <= inputs
    assert {"cache aware", "data parallel 1024", "roofline", "1,024 workers: utilisation"} <= inputs
    assert not {"word-lm: days per epoch", "image: days per epoch", "roofline step"} & inputs
    assert Line("Table 5", "cache aware", 4000.0, 4671.0, "days", 0.03, given="17.06 s").verdict == "outside"


@pytest.mark.parametrize("name", DOMAINS)
def test_days_per_epoch_end_to_end(name):
    """By hand from the laws: m = (ε/α)^(1/β) and p = σ·m^βp; a step of FLOPs and bytes by table 2 at 80 % of
    15.67 TFLOP/s and 70 % of 898 GB/s; m / (units per sample · sub-batch) of them."""
    d, law = domain(name), TABLE_2[name]
    m = (d.target_error / d.curve.alpha) ** (1 / d.curve.beta)
    p, b = d.size.sigma * m**d.size.beta, d.printed.sub_batch
    step = max(law.flops_per_param * p * b / (0.8 * 15.67e12), replace(law, parameters=p).bytes(b) / (0.7 * 898e9))
    line = next(line for line in FOUND if line.what == f"{name}: days per epoch, end to end")
    assert line.ours == pytest.approx(m / d.units_per_sample / b * step / 86400, rel=1e-6)


def test_every_table_and_figure_is_there():
    """Tables 1, 2, 3, 5, figures 11 (17 points) and 12 (16 points, two readings each), counts, sub-batches."""
    count = {table: sum(line.table == table for line in FOUND) for table in {line.table for line in FOUND}}
    assert count["Figure 11"] == 17
    assert count["Figure 12"] == 32
    assert {"Table 1", "Table 2", "Table 3", "Table 5", "Sub-batch", "Catamount", "Case study"} <= set(count)


def test_one_rule_chooses_the_sub_batches():
    """One tolerance and one rounding: 128 word, 128 speech and 32 image as the paper; char and NMT differ, marked."""
    chosen = {line.what: (line.ours, line.paper, line.remark) for line in FOUND if line.table == "Sub-batch"}
    assert [chosen[name][0] for name in ("word-lm", "speech", "image")] == [128, 128, 32]
    assert all(remark for ours, paper, remark in chosen.values() if ours != paper)
