"""docs/output.md, the dictionary of `run --json`, is generated from the records.

`UPDATE_README=1 pytest tests/test_output_docs.py` writes it as it is today.
"""

from __future__ import annotations

import inspect
import io
import os
import tokenize
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import sim
from sim.engine.campaign.records import CampaignResult
from sim.engine.records import Step
from sim.plan.energy import Energy
from sim.plan.expense import Site
from sim.plan.records import DeviceMemory, Plan
from sim.report.run import to_json
from sim.result import Bottleneck, Cost, Provenance, Speedups, TimeToTarget, Uncertainty
from sim.scaling import Projection

DOCS = Path(__file__).parents[1] / "docs"
RECORDS: dict[str, type] = {
    "projection": Projection,
    "plan": Plan,
    "memory": DeviceMemory,
    "step": Step,
    "campaign": CampaignResult,
    "speedups": Speedups,
    "time_to_target": TimeToTarget,
    "uncertainty": Uncertainty,
    "energy": Energy,
    "cost": Cost,
    "site": Site,
    "bottleneck": Bottleneck,
    "provenance": Provenance,
}
UNITS = {
    "_bytes_per_s": "B/s", "_bytes": "B", "_flops": "FLOP", "_usd": "USD", "_kg": "kg", "_j": "J", "_w": "W", "_s": "s"
}  # fmt: skip
HEAD = """# What an answer holds

The object that `foretrain run --json` prints and `result.to_dict()` returns: SI numbers, the unit at the key's end.
A part whose model does not exist is `null`, with the reason under `KEY_reason`. Generated from the records.
"""


def comments(cls: type) -> dict[str, str]:
    """What the source says of each field: its metadata, or the remark on its line."""
    found = {f.name: str(f.metadata["doc"]) for f in fields(cls) if "doc" in f.metadata}
    source = inspect.getsource(cls)
    names = {number: line.strip().partition(":")[0] for number, line in enumerate(source.splitlines(), start=1)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            found.setdefault(names[token.start[0]], token.string.lstrip("# "))
    return found


def unit(name: str) -> str:
    return next((symbol for end, symbol in UNITS.items() if name.endswith(end)), "")


def kind(hint: Any) -> str:
    """A type in the words of JSON."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if isinstance(hint, UnionType):
        return f"{kind(parts[0])} or null"
    words = {float: "number", int: "whole number", bool: "true or false"}
    base = get_origin(hint) or hint
    if base is Literal or (isinstance(base, type) and issubclass(base, str)):
        return "text"
    return words.get(base) or {tuple: "list", Mapping: "mapping"}.get(base, "object")


def page() -> str:
    """Every section with its keys."""
    result = sim.simulate(sim.load_scenario("paper/frontier-image"), levers=False)
    parts = [HEAD]
    for key in to_json(result):
        cls = RECORDS.get(key.removesuffix("_reason"))
        if cls is None or key.endswith("_reason"):
            continue
        said, hints = comments(cls), get_type_hints(cls)
        rows = [
            f"| `{f.name}` | {kind(hints[f.name])} | {unit(f.name)} | {said.get(f.name, '')} |".replace("  |", " |")
            for f in fields(cls)
            if not f.name.startswith("_") and f.repr
        ]
        title = f"{key}.devices[]" if key == "memory" else key
        doc = inspect.cleandoc(cls.__doc__ or "")
        parts.append(f"## {title}\n\n{doc}\n\n| key | value | unit | meaning |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def test_the_dictionary_of_the_output_is_that_of_the_records() -> None:
    file = DOCS / "output.md"
    if os.environ.get("UPDATE_README"):
        file.write_text(page(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == page()


def test_every_part_of_the_output_is_in_the_dictionary() -> None:
    """Keys that are no record say themselves what they are."""
    plain = {"schema_version", "scenario", "objective", "extrapolated"}
    result = sim.simulate(sim.load_scenario("paper/frontier-image"), levers=False)
    assert {key for key in to_json(result) if not key.endswith("_reason")} == plain | set(RECORDS)
