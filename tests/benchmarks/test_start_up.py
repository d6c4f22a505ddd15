"""Start-up of whole processes, against a bare interpreter on the same machine at the same moment."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

MAIN = "from sim.cli import main; main()"
REFERENCE_S = 0.015
"""A bare `python -c pass` on the machine the goals were set on."""


def fastest(*arguments, tries=5):
    """Least wall time of a process, s."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.speed
@pytest.mark.parametrize(
    ("arguments", "goal_s"),
    [(("--help",), 0.15), (("run", "paper/word-lm"), 0.8)],
)
def test_a_command_starts_within_its_goal(arguments, goal_s):
    """0.15 s for --help and 0.8 s for a paper scenario, scaled by how slow this machine is now."""
    slowness = max(1.0, fastest("pass") / REFERENCE_S)
    assert fastest(MAIN, *arguments) <= goal_s * slowness
