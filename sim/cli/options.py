"""Options that several commands share, as decorators: `@options.json`, `@options.sets` …"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """`--debug` is read by `main` before any command runs; commands only accept it."""


scenario_argument = click.argument("scenario")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write a run folder."
)
sets_option = click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override one leaf, e.g. plan.data=64 (repeatable)."
)
seed_option = click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=None, help="Seed of random streams.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress or messages on stderr.")
debug_option = click.option("--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks.")


def common(function: Function) -> Function:
    """--json --set --seed --quiet --debug, passed as `as_json, sets, seed, quiet`."""
    for option in (debug_option, quiet_option, seed_option, sets_option, json_option):
        function = option(function)
    return function


def progress(message: str, quiet: bool) -> None:
    """A line on stderr unless `--quiet`."""
    if not quiet:
        click.echo(message, err=True)


def colour() -> bool:
    """Whether styled output is wanted: a terminal, and NO_COLOR not set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def write_json(payload: object) -> None:
    """One JSON object on stdout; NaN and infinity are refused, keys keep their order."""
    click.echo(json.dumps(payload, allow_nan=False, indent=2, ensure_ascii=False))


class Ticker:
    """`name: 12/365` on one line of stderr while work goes on; silent with `--quiet` or where stderr is no terminal."""

    def __init__(self, name: str, quiet: bool) -> None:
        self.name = name
        self.shown = not quiet and sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        if self.shown:
            click.echo(f"\r{self.name}: {done}/{total}", nl=False, err=True)

    def done(self) -> None:
        """Clear the line."""
        if self.shown:
            click.echo("\r\x1b[K", nl=False, err=True)
