"""Tables: one unit per column on a terminal, SI numbers in full as CSV, bars in Markdown."""

from __future__ import annotations

import csv
import io

from sim.fields import did_you_mean
from sim.report.tables import Column, Table

TABLE = Table(
    (Column("case"), Column("to target", "seconds"), Column("memory", "bytes"), Column("mfu", "share")),
    (("a", 59_400.0, 2.0**30, 0.5), ("b|c", 33_000.0, 3 * 2.0**30, 0.041), ("d", None, None, None)),
)


def test_a_column_has_one_unit():
    """16.5 h beside 9.17 h, not beside 550 min."""
    assert [row[1] for row in TABLE.cells()] == ["16.5 h", "9.17 h", "-"]
    assert [row[2] for row in TABLE.cells()] == ["1.00 GiB", "3.00 GiB", "-"]
    assert "16.5 h" in TABLE.text()


def test_csv_holds_seconds_and_bytes_in_full():
    """And the unit in the column's name."""
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows[0] == {"case": "a", "to_target_s": "59400.0", "memory_bytes": str(2.0**30), "mfu": "0.5"}
    assert rows[2]["to_target_s"] == ""


def test_markdown_keeps_bars_of_names_inside_their_cell():
    """Four columns in every line."""
    lines = TABLE.markdown().splitlines()
    assert lines[1] == "| --- | --: | --: | --: |"
    assert "b\\|c" in lines[3]


def test_hints_people_mean():
    """Names of other programs, and parts of names."""
    fields = ["tensor", "pipeline", "sharding", "units", "global_batch", "data"]
    assert did_you_mean("tp", fields) == 'did you mean "tensor"?'
    assert did_you_mean("pp", fields) == 'did you mean "pipeline"?'
    assert did_you_mean("zero", fields) == 'did you mean "sharding"?'
    assert did_you_mean("tokens", fields) == 'did you mean "units"?'
    chips = ["h100-sxm5-80gb", "h100-pcie-80gb", "a100-sxm4-80gb"]
    assert did_you_mean("H100", chips) == 'did you mean "h100-sxm5-80gb" or "h100-pcie-80gb"?'
    assert did_you_mean("daat", fields) == 'did you mean "data"?'
