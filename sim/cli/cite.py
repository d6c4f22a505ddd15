"""`foretrain cite`: the sources behind a run, as text or BibTeX."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import answer, safe, show
from sim.files import build, load_document, locating
from sim.report.cite import bibtex, render, to_json
from sim.simulation import simulate
from sim.study.sources import cite


@options.command()
@options.scenario_argument
@click.option("--bibtex", "as_bibtex", is_flag=True, help="Print BibTeX entries.")
@options.common
def command(
    scenario: str, as_bibtex: bool, as_json: bool, sets: tuple[str, ...], seed: int | None, quiet: bool
) -> None:
    """Who published what SCENARIO is computed with: models that take part in it, hardware, scaling law."""
    if as_bibtex and as_json:
        raise click.UsageError("--bibtex or --json, not both")
    document = load_document(scenario, sets)
    with locating(document):
        asked = build(document)
        found = cite(asked, simulate(asked, levers=False, seed=seed or 0))
    if as_bibtex:
        show(bibtex(safe(found)))
    else:
        answer(found, render, to_json, as_json)
