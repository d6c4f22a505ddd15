"""`foretrain require`: what hardware reaches the target by a deadline."""

from __future__ import annotations

from dataclasses import replace

import click

from sim.cli import options
from sim.cli.terminal import answer
from sim.errors import InputError, Unreachable, UnreachableError
from sim.files import load_scenario
from sim.report.require import render, to_json
from sim.simulation.properties import PROPERTIES
from sim.study.require import require
from sim.units import parse_quantity


@options.command()
@options.scenario_argument
@click.option("--deadline", required=True, help='Time to the target, e.g. "7 days".')
@click.option("--property", "names", multiple=True, required=True, help=f"One of {', '.join(PROPERTIES)} (repeatable).")
@options.common
def command(
    scenario: str,
    deadline: str,
    names: tuple[str, ...],
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """The least hardware with which SCENARIO reaches its target by the deadline, run forward as proof."""
    try:
        seconds = parse_quantity(deadline, "seconds")
    except InputError as error:
        raise InputError(*(replace(problem, path="--deadline") for problem in error.problems)) from None
    found = require(load_scenario(scenario, sets), seconds, names, seed or 0)
    answer(found, render, to_json, as_json)
    if not found.feasible:
        statement = f"no allowed hardware meets the deadline: {found.reason}"
        raise UnreachableError(Unreachable(statement))
