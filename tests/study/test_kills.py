"""A study killed at random moments loses nothing, doubles nothing, and ends with the content of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

AXES = ("--axis", "plan.sub_batch=1,2,4,8,16,32,-1", "--axis", "accelerator.memory.bandwidth=1 TB/s:4 TB/s:24:log")


def sweep(file: Path) -> subprocess.Popen[bytes]:
    """The study as a process group of its own: its workers die with it."""
    code = "from sim.cli import main; main()"
    command = [sys.executable, "-c", code, "sweep", "paper/frontier-image", *AXES, "-o", str(file), "--jobs", "2", "-q"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def content(file: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(file) as db:
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


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    """Four kills; fifty with -m slow."""
    check_kills(tmp_path, 4)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    """At random moments, start-up and writing among them."""
    check_kills(tmp_path, 50)
