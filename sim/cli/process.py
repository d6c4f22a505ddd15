"""One command as a process: what escapes it becomes one sentence on stderr and an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from sim.cli.commands import cli
from sim.cli.terminal import flush, say
from sim.errors import ForetrainError, InfeasibleError, InputError, Lever, Problem, UnreachableError

EXIT_BUG: Final = 1
EXIT_INPUT: Final = 2
EXIT_INFEASIBLE: Final = 3
EXIT_UNREACHABLE: Final = 4
EXIT_INTERRUPTED: Final = 130
_WORST_FIRST: Final = (EXIT_INTERRUPTED, EXIT_BUG, EXIT_INPUT, EXIT_INFEASIBLE, EXIT_UNREACHABLE, 0)


class FailedItemsError(ForetrainError):
    """What went wrong in some items of a command that has printed the others."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = errors
        super().__init__("; ".join(map(str, errors)))


def run(arguments: Sequence[str]) -> int:
    """Run a command line in this process; its exit code."""
    debug = "--debug" in arguments
    try:
        if any("\0" in argument for argument in arguments):
            raise InputError(Problem("must not hold the character NUL", file="command line"))
        if "_FORETRAIN_COMPLETE" in os.environ:
            cli.main(args=list(arguments), prog_name="foretrain", complete_var="_FORETRAIN_COMPLETE")
        with cli.make_context("foretrain", list(arguments)) as context:
            cli.invoke(context)
        flush()
    except Exception as error:  # the outermost frame: whatever escapes becomes one line and an exit code
        if debug and not isinstance(error, click.exceptions.Exit | click.ClickException | click.Abort):
            raise error.errors[0] if isinstance(error, FailedItemsError) else error  # noqa: B904
        return tell(error)
    except KeyboardInterrupt as error:
        return tell(error)
    return 0


def worst(codes: Iterable[int]) -> int:
    """The exit code of several items that failed."""
    return min(codes, key=_WORST_FIRST.index)


def leave() -> None:
    """The last steps of a process: no interrupt any more, nothing left that could fail while Python shuts down, and no
    search for garbage (25 ms of CPU of a `run`).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(error: BaseException) -> int:
    """Print what happened on stderr; the exit code for it."""
    if isinstance(error, FailedItemsError):
        return worst(tell(each) for each in error.errors)
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return 0  # the reader of stdout went away (`| head`): nothing left to say
    code, lines = _told(error)
    for line in lines:
        say(line)
    return code


def _told(error: BaseException) -> tuple[int, list[str]]:
    """Exit code and sentences for an error."""
    if isinstance(error, click.ClickException):
        return EXIT_INPUT, _usage(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return EXIT_INTERRUPTED, ["interrupted"]
    if isinstance(error, InputError):
        return EXIT_INPUT, [str(problem) for problem in error.problems]
    if isinstance(error, InfeasibleError):
        return EXIT_INFEASIBLE, _infeasible(error)
    if isinstance(error, UnreachableError):
        reason = error.reason
        known = reason.target is not None and reason.floor is not None
        bounds = f" (target {reason.target:g}, floor {reason.floor:g})" if known else ""
        return EXIT_UNREACHABLE, [f"unreachable: {reason.statement}{bounds}"]
    if isinstance(error, OSError) and error.strerror is not None:
        return EXIT_INPUT, [f"{error.filename or 'input or output'}: {error.strerror.lower()}"]
    if isinstance(error, MemoryError):
        return EXIT_INPUT, ["this needs more memory than the machine has left: give fewer items or smaller sizes"]
    kind = "error" if isinstance(error, ForetrainError) else f"bug: {type(error).__name__}"
    return EXIT_BUG, [f"{kind}: {' '.join(str(error).split())} (--debug shows the traceback)"]


def _usage(error: click.ClickException) -> list[str]:
    """What click has to say, its message on one line."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        return error.format_message().splitlines()
    context = getattr(error, "ctx", None)
    head = [] if context is None else [*context.get_usage().splitlines(), f"Try '{context.command_path} --help'."]
    message = error.format_message().replace(",\n\t", ", ").replace("\n\t", " ")
    return [*head, f"Error: {message}"]


def _infeasible(error: InfeasibleError) -> list[str]:
    reason = error.reason
    need, have = reason.need_bytes / 2**30, reason.have_bytes / 2**30
    lines = [f"infeasible: {reason.statement}"]
    if reason.need_bytes and reason.device not in reason.statement:
        lines.append(f"  {reason.device}: needs {need:.4g} GiB, has {have:.4g} GiB")
    return lines + [_lever(lever) for lever in reason.levers]


def _lever(lever: Lever) -> str:
    size = f"{lever.effect / 2**30:.4g} GiB" if lever.quantity == "memory_bytes" and lever.effect is not None else ""
    return f"  {lever.change}: {', '.join(filter(None, [size, lever.note]))}"
