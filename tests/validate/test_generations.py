"""Chips of several years beside each other in MLPerf's rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

import pytest

from sim.files.library import folder
from sim.validation.generations import RANKING, entries, orders, ratios

SUBMITTERS = {"NVIDIA": r".*(?P<chip>V100|A100|H100).*", "Google": r"(?P<chip>TPU|tpu).*"}


def published(benchmark: str) -> list[Mapping[str, str]]:
    """The rows of one benchmark, as they are printed."""
    path = folder("validation") / f"mlperf_{benchmark}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def chip_of(row: Mapping[str, str]) -> str:
    """V100, A100, H100 of NVIDIA's own entries, TPU v3 and TPU v4 (written TPU) of Google's; else nothing."""
    found = re.fullmatch(SUBMITTERS.get(row["submitter"], "(?!)"), row["accelerator"])
    if found is None or row["division"] == "open":
        return ""
    if row["submitter"] == "Google":
        return "TPU v3" if "v3" in row["accelerator"] else "TPU v4"
    return found["chip"]


@pytest.mark.parametrize("number", range(6))
def test_ratio_of_chip_generations_agrees_with_mlperf(number: int) -> None:
    """V100 to A100 to H100 on ResNet-50 and BERT, per device, each at its own printed batch: within 15 %."""
    pair = ratios()[number]
    assert abs(pair.error) <= 0.15, (pair.older.entry, pair.measured, pair.predicted)


def test_published_ratios_are_those_of_the_rows() -> None:
    """By hand: 22302.7/8 over 11089.6/8 images/s, 165.5663 over 49.0103 minutes of as many samples and devices."""
    by = {(pair.older.entry.benchmark, pair.older.entry.comparison): pair.measured for pair in ratios()}
    rows = {row["id"]: row for row in published("resnet")}
    rate = {name: float(rows[name]["steady_samples_per_s_between_evals"]) for name in rows if "v0.7 NVIDIA dgx" in name}
    assert by["resnet", "V100 to A100"] == pytest.approx(
        rate["v0.7 NVIDIA dgxa100_ngc20.06_mxnet"] / rate["v0.7 NVIDIA dgx1_ngc20.06_mxnet"]
    )
    assert by["bert", "V100 to A100"] == pytest.approx(165.5663 / 49.0103)
    assert by["bert", "V100 at 450 W to A100"] == pytest.approx(49.4398 * 16 / (49.0103 * 8))


@pytest.mark.parametrize("name", ["resnet", "bert"])
def test_chips_rank_as_mlperf_ranks_them(name: str) -> None:
    """H100, A100, TPU v4, TPU v3 and V100 by device minutes to the target: the same order."""
    order = next(order for order in orders() if order.benchmark == name)
    assert {figure.entry.chip for figure in order.figures} == {"V100", "A100", "H100", "TPU v3", "TPU v4"}
    assert order.correlation == pytest.approx(1.0)
    ours = sorted(order.figures, key=lambda figure: figure.predicted)
    assert ours == list(order.figures)


@pytest.mark.parametrize(
    "entry", [e for e in entries() if e.comparison == RANKING], ids=lambda e: f"{e.benchmark} {e.chip}"
)
def test_a_chips_entry_is_its_makers_best(entry) -> None:  # type: ignore[no-untyped-def]
    """Fewest device minutes with up to 16 devices, whatever the round."""
    minutes = {
        row["id"]: float(row["time_to_train_min"]) * float(row["n_accel"])
        for row in published(entry.benchmark)
        if chip_of(row) == entry.chip and row["n_accel"] and float(row["n_accel"]) <= 16 and row["time_to_train_min"]
    }
    assert min(minutes, key=lambda name: minutes[name]) == entry.row, minutes
