"""`foretrain project`: data and model size that a target error needs."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.process import FailedItemsError
from sim.cli.terminal import show_as
from sim.errors import InputError
from sim.report.projection import as_table, render, to_json
from sim.study.projection import project_domains


@options.command()
@click.argument("domains", nargs=-1)
@click.option("--target", type=float, help="Error to reach, instead of each domain's own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.format_option
@options.debug_option
def command(domains: tuple[str, ...], target: float | None, as_json: bool, form: str) -> None:
    """Data and model size at the target of DOMAINS (files or names; the paper's five when empty).

    Recomputed from the power laws, beside what tables 1 and 3 of the paper print. A domain without an answer does not
    lose the others.
    """
    rows, failures = project_domains(domains, target)
    if rows:
        show_as(rows, as_table, render, to_json, "json" if as_json else form)
    if failures:
        said = {"target.error": "--target"}
        told = [options.told_of(each, said) if isinstance(each, InputError) else each for each in failures]
        raise FailedItemsError(*told)
