"""Options that several commands share, as decorators: `@options.json_option`, `@options.sets_option` …"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click
from click.shell_completion import CompletionItem

from sim.cli.terminal import printable
from sim.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T")


MOST_SAMPLES: Final = 10**15
"""Of a pass, on a command line; a scenario takes whole numbers as large."""


class Command(click.Command):
    """A command that refuses an option given twice where it takes one value: neither is the one meant for certain."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for given in order:
            if isinstance(given, click.Option) and _single(given) and order.count(given) > 1:
                raise click.UsageError(f"{given.opts[-1]} is given {order.count(given)} times, it takes one value", ctx)
        for flags in _alternatives(order):
            raise click.UsageError(f"{' and '.join(flags)} exclude each other", ctx)
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def _alternatives(order: Sequence[click.Parameter]) -> Iterator[list[str]]:
    """Of each choice made by flags of its own, the flags given, where they are several."""
    given = {option: option.name for option in order if isinstance(option, click.Option)}
    for name in dict.fromkeys(given.values()):
        flags = [option.opts[-1] for option, chosen in given.items() if chosen == name]
        if len(flags) > 1:
            yield flags


def _single(option: click.Option) -> bool:
    return not option.multiple and not option.count and (not option.is_flag or bool(option.secondary_opts))


command: Final = partial(click.command, cls=Command)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """`--debug` is read by `process.run` before any command runs; commands only accept it."""


def file_option(*names: str, help: str) -> Callable[[Function], Function]:
    """An option that names a file to write."""
    return click.option(*names, type=click.Path(path_type=Path, dir_okay=False), help=help)


def picture_option(*names: str, help: str) -> Callable[[Function], Function]:
    """An option that names a picture to write: a page of its own."""
    return click.option(*names, type=click.Path(path_type=Path, dir_okay=False), callback=_page, help=help)


def _page(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in (".html", ".htm"):
        raise click.BadParameter(f"must end in .html, got {str(value)!r}", ctx, param)
    return value


def scenarios(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the library that go on like this, and files."""
    from sim.files.library import names  # noqa: PLC0415  (start-up time: only while a shell completes)

    known = [CompletionItem(name) for name in names("scenarios") if name.startswith(incomplete)]
    return [*known, CompletionItem(incomplete, type="file")]


scenario_argument = click.argument("scenario", shell_complete=scenarios)


def _one_form(context: click.Context, _: click.Parameter, value: Any) -> Any:
    """`--json` and another `--format` contradict each other; the one read later finds the other."""
    stated = {value, *(context.params.get(key) for key in ("as_json", "form"))}
    if True in stated and stated & {"csv", "markdown"}:
        raise click.UsageError("--json and --format name different forms: give one of them")
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_one_form, help="Print one JSON object on stdout."
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
    callback=_one_form,
    help="json: as --json; csv: SI units in full; markdown: the table alone.",
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write a run folder."
)
force_option = click.option("--force", is_flag=True, help="Overwrite files that exist (an input never).")
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


@contextmanager
def told_as(options: Mapping[str, str]) -> Iterator[None]:
    """Problems that lower rooms find in what options say are told of the options, with their dashes."""
    try:
        yield
    except InputError as error:
        raise told_of(error, options) from None


def told_of(error: InputError, options: Mapping[str, str]) -> InputError:
    """The same problems, told of the options; those that stand in a file stay there."""
    return InputError(*(p if p.file else replace(p, path=options.get(p.path, p.path)) for p in error.problems))


class Finished(Generic[T]):
    """Items worked off one by one, with a progress bar where it takes long; Ctrl-C keeps those that are done."""

    def __init__(self, name: str, work: Iterable[T], total: int, quiet: bool) -> None:
        self.items: list[T] = []
        self.interrupted = False
        try:
            for item in watched(name, work, total, quiet):
                self.items.append(item)
        except KeyboardInterrupt:
            self.interrupted = True

    def leave(self) -> None:
        """After what is done was printed: say that it was not all."""
        if self.interrupted:
            raise KeyboardInterrupt


def watched(name: str, work: Iterable[T], total: int, quiet: bool = False) -> Iterator[T]:
    """The items of `work`, counted on stderr where that is a terminal."""
    with counted(name, quiet) as progress:
        for finished, item in enumerate(work, start=1):
            progress(finished, total)
            yield item


@contextmanager
def counted(name: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function (finished, total) that moves a bar with rate and time left on stderr, where that is a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda finished, total: None
        return
    from rich.console import Console  # noqa: PLC0415  (start-up time: only where a bar is seen)
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as shown:
        task = shown.add_task(escape(printable(name)), total=None)
        yield lambda finished, total: shown.update(task, completed=finished, total=total, refresh=True)
