"""The JSON Schema: current, and it says what the reader says."""

from __future__ import annotations

import json
from pathlib import Path

from sim.spec.schema import scenario_schema

CHECKED_IN = Path(__file__).parents[2] / "scenarios" / "schema.json"


def test_the_checked_in_schema_is_current():
    """`foretrain schema > scenarios/schema.json` after a change of fields."""
    assert json.loads(CHECKED_IN.read_text(encoding="utf-8")) == scenario_schema()


def test_every_part_is_a_mapping_or_a_name():
    """As DESIGN §3 says, and a cluster carries its accelerator."""
    properties = scenario_schema()["properties"]
    for part in ("target", "scaling", "workload", "cluster", "accelerator", "plan", "training"):
        assert [choice.get("type", "mapping") for choice in properties[part]["anyOf"]] == ["string", "mapping"]


def test_fields_carry_description_unit_and_bounds():
    """Written once, beside the field."""
    plan = scenario_schema()["$defs"]["PlanRequest"]["properties"]
    assert plan["tensor"] == {
        "default": 1,
        "description": "tensor-parallel degree",
        "minimum": 1,
        "title": "Tensor",
        "type": "integer",
    }
    assert plan["bucket_bytes"]["type"] == plan["bucket"]["anyOf"][0]["type"] == "string"


def test_the_schema_knows_every_family():
    """Sizes of each."""
    workload = scenario_schema()["$defs"]["Workload"]["properties"]
    assert {"lstm_lm", "first_order"} <= set(workload["family"]["enum"])
