"""`foretrain schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import click

from sim.cli import options
from sim.files.reference import reference
from sim.files.schema import scenario_schema


@click.command()
@click.option("--markdown", is_flag=True, help="The same as a reference to read.")
@options.debug_option
def command(markdown: bool) -> None:
    """JSON Schema of the scenario file, for editors and other tools."""
    if markdown:
        click.echo(reference(), nl=False)
    else:
        options.write_json(scenario_schema())
