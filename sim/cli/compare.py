"""`foretrain compare`: several scenarios, or several accelerators, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from sim.cli import options
from sim.cli.process import FailedItemsError
from sim.cli.terminal import answer, safe, show
from sim.files import load_document
from sim.report.compare import as_table, render, to_json
from sim.study.compare import Case, Named, run_all


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
    wanted: list[Named] = []
    for name in scenarios:
        for chip in accelerators or (None,):
            label = name if chip is None else f"{name} on {chip}"
            wanted.append((label, partial(load_document, name, sets if chip is None else _on(chip, sets))))
    cases = options.Finished("compare", run_all(wanted, seed or 0), len(wanted), quiet)
    if cases.items and not show_table(cases.items, form):
        answer(cases.items, render, to_json, as_json or form == "json")
    cases.leave()
    fail_with(cases.items)


def show_table(cases: Sequence[Case], form: str) -> bool:
    """Print the table alone where that is asked for."""
    table = as_table(safe(cases))
    if form in ("csv", "markdown"):
        show(table.csv() if form == "csv" else table.markdown())
    return form in ("csv", "markdown")


def fail_with(cases: Sequence[Case]) -> None:
    """After all was printed: leave with what was worst."""
    if failures := [case.failure for case in cases if case.failure is not None]:
        raise FailedItemsError(*failures)


def _on(chip: str, sets: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides with the accelerator named before those of its fields: `--set accelerator.memory…` holds for all."""
    of_chip = [text for text in sets if text.startswith(("accelerator.", "cluster.accelerator."))]
    return (*(text for text in sets if text not in of_chip), f"accelerator={chip}", *of_chip)
