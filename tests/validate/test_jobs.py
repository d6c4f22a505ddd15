"""Rows in other processes: the same bytes, and every scenario once."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from sim.cli import main
from sim.study.executors import Here
from sim.validation.outcomes import Outcomes
from sim.validation.sets import scenario_texts, validate

SETS = ("dawnbench", "tpu_v2", "training_energy")


def test_one_process_and_two_print_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """Three sets of few rows, as JSON."""
    printed = []
    for jobs in ("1", "2"):
        with pytest.raises(SystemExit):
            main(["validate", *SETS, "--json", "-q", "--jobs", jobs])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert '"tpu_v2"' in printed[0]


class Counting(Here):
    """Runs everything at once, and counts."""

    def __init__(self) -> None:
        self.texts: list[object] = []

    def submit(self, fn, /, *args, **kwargs) -> Future:  # type: ignore[no-untyped-def, type-arg]
        self.texts += args
        return super().submit(fn, *args, **kwargs)


def test_the_rows_of_minutes_are_those_of_the_rates() -> None:
    """BERT's minutes need no run that its rates do not: 63 rated rows hold 31 different scenarios, and what no rate
    is printed for adds its own."""
    rates, minutes = (set(scenario_texts(name)) for name in ("mlperf_bert", "minutes_bert"))
    assert rates < minutes
    executor = Counting()
    known = Outcomes(executor, [*scenario_texts("mlperf_bert"), *scenario_texts("minutes_bert")])
    assert len(executor.texts) == len(minutes)
    validate("mlperf_bert", outcomes=known)
    validate("minutes_bert", outcomes=known)
    assert len(executor.texts) == len(minutes)
