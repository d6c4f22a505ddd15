"""`foretrain compare`: several scenarios, or several accelerators, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sim.cli import options
from sim.cli.process import FailedItemsError
from sim.cli.terminal import advise, show_as
from sim.report.compare import as_table, render, to_json
from sim.study.compare import Case, Comparison, explained, named, run_all
from sim.study.metrics import metric as known
from sim.study.sweep import axis_of_text


@options.command()
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--accelerator", "accelerators", multiple=True, help="Run on this accelerator (repeatable).")
@click.option("--attribute", is_flag=True, help="Share the differences out over the parts that differ.")
@click.option("--along", metavar="PATH=VALUES", help="An axis along which the order may change, e.g. plan.data=8,64.")
@click.option("--metric", default=None, help="With --along: the figure that orders, e.g. step_s, energy_j.")
@options.format_option
@options.common
def command(
    scenarios: tuple[str, ...],
    accelerators: tuple[str, ...],
    attribute: bool,
    along: str | None,
    metric: str | None,
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Print SCENARIOS side by side with their ratios and what causes them, and the best of each figure.

    One that fails is a row with its reason; the exit code is that of the worst.
    """
    if len(scenarios) * max(1, len(accelerators)) < 2:
        raise click.UsageError("nothing to compare: give two scenarios, or one with two --accelerator")
    if metric is not None and along is None:
        raise click.UsageError("--metric goes with --along")
    figure = known(metric or "time_to_target_s").name
    axes = [axis_of_text(along, "--along")] if along else []
    wanted = named(scenarios, accelerators, sets, seed or 0)
    cases = options.Finished("compare", run_all(wanted), len(wanted), quiet)
    given = cases.items, wanted, attribute, axes, figure
    causes = options.Finished("causes", (explained(*given) for _ in range(not cases.interrupted)), 1, quiet)
    found = causes.items[0] if causes.items else Comparison(tuple(cases.items))
    advise((advice for case in cases.items for advice in case.advice), quiet)
    if cases.items:
        show_as(found, as_table, render, to_json, "json" if as_json else form)
    cases.leave()
    causes.leave()
    fail_with(cases.items)


def fail_with(cases: Sequence[Case]) -> None:
    """After all was printed: leave with what was worst."""
    if failures := [case.failure for case in cases if case.failure is not None]:
        raise FailedItemsError(*failures)
