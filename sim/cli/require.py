"""`foretrain require`: what hardware reaches the target by a deadline."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import advise, show_as
from sim.errors import Unreachable, UnreachableError
from sim.files import build, load_document, locating
from sim.files.idle import idle_fields
from sim.report.require import as_table, render, to_json
from sim.simulation.properties import PROPERTIES
from sim.study.require import require


@options.command()
@options.scenario_argument
@click.option("--deadline", required=True, help='Time to the target, e.g. "7 days".')
@click.option("--property", "names", multiple=True, required=True, help=f"One of {', '.join(PROPERTIES)} (repeatable).")
@options.format_option
@options.common
def command(
    scenario: str,
    deadline: str,
    names: tuple[str, ...],
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """The least hardware with which SCENARIO reaches its target by the deadline, run forward as proof."""
    document = load_document(scenario, sets)
    with locating(document), options.told_as({"deadline": "--deadline", "property": "--property"}):
        asked = build(document)
        found = require(asked, deadline, names, seed or 0)
    advise(idle_fields(document, asked), quiet)
    show_as(found, as_table, render, to_json, "json" if as_json else form)
    if not found.feasible:
        statement = f"no allowed hardware meets the deadline: {found.reason}"
        raise UnreachableError(Unreachable(statement))
