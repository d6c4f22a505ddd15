"""`foretrain fit`: from a CSV of pilot runs to a scaling domain, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest

ROWS = [(1e6 * 2**k, 13.0 * (1e6 * 2**k) ** -0.2 + 0.1, 1e3 * (1e6 * 2**k) ** 0.6) for k in range(9)]


@pytest.fixture
def csv(tmp_path):
    """Write rows under a header."""

    def write(rows, header="units,error,parameters"):
        path = tmp_path / "pilot.csv"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
        return path

    return write


def test_the_result_is_a_scaling_domain(run, csv, tmp_path):
    """ε = 13 m^-0.2 + 0.1 and p = 1000 m^0.6 come back, and `project` reads the file."""
    out = tmp_path / "mine.yaml"
    answer = run("fit", csv(ROWS), "--unit", "word", "--metric", "nat/word", "--target", "0.5", "-o", out, "--quiet")
    assert answer.code == 0
    projected = json.loads(run("project", out, "--json").out)["domains"][0]
    assert projected["dataset_units"] == pytest.approx((0.4 / 13.0) ** -5, rel=0.02)
    assert projected["parameters"] == pytest.approx(1e3 * projected["dataset_units"] ** 0.6, rel=0.01)


def test_a_target_below_the_floor_is_unreachable_with_its_band(run, csv, tmp_path):
    """Exit 4, the floor and its 90 % band."""
    noisy = [(u, e * (1 + 0.002 * (-1) ** k), p) for k, (u, e, p) in enumerate(ROWS)]
    out = tmp_path / "mine.yaml"
    assert run("fit", csv(noisy), "-o", out, "--quiet").code == 0
    answer = run("project", out, "--target", "0.05")
    assert answer.code == 4
    assert "90 % band" in answer.err


def test_the_best_model_of_every_shard_counts(run, csv):
    """A second, worse model at every size changes nothing."""
    worse = [(u, 1.3 * e, 2 * p) for u, e, p in ROWS]
    alone = json.loads(run("fit", csv(ROWS), "--json", "--quiet").out)["domain"]["curve"]
    both = json.loads(run("fit", csv(ROWS + worse), "--json", "--quiet").out)["domain"]["curve"]
    assert alone == both


def test_the_drawing_shows_every_shard(run, csv, tmp_path):
    """A point a shard; the curve lies inside its band."""
    out = tmp_path / "curve.html"
    assert run("fit", csv(ROWS), "--plot", out, "--quiet").code == 0
    (spec,) = re.findall(r'<script type="application/json">(.*?)</script>', out.read_text(encoding="utf-8"))
    low, high, curve, shards, left_out = json.loads(spec)["data"]
    assert shards["x"] + left_out["x"] == pytest.approx([units for units, _, _ in ROWS], rel=1e-6)
    assert all(a <= b <= c for a, b, c in zip(low["y"], curve["y"], high["y"], strict=True))


def test_batches_give_passes_and_a_critical_batch(run, csv):
    """S = 1000 (1 + 512/B)."""
    rows = [(b, 1000 * (1 + 512 / b)) for b in (64, 256, 1024, 4096)]
    found = json.loads(run("fit", csv(rows, "batch,steps"), "--law", "batch", "--json", "--quiet").out)["batch"]
    assert found["critical_batch"] == pytest.approx(512, rel=1e-3)
    assert found["least"] == pytest.approx(512_000, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        (ROWS, "size,error,parameters", ["pilot.csv:1:1", "a column is missing", "units"]),
        ([(1e6, 1.0, 1), (-2e6, 0.9, 1), (4e6, "x", 1)], "units,error,parameters", ["csv:3", "csv:4", "is no number"]),
        ([(1e6, 1.0, 1)], "units,error,parameters", ["pilot.csv:2", "one point is no curve"]),
        ([(1e6, 1.0, 1), (1e6, 0.9, 1)], "units,error,parameters", ["pilot.csv:3", "same size"]),
        ([*ROWS[:5], (1e9, 3.0, 1)], "units,error,parameters", ["pilot.csv:7", "rises with data"]),
        (ROWS[:3], "units,error,parameters", ["pilot.csv:4", "at least 4 different sizes"]),
        ([], "units,error,parameters", ["has no rows"]),
    ],
)  # fmt: skip
def test_bad_pilots_are_named_by_their_row(run, csv, rows, header, told):
    """Exit 2 and one line for every problem."""
    answer = run("fit", csv(rows, header))
    assert answer.code == 2
    for text in told:
        assert text in answer.err
