"""When the trend of shipped chips reaches what a deadline needs, and how likely the deadline is met."""

from __future__ import annotations

import pytest

from sim.files import load_scenario
from sim.horizon.points import decimal_year
from sim.horizon.reach import reached, years
from sim.horizon.trends import fits
from sim.report.require import render, to_json
from sim.result import Band
from sim.simulation.properties import PROPERTIES
from sim.study.require import Needed, Requirement, require, within


def needed(*ratios: tuple[str, float, str]) -> Requirement:
    """So many times what a chip of May 2020 has: (property, ratio, trend)."""
    found = tuple(Needed(PROPERTIES[name], 2.0, 2.0 * ratio, True, trend) for name, ratio, trend in ratios)
    return Requirement(1.0, found, 1.0, 2.0, True, date="2020-05")


def test_twice_takes_the_doubling_time_of_the_trend() -> None:
    """What is there already is there at the chip's own date, a property without a trend never."""
    start, trends = decimal_year("2020-05"), fits()
    twice = years(needed(("memory_bandwidth", 2.0, "bandwidth"), ("peak", 4.0, "matrix16"), ("link_latency", 1.0, "")))
    assert twice[0] == pytest.approx(start + trends["bandwidth"].doubling_years)
    assert twice[1] == pytest.approx(start + 2.0 * trends["matrix16"].doubling_years)
    assert twice[2] == start
    assert reached(twice) == max(twice[:2])  # type: ignore[type-var]
    none = years(needed(("link_latency", 0.5, ""), ("memory_bandwidth", 0.5, "bandwidth")))
    assert none == [None, start]
    assert reached(none) is None


@pytest.mark.parametrize(("deadline", "share"), [(50.0, 0.05), (100.0, 0.5), (400.0, 0.95), (200.0, 0.7945)])
def test_a_deadline_is_met_in_the_share_of_outcomes_before_it(deadline: float, share: float) -> None:
    """Log-normal between the percentiles: half of the way (in logarithms) from the median to p95 is Φ(1.645/2)."""
    assert within(deadline, Band(50.0, 100.0, 400.0)) == pytest.approx(share, abs=1e-4)


def test_an_answer_says_both() -> None:
    """Run forward it takes the deadline, so that about half of the outcomes meet it."""
    found = require(load_scenario("paper/frontier-image"), "5 days", ["peak", "memory_bandwidth"])
    assert 0.3 < (found.probability or 0.0) < 0.7
    plain = to_json(found)
    assert plain["year"] == max(row["year"] for row in plain["properties"]) > 2030
    assert f"{plain['year']:.1f}" in render(found)
    assert f"{found.probability:.0%}" in render(found)
