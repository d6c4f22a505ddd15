"""`foretrain schema`: JSON Schema of the scenario file."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import show, show_json
from sim.files.reference import reference
from sim.files.schema import KINDS, schema_of


@options.command()
@click.argument("kind", type=click.Choice([*KINDS, "validation"]), default="scenario", required=False)
@click.option("--markdown", is_flag=True, help="The same as a reference to read.")
@options.debug_option
def command(kind: str, markdown: bool) -> None:
    """JSON Schema of one kind of file, for editors and other tools.

    `foretrain schema scenario > scenario.json`, then `# yaml-language-server: $schema=scenario.json` as the first line
    of a scenario beside it.
    """
    if markdown:
        show(reference().rstrip("\n"))
    elif kind == "validation":
        from sim.validation.published import set_schema  # noqa: PLC0415  (start-up time: a room of its own)

        show_json(schema_of(kind, {kind: set_schema}))
    else:
        show_json(schema_of(kind))
