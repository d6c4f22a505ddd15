"""Running the command in this process, and as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from sim.cli import main

COMMAND = (sys.executable, "-c", "from sim.cli import main; main()")


class Outcome(NamedTuple):
    """What a command leaves behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Run `foretrain ARGS…` in this process."""

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        return Outcome(caught.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def process():
    """Run `foretrain ARGS…` as a process, from any folder."""

    def call(*arguments, **options):
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={**os.environ, **options.pop("env", {})},
            **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call
