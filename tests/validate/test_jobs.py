"""Rows in other processes: the same bytes, and every scenario once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path

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


class Busy(Executor):
    """Never begins with what it is handed."""

    def __init__(self) -> None:
        self.futures: list[Future[object]] = []
        self.texts: list[object] = []

    def submit(self, fn, /, *args, **kwargs) -> Future:  # type: ignore[no-untyped-def, type-arg]
        self.texts += args
        self.futures.append(Future())
        return self.futures[-1]


def test_what_no_other_process_has_begun_is_simulated_here() -> None:
    """Others begin with what is asked for last; this one waits for none of it, and takes it from them."""
    texts = list(dict.fromkeys(scenario_texts("tpu_v2")))
    busy = Busy()
    assert validate("tpu_v2", outcomes=Outcomes(busy, texts)) == validate("tpu_v2", outcomes=Outcomes())
    assert busy.texts == texts[::-1]
    assert busy.futures[-1].cancelled()  # of the first row


class Dying(Executor):
    """Hands out two tasks that die with their worker, then takes no more."""

    def __init__(self) -> None:
        self.left = 2

    def submit(self, fn, /, *args, **kwargs) -> Future:  # type: ignore[no-untyped-def, type-arg]
        self.left -= 1
        if self.left < 0:
            raise BrokenExecutor("a worker was killed")
        future: Future[object] = Future()
        future.set_exception(BrokenExecutor("a worker was killed"))
        return future


def test_what_dies_with_a_worker_is_simulated_here() -> None:
    """The rows are those of an undisturbed validation."""
    texts = list(scenario_texts("tpu_v2"))
    assert len(set(texts)) > 2
    assert validate("tpu_v2", outcomes=Outcomes(Dying(), texts)) == validate("tpu_v2", outcomes=Outcomes())


ORPHAN = """
import os, signal, time
from sim.study.executors import executors
if __name__ == "__main__":
    way, _ = executors(64, 2)
    with way() as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """They held stdout open: its end is read once the last of them is gone."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    killed = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600)
    assert killed.returncode == -9
    assert int(killed.stdout) > 0
