"""Sizes of every model family: checked where it is made, stated to editors, and told with their place in a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sim.cli import process
from sim.errors import InputError
from sim.fields import Number, Record, statements
from sim.files import load_scenario
from sim.files.schema import schema_of
from sim.workload.registry import FAMILIES

LEAST: dict[str, dict[str, Any]] = {
    "transformer": {"hidden": 64, "depth": 2, "heads": 4, "vocabulary": 100, "sequence": 16},
    "vit": {"hidden": 64, "depth": 2, "heads": 4},
    "chakra": {"path": "trace.et"},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_no_size_of_any_family_may_be_negative(name: str) -> None:
    """In Python as in YAML, and the schema says so to an editor; every number of every family has a least value."""
    family: Any = FAMILIES[name]
    assert issubclass(family, Record)
    numbers = {s.name: s.kind for s in statements(family) if isinstance(s.kind, Number)}
    properties = schema_of()["$defs"][family.__name__]["properties"]
    for size, kind in numbers.items():
        with pytest.raises(InputError, match=rf"^{size}: must be (at least|positive)"):
            family(**{**LEAST.get(name, {}), size: -1})
        stated = properties[size]
        branches = [stated, *stated.get("anyOf", ())]
        assert any({"minimum", "exclusiveMinimum"} & set(branch) for branch in branches), size
        assert kind.ge is not None or kind.gt is not None


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ("positions: rotary, rotary_dim: 17", "rotary_dim: cannot exceed head_dim = 16, got 17"),
        ("cutoffs: [50, 200]", "cutoffs: must rise between 0 and vocabulary = 100"),
        ("dense_layers: 3", "dense_layers: cannot exceed depth = 2, got 3"),
        ("q_rank: -1", "q_rank: must be at least 0, got -1"),
        ("head_dim: -3", "head_dim: must be at least 0, got -3"),
        ("experts: 4, top_k: 5", "top_k: must lie between 1 and experts = 4, got 5"),
    ],
)
def test_sizes_are_refused_where_they_stand(sizes: str, found: str, tmp_path: Path) -> None:
    """file:line:column of the size itself."""
    path = tmp_path / "a.yaml"
    line = f"  sizes: {{hidden: 64, depth: 2, heads: 4, vocabulary: 100, sequence: 16, {sizes}}}"
    path.write_text(f"name: a\ntarget: {{steps: 1}}\ncluster: dgx-h100\nworkload:\n  family: transformer\n{line}\n")
    with pytest.raises(InputError, match=re.escape(f"workload.sizes.{found}")) as caught:
        load_scenario(str(path))
    (problem,) = caught.value.problems
    size = sizes.rpartition(", ")[2] if "cutoffs" not in sizes else sizes
    assert (problem.line, problem.column) == (6, line.index(size) + size.index(": ") + 3)


@pytest.mark.parametrize(
    ("family", "count", "rule"),
    [
        ("gpt2", "1e9", "nothing is left to solve: hidden and depth are both given"),
        ("lstm_lm", "5", "too few parameters for this family, got 5"),
    ],
)
def test_a_count_of_parameters_is_refused_where_it_stands(
    family: str, count: str, rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing left to solve, and a count no member of the family has."""
    path = tmp_path / "a.yaml"
    path.write_text(
        f"name: a\ntarget: {{steps: 1}}\ncluster: dgx-h100\nworkload:\n  family: {family}\n  parameters: {count}\n"
    )
    assert process.run(["run", str(path)]) == 2
    assert f"a.yaml:6:15: workload.parameters: {rule}" in capsys.readouterr().err


def test_everything_wrong_in_a_workload_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "name: a\ncluster: dgx-h100\nworkload:\n  family: transformer\n  parameters: -5\n  sizes: {hidden: -64}\n"
    )
    with pytest.raises(InputError) as caught:
        load_scenario(str(path))
    told = {problem.path for problem in caught.value.problems}
    assert {"workload.parameters", "workload.sizes.hidden"} <= told
