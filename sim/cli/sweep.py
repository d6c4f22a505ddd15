"""`foretrain sweep`: a scenario over the values of one key."""

from __future__ import annotations

import click

from sim.cli import options
from sim.report.compare import render, to_json
from sim.study.sweep import sweep


@click.command()
@options.scenario_argument
@click.option("--key", default="", help="Field to vary, e.g. cluster.devices.")
@click.option("--values", default="", help="Comma-separated values.")
@options.common
def command(
    scenario: str, key: str, values: str, as_json: bool, sets: tuple[str, ...], seed: int | None, quiet: bool
) -> None:
    """Run SCENARIO once for every value of one key and print the results side by side."""
    if bool(key) != bool(values):
        raise click.UsageError("--key and --values go together")
    listed = [value.strip() for value in values.split(",")] if values else ()
    found = sweep(scenario, sets, key, listed, seed or 0)
    if as_json:
        options.write_json({"key": found.key, "values": list(found.values), **to_json(found.cases)})
    else:
        click.echo(f"{scenario} over {found.key}\n{render(found.cases, causes_too=False)}")
