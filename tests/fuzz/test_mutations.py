"""Thousands of mutated inputs through every command, in this process.

Each ends with an answer or a refusal: no traceback, no hang, no flood of memory; the exit code is a documented one,
every refusal says where, every answer holds what a step can be. 2,000 cases by default, 20,000 with `-m slow`.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import resource
import shutil
import signal
import socketserver
import sys
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from sim.cli import process
from sim.errors import InputError
from tests.fuzz.cases import KINDS, Case

SECONDS = 20.0
BYTES = 2 * 2**30
SHARES = {"scenario": 5, "small": 5, "accelerator": 3, "cluster": 3, "domain": 1, "links": 1, "set": 2, "foreign": 2,
          "options": 3}  # fmt: skip
UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
NO_NUMBER = re.compile(r"(?<![\w.'\"-])(nan|inf)(?![\w.'\"-])")


class HangError(BaseException):
    """More processor time than any input may take."""


def _hang(signum: int, frame: object) -> None:
    raise HangError


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """At most 20 s of processor time and 2 GB more than now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as sizes:
        now = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    previous = signal.signal(signal.SIGPROF, _hang)
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, previous)


def faults(case: Case) -> list[str]:
    """What is wrong with how a case ended; nothing if it ended well."""
    errors: list[BaseException] = []
    real = process.tell

    def heard(error: BaseException) -> int:
        errors.append(error)
        return real(error)

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogatepass") for _ in range(2))
    streams, process.tell = (sys.stdout, sys.stderr), heard  # type: ignore[assignment]
    sys.stdout, sys.stderr = out, err
    try:
        with bounded():
            code = process.run(list(case.arguments))
    except BaseException as error:
        return [f"{type(error).__name__} escaped: {''.join(traceback.format_exception(error)[-6:])}"]
    finally:
        (sys.stdout, sys.stderr), process.tell = streams, real  # type: ignore[assignment]
    for stream in (out, err):
        stream.flush()
    said, told = (s.buffer.getvalue().decode("utf-8", "surrogatepass") for s in (out, err))  # type: ignore[attr-defined]
    return list(_faults(case, code, said, told, errors))


def _faults(case: Case, code: int, out: str, err: str, errors: list[BaseException]) -> Iterator[str]:
    if code not in (0, 2, 3, 4):
        trace = [line for error in errors for line in traceback.format_exception(error)[-4:]]
        yield f"exit {code}: {err[-300:]} {''.join(trace)}"
    if any(isinstance(error, MemoryError) for error in errors):
        yield "more than 2 GB: " + "".join(traceback.format_exception(errors[0])[-4:])
    for error in errors:
        for problem in error.problems if isinstance(error, InputError) else ():
            if not (problem.file or problem.path or any(problem.value.strip("'\"") in a for a in case.arguments)):
                yield f"a refusal without a place: {problem}"
    if code and not err:
        yield f"exit {code} without a word"
    for text in (out, err):
        if found := UNSEEN.search(text):
            yield f"a control character reaches the terminal: {text[max(0, found.start() - 60) : found.end() + 20]!r}"
    if code == 0 and "--json" in case.arguments:
        yield from _impossible(json.loads(out))
    elif code == 0 and case.arguments[0] not in ("show", "check", "scenarios") and (found := NO_NUMBER.search(out)):
        yield f"no number: {out[max(0, found.start() - 80) : found.end() + 20]!r}"


def _impossible(value: object, path: str = "") -> Iterator[str]:
    """Numbers no step can have."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _impossible(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _impossible(item, f"{path}.{number}")
    elif isinstance(value, float | int) and not isinstance(value, bool):
        key = path.rpartition(".")[2]
        if not math.isfinite(value):
            yield f"{path} is {value}"
        if value < 0 and key.endswith("_s") and "causes" not in path:
            yield f"{path} is {value}"
        if key == "hfu" and value > 1 + 1e-9:
            yield f"{path} is {value}"


def run_cases(kind: str, count: int, number: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """`count` cases of one kind, always the same for the same number; the first that ends badly is shown whole."""
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr(socketserver.BaseServer, "serve_forever", lambda *_, **__: None)  # the app answers until Ctrl-C

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        case = KINDS[kind](data.draw)
        for name, text in case.files.items():
            with open(name, "w", encoding="utf-8", errors="surrogatepass") as stream:
                stream.write(text)
        found = faults(case)
        for name in os.listdir():
            if name.startswith("out"):
                shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
        if found:
            raise AssertionError("\n".join([repr(case), *found]))

    one()


PARTS = [(kind, part) for kind, parts in SHARES.items() for part in range(parts)]


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_mutated_input_is_answered_or_refused(kind, part, tmp_path, monkeypatch):
    """80 cases in each of 25 parts."""
    run_cases(kind, 80, part, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_ten_times_as_many(kind, part, tmp_path, monkeypatch):
    """800 cases in each part."""
    run_cases(kind, 800, 1000 + part, tmp_path, monkeypatch)
