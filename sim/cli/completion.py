"""`foretrain completion`: the script that makes a shell complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sim.cli import options
from sim.cli.commands import cli
from sim.cli.terminal import show
from sim.errors import InputError, Problem


@options.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.debug_option
def command(shell: str) -> None:
    """Print the script for SHELL; put `eval "$(foretrain completion bash)"` into ~/.bashrc, for instance."""
    found = get_completion_class(shell)
    if found is None:
        raise InputError(Problem("no completion is known for this shell", value=shell))
    show(found(cli, {}, "foretrain", "_FORETRAIN_COMPLETE").source().strip())
