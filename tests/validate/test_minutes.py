"""Minutes to a published accuracy without the row's own passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.validate.minutes import _samples
from sim.validate.published import load_validation_set
from sim.validate.sets import find_set, validate
from sim.validate.validation import requests


def test_bert_takes_its_samples_from_the_reference_points():
    """E = 2.32 M·(1 + B/12,700): 4.64 M at the critical batch, whatever the row says of itself."""
    spec = load_validation_set(find_set("minutes_bert"))
    request = next(r for r in requests(spec) if not r.skip)
    assert _samples(spec, request, 12700.0) == pytest.approx(4.64e6, rel=0.001)
    other = replace(request, row={**request.row, "converge_epochs_or_samples": "1", "time_to_train_min": "1"})
    assert _samples(spec, other, 12700.0) == _samples(spec, request, 12700.0)


def test_a_round_is_predicted_from_the_others():
    """Epochs of its own round change nothing; those of another round of its recipe do."""
    spec = load_validation_set(find_set("minutes_resnet"))
    request = next(r for r in requests(spec) if r.row["round"] == "v2.0" and r.row["global_batch_size"])

    def doubled(edition):
        rows = (
            {**row, "converge_epochs_or_samples": str(2 * float(row["converge_epochs_or_samples"] or 0))}
            if row["round"] == edition
            else row
            for row in spec.rows
        )
        return replace(spec, rows=tuple(rows))

    batch = float(request.row["global_batch_size"])
    known = _samples(spec, request, batch)
    assert _samples(doubled("v2.0"), request, batch) == known
    assert _samples(doubled("v1.0"), request, batch) != known
    assert _samples(doubled("v0.6"), request, batch) == known


@pytest.mark.slow
def test_minutes_of_resnet_50():
    """Each round left out: median at most 12 %, mean at most 18 %."""
    report = validate(find_set("minutes_resnet"))
    assert report.overall[-1].rows.median_abs_error <= 0.12
    assert report.overall[-1].rows.mean_abs_error <= 0.18
