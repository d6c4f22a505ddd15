"""`foretrain calibrate`: from timings to a chip that `check` and `run` take, and what it refuses."""

from __future__ import annotations

import json

import pytest

HEADER = "kind,format,m,n,k,sequence,heads,head_dim,causal,direction,bytes,seconds"
#: 2·n³ FLOPs at 200 TFLOP/s after 5 us; streams at 1.6 TB/s after the same.
GOOD = [f"gemm,bf16,{n},{n},{n},,,,,,,{2 * n**3 / 200e12 + 5e-6}" for n in (512, 1024, 4096, 8192, 16384)]
GOOD += [f"memory,,,,,,,,,,{b},{b / 1.6e12 + 5e-6}" for b in (10**8, 10**9, 4 * 10**9)]

SCENARIO = """\
workload: {{family: llama2-7b}}
target: {{units: 1e11}}
cluster: {{extends: dgx-a100-superpod, devices: 64, accelerator: {}}}
plan: {{tensor: 2, sub_batch: 1, global_batch: 256, sharding: optimizer}}
"""


@pytest.fixture
def csv(tmp_path):
    """Write rows under a header."""

    def write(*rows, header=HEADER):
        path = tmp_path / "timings.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write


def test_the_result_is_an_accelerator(run, csv, tmp_path):
    """`check` passes it, `hardware show` reads the rates back, `run` is slower on it than on the base."""
    out = tmp_path / "mine.yaml"
    answer = run("calibrate", csv(*GOOD), "--accelerator", "a100-sxm4-80gb", "-o", out, "--json", "--quiet")
    assert answer.code == 0, answer.err
    fitted = {c["name"]: c for c in json.loads(answer.out)["constants"]}
    assert fitted["memory.achievable"]["fitted"] == pytest.approx(1.6e12 / 2039e9, rel=0.01)
    for c in fitted.values():
        assert c["p05"] <= c["fitted"] <= c["p95"]
    assert run("check", out).code == 0
    assert "90 % intervals" in out.read_text(encoding="utf-8")
    steps = []
    for chip in (out, "a100-sxm4-80gb"):
        scenario = tmp_path / f"on-{len(steps)}.yaml"
        scenario.write_text(SCENARIO.format(chip), encoding="utf-8")
        answer = run("run", scenario, "--json", "--quiet")
        assert answer.code == 0, answer.err
        steps.append(json.loads(answer.out)["step"]["time_s"])
    slow, fast = steps
    assert slow > fast


BAD = {
    "no seconds": ("gemm,bf16,1,1,1,,,,,,,", ":2:12: seconds: is missing for a row of kind gemm"),
    "negative seconds": ("gemm,bf16,1,1,1,,,,,,,-1", ":2:12: seconds: must be a positive number, got -1"),
    "no time at all": ("gemm,bf16,1,1,1,,,,,,,nan", ":2:12: seconds: must be a positive number, got nan"),
    "unknown kind": ("gem,bf16,1,1,1,,,,,,,1", ":2:1: kind: must be one of gemm, attention, memory, got gem"),
    "format of another chip": (
        "gemm,fp8,1,1,1,,,,,,,1",
        ":2:2: format: a100-sxm4-80gb does not compute in this format",
    ),
    "half a row": ("gemm,bf16,1.5,1,1,,,,,,,1", ":2:3: m: must be a whole number, got 1.5"),
    "cell of another kind": ("gemm,bf16,1,1,1,,,,,,8,1", ":2:11: bytes: says nothing of a row of kind gemm, got 8"),
    "direction": ("attention,bf16,,,,1,1,64,true,up,,1", ":2:10: direction: must be forward or backward, got up"),
    "milliseconds": (
        "gemm,bf16,8192,8192,8192,,,,,,,5e-6",
        ":2:12: seconds: a100-sxm4-80gb cannot do this in less than 0.00282 s",
    ),
    "faster than memory": (
        "memory,,,,,,,,,,4e9,1e-3",
        ":2:12: seconds: a100-sxm4-80gb cannot do this in less than 0.00157 s",
    ),
    "too many cells": ("gemm,bf16,1,1,1,,,,,,,1,7", ":2:13: has 13 cells under 12 columns"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named(run, csv, name):
    """File, line, column, field and rule; exit 2.

    Peaks: 2·8192³ / 312 TFLOP/s and 4 GB / 2039 GB/s, a fifth off for the clock.
    """
    row, said = BAD[name]
    answer = run("calibrate", csv(row, *GOOD), "--accelerator", "a100-sxm4-80gb")
    assert answer.code == 2
    assert f"timings.csv{said}" in answer.err


def test_all_bad_rows_are_told_at_once(run, csv):
    """One message for each."""
    answer = run("calibrate", csv(*(row for row, _ in BAD.values())), "--accelerator", "a100-sxm4-80gb")
    assert all(f":{line}:" in answer.err for line in range(2, 2 + len(BAD)))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("kind,format,m,n,k", ":1:1: seconds: a column is missing"),
        ("kind,seconds,colour", ":1:3: colour: no such column"),
        ("kind,seconds,kind", ":1:3: kind: the column stands twice"),
    ],
)
def test_a_bad_header_is_named(run, csv, header, said):
    """Before any row is read."""
    answer = run("calibrate", csv(*GOOD, header=header), "--accelerator", "a100-sxm4-80gb")
    assert answer.code == 2
    assert f"timings.csv{said}" in answer.err


def test_a_table_without_rows_or_file_is_refused(run, csv, tmp_path):
    """Exit 2 either way."""
    assert "has no rows" in run("calibrate", csv(), "--accelerator", "a100-sxm4-80gb").err
    assert run("calibrate", tmp_path / "none.csv", "--accelerator", "a100-sxm4-80gb").code == 2


WRONG_COLLECTIVES = {
    "unknown collective": ("collective,all_reduc,1e6,8,1e-4", ":2:2: collective: must be all_reduce or"),
    "too many devices": ("collective,all_reduce,1e6,9,1e-4", ":2:4: devices: must be 2 to 8"),
    "faster than the links": ("collective,all_reduce,1e9,8,1e-6", ":2:5: seconds: dgx-a100 cannot do this"),
    "a kernel": ("gemm,,,,1", ":2:1: kind: must be one of collective, got gemm (kernels are timed on a chip"),
}


@pytest.mark.parametrize(("row", "message"), WRONG_COLLECTIVES.values(), ids=WRONG_COLLECTIVES)
def test_collectives_that_are_refused(run, csv, row, message):
    """By line and column."""
    answer = run("calibrate", csv(row, header="kind,collective,bytes,devices,seconds"), "--cluster", "dgx-a100")
    assert answer.code == 2
    assert message in answer.err
