"""Each framework's rows left out of the fits, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.validation.by_framework import framework_of, notes
from sim.validation.published import load_validation_set
from sim.validation.sets import find_set
from sim.validation.validation import Comparison, Measure, Request, left_out_errors

SPEC = load_validation_set(find_set("a100_megatron_single_node"))
ROW = Comparison("r0", "set", 1.0, 1.0, 0.0, (), "chip", 1.0, 1.0, True)


def rows() -> list[Comparison]:
    """Frameworks a (10 % too slow, all of it compute) and b (as measured) on one chip."""
    return [replace(ROW, id="r0", error=0.1), replace(ROW, id="r1", error=0.1), replace(ROW, id="r2", error=0.0)]


def test_a_chip_is_refitted_on_the_rows_of_the_others() -> None:
    """Row r2 of b asks for no change, so that a stays 10 % off; those of a ask for 1/1.1, which makes b 9.1 % fast."""
    part = {"r0": "a", "r1": "a", "r2": "b"}
    errors = {row.id: error for row, error in left_out_errors(rows(), lambda row: part[row.id])}
    assert errors == pytest.approx({"r0": 0.1, "r1": 0.1, "r2": 1.0 - 1.0 / 1.1})


def test_the_sentence_names_the_mean_and_the_framework_furthest_off() -> None:
    """(10 + 10 + 9.1) % / 3; no framework of the example has a fitted habit."""

    measure = Measure("step_time_s", "step_time_s", 1.0)

    def request(row: Comparison, framework: str) -> Request:
        return Request(row.id, "set", {}, {"framework": framework}, (), measure, 1.0)

    asked = [request(r, f"{name}@1") for r, name in zip(rows(), ("a", "a", "b"), strict=True)]
    (told,) = notes(SPEC, asked, rows(), lambda _: "not simulated")
    assert "mean 9.7% over 3 rows of 2 frameworks (largest a, 10.0%)" in told
    assert notes(SPEC, asked[:2], rows()[:2], lambda _: "not simulated") == ()
    assert framework_of(SPEC, replace(asked[0], overrides={})) == "megatron-deepspeed"
