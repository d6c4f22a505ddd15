"""The data-parallel sets: every row is compared or listed, and the errors the project answers for."""

from __future__ import annotations

import pytest

from sim.validation.sets import find_set, validate
from sim.validation.validation import Measure, Rule, ValidationSet, requests


def test_rules_divide_cells() -> None:
    """`{a/b}` and `{a/b/c}` are quotients, `{a*4}` a product, in lists too; an empty cell leaves nothing."""
    rule = Rule(
        {"batch": ".+"},
        {
            "sub": "{batch/devices}",
            "half": "{batch/devices/2}",
            "chips": "{devices*4}",
            "levels": [{"size": "{devices}"}],
        },
    )
    row = {"id": "r", "batch": "3264", "devices": "8", "rate": "100"}
    spec = ValidationSet("s", "run", {}, (rule,), (Measure("rate", "samples_per_s"),), (row, {**row, "devices": ""}))
    full, empty = requests(spec)
    assert full.overrides == {"sub": 408, "half": 204, "chips": 32, "levels": [{"size": 8}]}
    assert empty.overrides["sub"] == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "printed", "everything"), [("mlperf_resnet", 0.12, 0.12), ("cnn_data_parallel", 0.12, 0.13)]
)
def test_images_per_second(name: str, printed: float, everything: float) -> None:
    """Within 12 % on average over rows with every field printed; nothing dropped in silence."""
    report = validate(find_set(name))
    parts = {part.name: part.rows for part in report.overall}
    assert parts["every field printed"].mean_abs_error < printed
    assert parts["all rows"].mean_abs_error < everything
    assert all(row.reason for summary in report.summaries for row in summary.skipped)
    assert report.notes[0].startswith("scaling efficiency")
