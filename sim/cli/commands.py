"""The `foretrain` group: finds its commands beside this file by their first line, and imports one only to run it.

A command is one module `sim/cli/NAME.py` whose first line is its name and what it does,
and whose attribute `command` is the click command.
"""

from __future__ import annotations

import gc
import re
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from sim.version import __version__

_FIRST_LINE: Final = re.compile(r'"""`foretrain (?P<name>[a-z-]+)`: (?P<help>.+?)(?:""")?\n')


@cache
def commands() -> dict[str, str]:
    """Every command with one line of help: the first line of its module."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with path.open(encoding="utf-8") as module:
            if line := _FIRST_LINE.match(module.readline()):
                found[line["name"]] = line["help"][0].upper() + line["help"][1:]
    return found


class LazyGroup(click.Group):
    """Lists its commands without importing any; imports the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in commands():
            return None
        gc.disable()  # what is imported stays
        try:
            command = import_module(f"sim.cli.{cmd_name}").command
        finally:
            gc.freeze()
            gc.enable()
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(commands().items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, names = args[0] if args else "", self.list_commands(ctx)
        if name and not name.startswith("-") and name not in names:
            close = get_close_matches(name, names, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise click.UsageError(f"no such command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="foretrain")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """How long a model takes to train to an accuracy on a cluster, what it costs, and what holds it back.

    Commands that take a SCENARIO take a file or a name from `foretrain scenarios`.
    """
