"""Rows to scenarios, errors, the null model and what is left out."""

from __future__ import annotations

import math

import pytest

from sim.validation.runs import overlay
from sim.validation.sets import overall
from sim.validation.validation import (
    Comparison,
    Measure,
    Outcome,
    Rule,
    Skipped,
    ValidationSet,
    compare,
    leave_one_set_out,
    null_levels,
    percentile,
    requests,
    summarise,
)

RULES = (
    Rule({"layers": ".+"}, {"workload.sizes.depth": "{layers}"}),
    Rule({"sharding": r"ZeRO-1 group=(?P<ranks>\d+)"}, {"plan.sharding": "optimizer", "plan.shard_group": "{ranks}"}),
    Rule({"mbs": ""}, {"plan.sub_batch": 1}, assume="micro-batch 1"),
    Rule({"params": ".+"}, {"workload.parameters": "{params}e9"}),
    Rule({"devices": ""}, {}, skip="the number of devices is not given"),
)


def make(*rows: dict[str, str]) -> ValidationSet:
    """A set of runs over `rows`."""
    return ValidationSet(
        "set", "run", {}, RULES, (Measure("t", "step_time_s"), Measure("rate", "mfu", 0.01)), rows, "group"
    )


def row(**cells: str) -> dict[str, str]:
    """A row with one device."""
    return {"id": "a", "devices": "1", "mbs": "1", "t": "2", "group": "g", **cells}


def test_cells_become_fields_by_rules():
    """A whole cell becomes a number, named groups fill in, text around a cell still gives a number."""
    (request,) = requests(make(row(layers="24", sharding="ZeRO-1 group=8", params="1.5")))
    assert request.overrides == {
        "workload.sizes.depth": 24,
        "plan.sharding": "optimizer",
        "plan.shard_group": 8,
        "workload.parameters": 1.5e9,
    }


def test_assumptions_and_reasons_are_kept():
    """An empty cell that a rule fills is stated; a row that cannot be expressed keeps its reason."""
    assumed, refused = requests(make(row(mbs=""), row(devices="")))
    assert assumed.assumptions == ("micro-batch 1",)
    assert refused.skip == "the number of devices is not given"
    assert isinstance(compare(refused, lambda _: "never called"), Skipped)


def test_first_measured_column_with_a_value_counts():
    """Seconds before utilisation; the scale turns percent into a share."""
    by_time, by_rate = requests(make(row(rate="50"), row(t="", rate="50")))
    assert (by_time.measured, by_rate.measured) == (2.0, 0.5)


def outcome(seconds: float, mfu: float = 0.5) -> Outcome:
    """A simulated row of `seconds`."""
    return Outcome({"step_time_s": seconds, "mfu": mfu}, "chip", seconds * mfu, 1.0, True)


def test_error_is_relative_in_time_whatever_is_measured():
    """Twice the utilisation measured means we are twice too slow, as twice the seconds predicted does."""
    by_time, by_rate = requests(make(row(), row(t="", rate="100")))
    slow = [compare(by_time, lambda _: outcome(4.0)), compare(by_rate, lambda _: outcome(4.0, 0.5))]
    assert [c.error for c in slow if isinstance(c, Comparison)] == [1.0, 1.0]


def rows_of(group: str, ratios: list[float]) -> list[Comparison]:
    """Rows measured at 1 s, predicted at `ratios` seconds, half of an ideal chip's rate."""
    spec = make(*[row(group=group, t="1") for _ in ratios])
    found = [compare(r, lambda _, x=x: outcome(x)) for r, x in zip(requests(spec), ratios, strict=True)]
    return [c for c in found if isinstance(c, Comparison)]


def test_summary_by_hand():
    """Errors −0.1, 0, +0.3: mean 0.4/3, median 0.1, bias 0.2/3, 90th percentile 0.26."""
    summary = summarise("s", rows_of("g", [0.9, 1.0, 1.3]))
    assert summary.mean_abs_error == pytest.approx(0.4 / 3)
    assert summary.median_abs_error == pytest.approx(0.1)
    assert summary.bias == pytest.approx(0.2 / 3)
    assert summary.p90_abs_error == pytest.approx(0.26)


def test_null_model_is_one_utilisation_per_chip():
    """Utilisations of 0.4, 0.5 and 0.6: the median row is exact, the others are 20 % off."""
    spec = make(*[row(t="1") for _ in range(3)])
    found = [
        compare(r, lambda _, u=u: Outcome({"step_time_s": 1.0}, "chip", u, 1.0, True))
        for r, u in zip(requests(spec), [0.4, 0.5, 0.6], strict=True)
    ]
    compared = [c for c in found if isinstance(c, Comparison)]
    assert null_levels(compared) == {"chip": pytest.approx(2.0)}
    assert summarise("s", compared).null_mean_abs_error == pytest.approx((0.2 + 0.0 + 0.2) / 3, abs=1e-9)


def test_leaving_a_set_out_refits_the_chip_on_the_others():
    """Set b is predicted 20 % too fast, so set a (exact) becomes 25 % too slow when only b is known, and b stays."""
    left = leave_one_set_out(rows_of("a", [1.0, 1.0]) + rows_of("b", [0.8, 0.8]))
    assert left == {"a": pytest.approx(0.25), "b": pytest.approx(0.2)}


def test_left_out_errors_are_averaged_as_the_others_are() -> None:
    """Three rows of a set 10 % off and one of a set 50 % off: 20 % over rows, 30 % over sets."""
    found = overall("all rows", rows_of("a", [1.0, 1.0, 1.0]) + rows_of("b", [0.8]), {"a": 0.1, "b": 0.5}, {})
    assert found is not None
    assert (found.left_out, found.left_out_over_sets) == (pytest.approx(0.2), pytest.approx(0.3))
    assert overall("all rows", rows_of("a", [1.0]), {}, {}).left_out is None


def test_no_timed_rows_give_no_figures():
    """An empty summary is NaN, never zero."""
    assert math.isnan(summarise("s", []).mean_abs_error)


def test_percentile_interpolates():
    """Between the two nearest ordered values."""
    assert percentile([0.0, 1.0, 2.0], 0.75) == 1.5


def test_overlay_extends_a_name():
    """A library name on the way to a leaf becomes what the mapping extends; the template stays as it was."""
    template = {"cluster": "dgx", "plan": {"tensor": 1}}
    assert overlay(template, {"cluster.devices": 8, "plan.tensor": 2}) == {
        "cluster": {"extends": "dgx", "devices": 8},
        "plan": {"tensor": 2},
    }
    assert template == {"cluster": "dgx", "plan": {"tensor": 1}}
