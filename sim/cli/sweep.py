"""`foretrain sweep`: run a scenario over a grid of values."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.compare import fail_with, show_table
from sim.cli.terminal import printable, safe, show, show_json
from sim.report.compare import render, to_json
from sim.study.compare import run_all
from sim.study.sweep import sweep


@options.command()
@options.scenario_argument
@click.option("--key", default="", help="Field to vary, e.g. cluster.devices.")
@click.option("--values", default="", help="Comma-separated values.")
@options.format_option
@options.common
def command(
    scenario: str,
    key: str,
    values: str,
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Run SCENARIO once for every value of one key and print the results side by side.

    One that fails is a row with its reason; the exit code is that of the worst.
    """
    if bool(key) != bool(values):
        raise click.UsageError("--key and --values go together")
    listed = [value.strip() for value in values.split(",")] if values else ()
    found = sweep(scenario, sets, key, listed)
    cases = options.Finished("sweep", run_all(found.points, seed or 0), len(found.points), quiet)
    if as_json or form == "json":
        show_json({"key": found.key, "values": list(found.values), **to_json(cases.items)})
    elif cases.items and not show_table(cases.items, form):
        show(f"{printable(scenario)} over {printable(found.key)}\n{render(safe(cases.items), causes_too=False)}")
    cases.leave()
    fail_with(cases.items)
