"""`foretrain project`: data and model size that a target error needs."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import answer
from sim.report.projection import render, to_json
from sim.study.projection import project_domains


@options.command()
@click.argument("domains", nargs=-1)
@click.option("--target", type=float, help="Error to reach, instead of each domain's own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def command(domains: tuple[str, ...], target: float | None, as_json: bool) -> None:
    """Data and model size at the target of DOMAINS (files or names; the paper's five when empty).

    Recomputed from the power laws, beside what tables 1 and 3 of the paper print.
    """
    rows = project_domains(domains, target)
    answer(rows, render, to_json, as_json)
