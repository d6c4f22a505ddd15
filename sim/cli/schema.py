"""`foretrain schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import click

from sim.cli import options
from sim.spec.schema import scenario_schema


@click.command()
@options.debug_option
def command() -> None:
    """JSON Schema of the scenario file, for editors and other tools."""
    options.write_json(scenario_schema())
