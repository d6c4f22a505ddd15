"""`foretrain compare`: several scenarios, or several accelerators, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sim.cli import options
from sim.cli.process import FailedItemsError
from sim.cli.terminal import show_as
from sim.report.compare import as_table, render, to_json
from sim.study.compare import Case, Comparison, named, run_all


@options.command()
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--accelerator", "accelerators", multiple=True, help="Run on this accelerator (repeatable).")
@options.format_option
@options.common
def command(
    scenarios: tuple[str, ...],
    accelerators: tuple[str, ...],
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Print SCENARIOS side by side with their ratios and what causes them.

    One that fails is a row with its reason; the exit code is that of the worst.
    """
    if len(scenarios) * max(1, len(accelerators)) < 2:
        raise click.UsageError("nothing to compare: give two scenarios, or one with two --accelerator")
    wanted = named(scenarios, accelerators, sets, seed or 0)
    cases = options.Finished("compare", run_all(wanted), len(wanted), quiet)
    found = Comparison(tuple(cases.items))
    if cases.items:
        show_as(found, as_table, render, to_json, "json" if as_json else form)
    cases.leave()
    fail_with(cases.items)


def fail_with(cases: Sequence[Case]) -> None:
    """After all was printed: leave with what was worst."""
    if failures := [case.failure for case in cases if case.failure is not None]:
        raise FailedItemsError(*failures)
