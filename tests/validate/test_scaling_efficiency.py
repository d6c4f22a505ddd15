"""Scaling efficiency against arithmetic by hand, and the two rows of TPU v2."""

from __future__ import annotations

import pytest

from sim.validation.scaling_efficiency import Point, efficiencies
from sim.validation.sets import find_set, validate


def _point(name: str, devices: int, measured: float, predicted: float, family: str = "chip paper") -> Point:
    return Point(name, family, devices, measured, predicted, 0.0, 0.0, 1.0)


def test_efficiency_is_relative_to_the_fewest_devices_of_a_family() -> None:
    """100 images/s on 8 (median of 90, 100, 110), 80 on 64: 80 %; another family does not mix in."""
    rows = [_point(f"a{n}", 8, rate, 120.0) for n, rate in enumerate((90.0, 100.0, 110.0))]
    found = efficiencies([*rows, _point("b", 64, 80.0, 108.0), _point("c", 4, 50.0, 50.0, "other chip")])
    assert [(e.point.id, e.fewest) for e in found] == [("b", 8)]
    assert found[0].measured == pytest.approx(0.8)
    assert found[0].error == pytest.approx(0.9 - 0.8)


def test_tpu_v2_on_32_boards() -> None:
    """97.4 % on half a pod (Dean, Patterson, Young 2018) within two points, with communication that is not zero."""
    report = validate(find_set("tpu_v2"))
    line = next(note for note in report.notes if "dean_tpuv2" in note)
    measured, predicted = (
        float(part.split(" %")[0]) for part in (line.split(w)[1] for w in ("measured ", "predicted "))
    )
    assert measured == pytest.approx(97.4, abs=0.1)
    assert abs(predicted - measured) < 2.0
    assert float(line.split("communication ")[1].split(" ms")[0]) > 0.5


@pytest.mark.parametrize(("row", "block_s"), [("cnn028", 40.97), ("cnn033", 3.95)])
def test_four_epochs_and_their_evaluation_on_tpu_v3(row: str, block_s: float) -> None:
    """Seconds between two evaluations in Google's logs of MLPerf v0.6 (tpu-v3-128 and tpu-v3-2048, result_0.txt).

    A fixed turn of the host beside the steps, which are ten times as long on a sixteenth of the chips.
    """
    (group,) = validate("cnn_data_parallel", row_ids=(row,)).summaries
    (found,) = group.rows
    assert 4 * 1_281_167 / found.predicted == pytest.approx(block_s, rel=0.06)
