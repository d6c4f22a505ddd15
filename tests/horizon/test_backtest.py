"""What the bands of trends held: no prediction sees its future, and 80 % bands hold 70 to 90 %."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sim.files.scenario import load_scenario
from sim.horizon.backtest import (
    TESTED_YEARS,
    anchor,
    backtest,
    coverage,
    published_coverage,
    quantile,
    walk,
)
from sim.horizon.points import Point, fit_points
from sim.horizon.projected import Band
from sim.horizon.steps import step_ratio
from sim.report.trends import backtest_json, backtest_text, predictions


def chips(growth: float, jump: float = 1.0) -> list[Point]:
    """A vendor's yearly chips on an exponential, those from 2021 on `jump` times above it."""
    return [
        Point(f"c{y}", "V", float(y), "shipped", {"fp32": growth ** (y - 2000) * (jump if y > 2020 else 1.0)})
        for y in range(2000, 2026)
    ]


def test_an_exponential_is_predicted_exactly() -> None:
    """Without scatter every prediction at every cut-off is right."""
    rows = backtest(chips(1.4))
    assert {row.cutoff for row in rows} == set(range(2005, 2026))  # five chips are a trend
    assert all(row.predicted == pytest.approx(row.actual) for row in rows)


def test_a_prediction_sees_nothing_of_its_future() -> None:
    """Whatever ships from 2021 on, what was predicted at 2020 stays, band and all."""
    before = [row for row in backtest(chips(1.4)) if row.cutoff <= 2020]
    after = [row for row in backtest(chips(1.4, jump=50.0)) if row.cutoff <= 2020]
    assert [replace(row, actual=1.0) for row in before] == [replace(row, actual=1.0) for row in after]


def test_every_base_shipped_before_its_cutoff_and_every_target_after() -> None:
    """On the real catalogue, up to the longest distance tested."""
    years = {point.name: point.year for point in fit_points()}
    for row in backtest():
        assert row.year >= row.cutoff
        assert years.get(row.anchor, row.cutoff - 1.0) < row.cutoff
        assert row.horizon <= TESTED_YEARS


def test_the_base_is_the_vendors_best_part() -> None:
    """At the start of 2018 NVIDIA's is the V100 SXM2, Google's the TPU v2."""
    known = [point for point in fit_points() if point.year < 2018]
    best = {vendor: anchor(known, vendor) for vendor in ("NVIDIA", "Google")}
    assert [found.name for found in best.values() if found] == ["v100-sxm2-16gb", "tpu-v2"]


def test_bands_hold_what_they_say() -> None:
    """Over all cut-off years 80 % bands, as they would have been stated then, hold 70 to 90 % of what came."""
    assert 0.70 <= coverage(backtest())[-1].inside <= 0.90


def test_from_2017_bands_hold_every_year_more_than_half() -> None:
    """No cut-off from 2017 on is a disaster; 2020, just before boards went from 300 to 700 W, is the worst."""
    by_year = {row.group: row.inside for row in coverage(backtest(), "cutoff") if row.group >= "2017"}
    assert min(by_year, key=lambda year: by_year[year]) == "2020"
    assert all(inside > 0.5 for inside in by_year.values())


def test_published_predictions_of_another_collection_agree() -> None:
    """54 of them: nominal 90 % bands held 61 %; as random walks, 80 % bands hold 70 to 90 %."""
    count, nominal, ours = published_coverage()
    assert count == 54
    assert nominal == pytest.approx(0.61, abs=0.005)
    assert 0.70 <= ours <= 0.90


def test_step_is_the_conformal_quantile_of_errors_known() -> None:
    """Of 1..9 the ⌈10·0.8⌉ = eighth; too few predictions say nothing."""
    assert quantile([float(i) for i in range(1, 10)]) == 8.0
    rows = [row for row in backtest() if row.metric == "bandwidth"]
    steps = sorted(abs(math.log10(r.actual / r.predicted)) / math.sqrt(1 + r.horizon) for r in rows)
    assert walk(rows, "bandwidth") == steps[math.ceil((len(steps) + 1) * 0.8) - 1]
    assert walk(rows[:19], "bandwidth") is None


def test_of_2022_as_seen_at_the_end_of_2017() -> None:
    """From V100 and TPU v2: H100 and TPU v4 lie inside their 80 % bands as often as the bands say, 70 to 90 %."""
    rows = [*predictions(2018, "h100-sxm5-80gb"), *predictions(2018, "tpu-v4")]
    assert {row.anchor for row in rows} == {"v100-sxm2-16gb", "tpu-v2"}
    assert 0.70 <= sum(row.inside for row in rows) / len(rows) <= 0.90


def test_report_prints_coverage() -> None:
    """`hardware trends --backtest`: the text has the coverage, the JSON every row."""
    assert "in 80 % band" in backtest_text()
    payload = backtest_json()
    assert len(payload["rows"]) == payload["coverage"][-1]["n"]


@pytest.mark.parametrize(("target", "form"), [("h100-sxm5-80gb", "fp16"), ("tpu-v4", "bf16")])
@pytest.mark.parametrize(("name", "sub_batch"), [("today/resnet50", 64), ("today/bert", 4)])
def test_step_time_foreseen_in_2017_encloses_that_of_2022(target: str, form: str, name: str, sub_batch: int) -> None:
    """From V100 to H100 and from TPU v2 to TPU v4 the low and the high machine enclose the chip that came."""
    numerics = [f"workload.numerics.{key}={form}" for key in ("compute", "activations", "weights", "gradients")]
    plan = [f"plan.sub_batch={sub_batch}", f"plan.global_batch={8 * sub_batch}", "cluster.devices=8"]
    found = step_ratio(load_scenario(name, [*numerics, *plan]), 2018, target)
    assert found.inside, found
    assert found.foreseen[Band.LOW] < found.foreseen[Band.CENTRAL] < found.foreseen[Band.HIGH]
