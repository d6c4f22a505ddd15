"""A study killed at random moments loses nothing, doubles nothing, and ends with the content of an undisturbed one."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import closing
from pathlib import Path

import pytest

from sim.axes import axis
from sim.study.executors import Cluster, processes
from sim.study.runner import run
from sim.study.store import Outcome, Store
from sim.study.sweep import stored, study_of
from sim.study.sweep import sweep as sweep_here

AXES = ("--axis", "plan.sub_batch=1,2,4,8,16,32,-1", "--axis", "accelerator.memory.bandwidth=1 TB/s:4 TB/s:24:log")


def sweep(file: Path) -> subprocess.Popen[bytes]:
    """The study as a process group of its own: its workers die with it."""
    code = "from sim.cli import main; main()"
    command = [sys.executable, "-c", code, "sweep", "paper/frontier-image", *AXES, "-o", str(file), "--jobs", "2", "-q"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def content(file: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'results'").fetchone() is None:
            return []  # killed before the study began
        rows = db.execute("SELECT results.*, text FROM results LEFT JOIN reasons ON reason = id ORDER BY number")
        return [(row[0], row[1], *row[3:]) for row in rows]


def check_kills(tmp_path: Path, kills: int) -> None:
    assert sweep(tmp_path / "whole.db").wait() == 2  # the designs with sub-batch -1 are bad input
    whole = content(tmp_path / "whole.db")
    assert len(whole) == 7 * 24
    draw, file, done = random.Random(7), tmp_path / "killed.db", 0
    for _ in range(kills):
        process = sweep(file)
        try:
            process.wait(draw.uniform(0.3, 2.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if file.exists():
            found = content(file)
            assert found == [row for row in whole if row[0] in {r[0] for r in found}]
            assert len(found) >= done
            done = len(found)
            if done == len(whole):
                file.unlink()
                done = 0
    assert sweep(file).wait() == 2
    assert content(file) == whole


def test_a_study_deleted_while_it_is_read_begins_anew(tmp_path: Path) -> None:
    """SQLite's log of the deleted file, kept by its reader, is not the new one's."""
    file = tmp_path / "study.db"
    with Store(file, {"seed": 1}, ["step_s"]) as store:
        store.add([Outcome(0, b"0", (1.0,))])
        reader = sqlite3.connect(file)
        assert len(reader.execute("SELECT * FROM results").fetchall()) == 1
    file.unlink()
    axis_of = ("--axis", "plan.sub_batch=1,2", "-o", str(file), "-q")
    code = "from sim.cli import main; main()"
    anew = subprocess.run([sys.executable, "-c", code, "sweep", "paper/frontier-image", *axis_of], capture_output=True)
    assert (anew.returncode, anew.stderr) == (0, b"")
    assert len(content(file)) == 2
    reader.close()


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    """Four kills; fifty with -m slow."""
    check_kills(tmp_path, 4)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    """At random moments, start-up and writing among them."""
    check_kills(tmp_path, 50)


class LostError(Exception):
    """As Dask's KilledWorker."""


class Losing(Executor):
    """Runs tasks at once; now and then one is lost or cancelled, as when workers die."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[object] = Future()
        fate = self.draw.random()
        if fate < 0.2:
            future.set_exception(LostError())
        elif fate < 0.3:
            future.cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


SPACE = {
    "plan.sub_batch": [1, 2, 4, 8, 16, 32, -1],
    "accelerator.memory.bandwidth": {"from": "1 TB/s", "to": "4 TB/s", "count": 24, "scale": "log"},
}


def test_tasks_lost_with_their_workers_are_run_again(tmp_path: Path) -> None:
    """Every third task is lost: the content is that of an undisturbed study."""
    draw, whole = random.Random(5), sweep_here("paper/frontier-image", SPACE, jobs=1)
    study = study_of("paper/frontier-image", axes=[axis(path, given) for path, given in SPACE.items()])
    run(study, tmp_path / "lost.db", lambda: Cluster(Losing(draw), LostError), 64)
    assert stored(study.designs, tmp_path / "lost.db").outcomes == whole.outcomes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_fifty_kills_of_a_dask_worker(tmp_path: Path) -> None:
    """Workers of a cluster of real processes die by SIGKILL at random moments of studies, until 50 have died in one.

    Dask gives a worker's place up where it dies while it starts, or is starting again 15 s after it died.
    """
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    draw, whole, kills = random.Random(3), sweep_here("paper/frontier-image", SPACE, jobs=1), 0
    here = {"processes": True, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **here) as cluster,
    ):
        begun = time.monotonic()
        sweep_here("paper/frontier-image", SPACE, dask=cluster.scheduler_address)
        lasts = time.monotonic() - begun
        for study in range(150):
            killed: list[int] = []

            def kill(killed: list[int] = killed) -> None:
                nannies = [n for n in cluster.workers.values() if n.process and n.process.status == n.status.running]
                if nannies:
                    killed.append(draw.choice(nannies).pid)
                    os.kill(killed[0], signal.SIGKILL)

            timer, file = threading.Timer(draw.uniform(0.0, lasts), kill), tmp_path / f"{study}.db"
            timer.start()
            found = sweep_here("paper/frontier-image", SPACE, dask=cluster.scheduler_address, file=file)
            kills += bool(killed)  # none where the study was over before
            timer.cancel()
            timer.join()
            assert found.outcomes == whole.outcomes
            if kills == 50:
                return
    pytest.fail(f"only {kills} studies met a kill")


def test_cancelled_workers_end_at_once() -> None:
    """In the middle of an hour's task: a chunk of designs may take a minute, Ctrl-C may not."""
    executor = processes(2)
    futures = [executor.submit(time.sleep, 3600.0) for _ in range(2)]
    while not all(future.running() for future in futures):
        time.sleep(0.01)
    executor.shutdown(cancel_futures=True)
    assert all(isinstance(future.exception(), BrokenExecutor) for future in futures)
