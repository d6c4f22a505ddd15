"""The JSON Schema: current, and it says what the reader says."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sim.files.reference import reference
from sim.files.schema import schema_of

ROOT = Path(__file__).parents[2]


def generated():
    """What is checked in, and what it must say."""
    schema = json.dumps(schema_of(), indent=2, ensure_ascii=False) + "\n"
    return {ROOT / "scenarios" / "schema.json": schema, ROOT / "docs" / "inputs.md": reference()}


def test_the_checked_in_schema_and_reference_are_current():
    """After a change of fields: `UPDATE_SCHEMA=1 pytest tests/files/test_border_schema.py`."""
    for path, text in generated().items():
        if os.environ.get("UPDATE_SCHEMA"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, path.name


def test_the_reference_has_a_row_for_every_key():
    """Doc, default and unit of each, from the field."""
    text = reference()
    assert (
        "| `sub_batch` | whole number ≥ 1 | `null` | samples per device per pass; empty: smallest near the best time |"
        in text
    )
    assert '| `bucket_bytes` | quantity, as `80 GiB` > 0 | `"25 MB"` | gradients reduced together |' in text


def test_every_field_says_what_it_means():
    """No row of the reference has an empty last cell."""
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 300
    assert [row for row in rows if row.split("|")[-2].strip() == ""] == []


def test_fields_carry_description_unit_and_bounds():
    """Written once, beside the field."""
    plan = schema_of()["$defs"]["PlanRequest"]["properties"]
    assert plan["shard_group"] == {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
        "default": 0,
        "description": "ranks one sharded copy is spread over; 0: all",
    }
    assert plan["bucket_bytes"]["anyOf"][0]["type"] == plan["bucket"]["anyOf"][0]["type"] == "string"
