"""Failure rates of sites: arithmetic of the published counts, and Llama 3's effective time."""

from __future__ import annotations

import pytest

from sim.engine.campaign import renewal
from sim.validation.failures import effective_share
from sim.validation.sets import find_set, validate


def test_every_pair_of_sites_is_compared() -> None:
    """Five rates at four places; 419 interruptions in 54 days on 2,048 nodes are one every 54·24/419 h."""
    report = validate(find_set("failures"))
    rows = {row.id: row for summary in report.summaries for row in summary.rows}
    assert len([name for name in rows if "->" in name]) == 20
    assert rows["llama3->llama3"].predicted == pytest.approx(54 * 24 / 419, rel=1e-3)
    assert rows["rsc1->rsc1"].predicted == pytest.approx(24_000 / (6.5 * 128))  # 28.8 h, where 7.9 h were seen
    assert rows["rsc1->rsc1"].error == pytest.approx(28.85 / 7.9 - 1, rel=1e-3)
    assert any("rate of opt" in note for note in report.notes)


def test_llama_3_trains_over_nine_tenths_of_its_time() -> None:
    """arXiv 2407.21783: over 90 %, with its own rate and the defaults of detection and restart."""
    rate = 419 / (54 * 86400.0 * 2048)
    assert effective_share(2048, rate, 5.67e12 / 2e12) >= 0.90


def test_the_published_ratio_holds_where_failures_are_rare() -> None:
    """Kokolis et al.: within a tenth of a point of the exact form at RSC-1's rate on 128 nodes."""
    rate = 128 * 6.5 / 1000 / 86400
    interval = renewal.young_interval_s(rate, 300.0)
    first = renewal.expected_effective_ratio(128, rate / 128, 300.0, interval, 300.0)
    assert first == pytest.approx(renewal.goodput(rate, interval, 300.0, 300.0), abs=1e-3)
