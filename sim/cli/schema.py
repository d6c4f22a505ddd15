"""`foretrain schema`: JSON Schema of the scenario file."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import show, show_json
from sim.files.reference import reference
from sim.files.schema import KINDS, schema_of


@options.command()
@click.argument("kind", type=click.Choice(list(KINDS)), default="scenario", required=False)
@click.option("--markdown", is_flag=True, help="The same as a reference to read.")
@options.debug_option
def command(kind: str, markdown: bool) -> None:
    """JSON Schema of one kind of file, for editors and other tools."""
    if markdown:
        show(reference().rstrip("\n"))
    else:
        show_json(schema_of(kind))
