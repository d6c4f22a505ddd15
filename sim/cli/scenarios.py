"""`foretrain scenarios`: list the scenarios that come with foretrain."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import printable, show, show_json
from sim.files.checking import kind_of
from sim.files.library import find, names, shown
from sim.files.loader import load


@options.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def command(as_json: bool) -> None:
    """List the scenarios that come with foretrain."""
    rows = [row for name in names("scenarios") if (row := _row(name)) is not None]
    if as_json:
        show_json({"scenarios": [dict(zip(("name", "description", "file"), row, strict=True)) for row in rows]})
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, description, _ in rows:
        show(f"{name:{width}}  {printable(description)}".rstrip())


def _row(name: str) -> tuple[str, str, str] | None:
    """Name, the file's own description, file; None for a file that is no scenario (published figures)."""
    path = find("scenarios", name)
    node = load(path)
    if kind_of(path, node) != "scenario":
        return None
    description = node.at("description")
    return name, str(description.value) if description is not None else "", shown(path)
