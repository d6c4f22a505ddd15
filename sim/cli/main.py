"""The `foretrain` command: a group that knows its commands by name and imports one only to run it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from sim.errors import ForetrainError, InfeasibleError, InputError, UnreachableError

EXIT_BUG: Final = 1
EXIT_INPUT: Final = 2
EXIT_INFEASIBLE: Final = 3
EXIT_UNREACHABLE: Final = 4
EXIT_INTERRUPTED: Final = 130

# Name → one line of help. The module is sim.cli.<name>, its attribute `command` the click command.
COMMANDS: Final[dict[str, str]] = {
    "run": "How long a scenario takes to reach its target, and what limits it.",
    "check": "Check scenario or hardware files without running anything.",
    "show": "The resolved scenario, with the file and line of every leaf.",
    "project": "Data and model size that a target error needs.",
    "compare": "Several scenarios, or several accelerators, side by side.",
    "model": "Parameters, FLOPs and layers of a model.",
    "ops": "Time of every op of a step on one accelerator.",
    "footprint": "A trained model on a chip: size, memory, latency, energy of a query, training.",
    "collective": "Time and bandwidth of one collective on a cluster.",
    "place": "Put the ops of a model on a few unequal devices.",
    "sweep": "Run a scenario over a grid of values.",
    "validate": "Compare with published measurements.",
    "hardware": "List, show or derive accelerators and clusters.",
    "scenarios": "List the scenarios that come with foretrain.",
    "schema": "JSON Schema of the scenario file.",
}


class LazyGroup(click.Group):
    """Lists the commands whose module exists, without importing any; imports the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        folder = Path(__file__).parent
        return [name for name in COMMANDS if (folder / f"{name}.py").exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"sim.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name]) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        names = self.list_commands(ctx)
        if name and not name.startswith("-") and name not in names:
            raise click.UsageError(f"no such command {name!r}{_suggestion(name, names)}", ctx)
        return super().resolve_command(ctx, args)


def _suggestion(name: str, names: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  (start-up time: only for this message)

    close = get_close_matches(name, names, 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="foretrain", prog_name="foretrain")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """How long a model takes to train to an accuracy on a cluster, what it costs, and what holds it back.

    Commands that take a SCENARIO take a file or a name from `foretrain scenarios`.
    """


def main(args: list[str] | None = None) -> None:
    """Console entry: runs the command and leaves with the exit code of what happened."""
    arguments = sys.argv[1:] if args is None else list(args)
    debug = "--debug" in arguments
    try:
        cli.main(args=arguments, prog_name="foretrain", standalone_mode=False)
        code = 0
    except Exception as error:  # the outermost frame: whatever escapes becomes one line and an exit code
        if debug and not isinstance(error, click.exceptions.Exit | click.ClickException | click.Abort):
            raise
        code = _tell(error)
    except KeyboardInterrupt as error:
        code = _tell(error)
    sys.exit(code)


def _tell(error: BaseException) -> int:
    """Print what happened on stderr; the exit code for it."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return EXIT_INPUT
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _err("interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, InputError):
        for problem in error.problems:
            _err(str(problem))
        return EXIT_INPUT
    if isinstance(error, InfeasibleError):
        return _tell_infeasible(error)
    if isinstance(error, UnreachableError):
        _err(f"unreachable: {error.reason.statement} (target {error.reason.target:g}, floor {error.reason.floor:g})")
        return EXIT_UNREACHABLE
    if isinstance(error, BrokenPipeError):
        return _quiet_pipe()
    if isinstance(error, OSError) and error.filename is not None:
        _err(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}")
        return EXIT_INPUT
    kind = "error" if isinstance(error, ForetrainError) else f"bug: {type(error).__name__}"
    _err(f"{kind}: {' '.join(str(error).split())} (--debug shows the traceback)")
    return EXIT_BUG


def _tell_infeasible(error: InfeasibleError) -> int:
    reason = error.reason
    need, have = reason.need_bytes / 2**30, reason.have_bytes / 2**30
    _err(f"infeasible: {reason.statement}")
    if reason.device not in reason.statement:
        _err(f"  {reason.device}: needs {need:.4g} GiB, has {have:.4g} GiB")
    for lever in reason.levers:
        _err(f"  {lever.change}: {lever.effect}")
    return EXIT_INFEASIBLE


def _quiet_pipe() -> int:
    """The reader of stdout went away (`| head`): nothing left to say, and nothing to flush at exit."""
    sys.stdout = sys.stderr
    return 0


def _err(line: Any) -> None:
    click.echo(line, err=True)
