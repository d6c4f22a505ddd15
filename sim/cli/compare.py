"""`foretrain compare`: several scenarios, or one scenario on several accelerators."""

from __future__ import annotations

import click

from sim.cli import options
from sim.report.compare import render, to_json
from sim.spec import load_document
from sim.study.compare import run_all


@click.command()
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--accelerator", "accelerators", multiple=True, help="Run on this accelerator (repeatable).")
@options.common
def command(
    scenarios: tuple[str, ...],
    accelerators: tuple[str, ...],
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Print SCENARIOS side by side with their ratios and what causes them."""
    if len(scenarios) * max(1, len(accelerators)) < 2:
        raise click.UsageError("nothing to compare: give two scenarios, or one with two --accelerator")
    loaded = []
    for name in scenarios:
        for chip in accelerators or (None,):
            extra = () if chip is None else (f"accelerator={chip}",)
            label = name if chip is None else f"{name} on {chip}"
            loaded.append((label, load_document(name, (*sets, *extra))))
    outcomes = run_all(loaded)
    if as_json:
        options.write_json(to_json(outcomes))
    else:
        click.echo(render(outcomes))
