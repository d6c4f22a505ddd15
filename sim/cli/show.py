"""`foretrain show`: the resolved scenario, with the file and line of every leaf."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import printable, show, show_json
from sim.fields import shown
from sim.files import Leaf, build, load_document


@options.command()
@options.scenario_argument
@options.sets_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def command(scenario: str, sets: tuple[str, ...], as_json: bool) -> None:
    """The resolved SCENARIO: every leaf with the file and line it comes from."""
    document = load_document(scenario, sets)
    build(document)
    if as_json:
        show_json({"file": document.file, "leaves": [_row(leaf) for leaf in document.leaves]})
        return
    texts = [(printable(f"{leaf.path}: {_value(leaf)}"), printable(str(leaf.mark))) for leaf in document.leaves]
    width = min(max(len(text) for text, _ in texts), 72)
    for text, mark in texts:
        show(f"{text:{width}}  # {mark}")


def _value(leaf: Leaf) -> str:
    """A leaf as YAML would hold it on one line."""
    if isinstance(leaf.value, dict | list | tuple):
        return "{}" if isinstance(leaf.value, dict) else f"[{', '.join(map(str, leaf.value))}]"
    return str(leaf.value) if isinstance(leaf.value, str) and leaf.value else shown(leaf.value)


def _row(leaf: Leaf) -> dict[str, object]:
    mark = leaf.mark
    place: dict[str, object] = {"file": mark.file, "line": mark.line, "column": mark.column} if mark.line else {}
    return {"path": leaf.path, "value": leaf.value} | (place or {"from": mark.file})
