"""`foretrain scenarios`: what comes with foretrain."""

from __future__ import annotations

import click

from sim.cli import options
from sim.spec.library import find, names, shown
from sim.spec.loader import Node, load


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def command(as_json: bool) -> None:
    """List the scenarios that come with foretrain."""
    rows = [(name, _description(name), shown(find("scenarios", name))) for name in names("scenarios")]
    if as_json:
        options.write_json(
            {"scenarios": [dict(zip(("name", "description", "file"), row, strict=True)) for row in rows]}
        )
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, description, _ in rows:
        click.echo(f"{name:{width}}  {description}".rstrip())


def _description(name: str) -> str:
    """The description in the file itself."""
    node: Node | None = load(find("scenarios", name)).at("description")
    return str(node.value) if node is not None else ""
