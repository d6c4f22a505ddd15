"""Every notebook of docs/examples is executed cell by cell, as a notebook would; none carries outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def shown(cell: str, names: dict[str, object]) -> object:
    """What a notebook shows of a cell: the value of its last expression."""
    body = ast.parse(cell).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cells share their names; answers show themselves as HTML."""
    book = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert book["nbformat"] == 4
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in book["cells"])
    names: dict[str, object] = {}
    answers = [shown(cell, names) for cell in cells]
    html = [found._repr_html_() for found in answers if hasattr(found, "_repr_html_")]  # type: ignore[attr-defined]
    assert html
    assert "bug:" not in "".join(html) + capsys.readouterr().out


def test_the_examples_are_those_of_the_issue() -> None:
    assert NOTEBOOKS == ["ask-backwards", "compare-chips", "first-run", "fit-a-curve"]
