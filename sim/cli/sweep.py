"""`foretrain sweep`: a scenario over a space of designs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sim.axes import Axis, Combination
from sim.cli import options
from sim.cli.output import Output
from sim.cli.process import worst
from sim.cli.terminal import advise, say, show_as
from sim.errors import InputError, Problem
from sim.report.study import EXPORTS, as_table, export, render, to_json
from sim.study.advice import idle_in
from sim.study.designs import axes_of_csv
from sim.study.executors import executors
from sim.study.metrics import metric
from sim.study.runner import Study, run
from sim.study.store import begun, failures, outcomes
from sim.study.sweep import axis_of_text, stored, study_file, study_of

Function = TypeVar("Function", bound=Callable[..., Any])

REASONS_SHOWN: Final = 20
_SPACE: Final = (
    click.option(
        "--axis", "axes", multiple=True, metavar="PATH=VALUES", help="a,b,c or FROM:TO:COUNT[:log] (repeatable)."
    ),
    click.option("--rows", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="CSV: a design a row."),
    click.option("--combine", type=click.Choice([str(c) for c in Combination]), default="grid", help="Axes together."),
    click.option("--samples", type=int, default=0, help="Designs of a Latin hypercube or Sobol sequence."),
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Study file, gone on with."),
    click.option("--jobs", type=click.IntRange(1), default=None, help="Processes; as many as cores where they pay."),
    click.option("--dask", default=None, metavar="ADDRESS", help="Run on this Dask scheduler."),
    click.option("--shard", default="0/1", metavar="I/N", help="Only designs I, I+N, I+2N … (batch systems)."),
)


def space_options(function: Function) -> Function:
    """The options that say which designs to run, where, and into which file."""
    for option in reversed(_SPACE):
        function = option(function)
    return function


@options.command()
@options.scenario_argument
@space_options
@click.option("--key", default="", help="Field to vary, e.g. cluster.devices: short for one --axis, with --values.")
@click.option("--values", default="", help="Comma-separated values of --key.")
@click.option("--export", "exported", type=click.Path(path_type=Path, dir_okay=False), help=".csv, .jsonl, .parquet")
@click.option("--screen", is_flag=True, help="Answer designs of hardware properties (peak=…) in columns; no campaign.")
@click.option("--bands", is_flag=True, help="Draw the 5th and 95th percentile of time, energy and cost too.")
@click.option("--sort", default="number", help="Order of the table: a metric, e.g. time_to_target_s.")
@click.option("--limit", type=click.IntRange(1), default=50, help="Rows of the table.")
@options.format_option
@options.force_option
@options.common
def command(
    scenario: str,
    axes: tuple[str, ...],
    rows: Path | None,
    combine: str,
    samples: int,
    output: Path | None,
    jobs: int | None,
    dask: str | None,
    shard: str,
    key: str,
    values: str,
    exported: Path | None,
    screen: bool,
    bands: bool,
    sort: str,
    limit: int,
    form: str,
    force: bool,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Simulate SCENARIO for every design of a space; one without a result is a row with its reason.

    A study file (-o) holds what is finished: the same command goes on where it was stopped.
    """
    if bool(key) != bool(values):
        raise click.UsageError("--key and --values go together")
    one = [axis_of_text(f"{key}={values}")] if key else []
    if sort != "number":
        with options.told_as({"--metric": "--sort"}):
            bands = bands or metric(sort).band
    named = {"study.samples": "--samples", "study.axes": "--axis", "bands": "--bands"}
    with options.told_as(named):
        designs = space(axes, rows, Combination(combine), one)
        study = study_of(scenario, sets, *designs, samples, seed or 0, screen, bands)
    writer = Output(force, quiet, [scenario, rows])
    writer.check(exported)
    if exported is not None and exported.suffix not in EXPORTS:
        raise InputError(Problem(f"must end in {', '.join(EXPORTS)}", "--export", str(exported)))
    with study_file(output) as file:
        interrupted = simulate_all(study, file, part(shard), jobs, dask, quiet)
        failed = failures(file)
        if screen and not quiet:
            from sim.study.screening import notes  # noqa: PLC0415  (numpy, and the search)

            for note in notes(study):
                say(f"{scenario}: {note}")
        form = "json" if as_json else form
        found = stored(study.designs, file, sort, None if form == "json" else limit)
        show_as(found, as_table, render, to_json, form)
        if exported is not None:
            writer.stream(exported, export(exported, study.designs, outcomes(file, sort)))
    if interrupted:
        raise KeyboardInterrupt
    if failed:
        for reason in list(failed)[:REASONS_SHOWN]:
            say(f"{scenario}: {reason}")
        raise click.exceptions.Exit(worst(failed.values()))


def space(
    texts: tuple[str, ...], rows: Path | None, combination: Combination, more: list[Axis] | None = None
) -> tuple[tuple[Axis, ...], Combination]:
    """The axes that options name, and how they combine."""
    listed = [*(axis_of_text(text) for text in texts), *(more or ())]
    if rows is None:
        return tuple(listed), combination
    if listed or combination is not Combination.GRID:
        raise click.UsageError("--rows states whole designs: no axes and no --combine beside it")
    return axes_of_csv(rows), Combination.ZIP


def part(text: str) -> tuple[int, int]:
    """`I/N` as (I, N)."""
    place, slash, parts = text.partition("/")
    if not slash or not place.isdigit() or not parts.isdigit() or not int(place) < int(parts):
        raise InputError(Problem("must be I/N with 0 <= I < N", "--shard", text))
    return int(place), int(parts)


def simulate_all(
    study: Study, file: Path, shard: tuple[int, int], jobs: int | None, dask: str | None, quiet: bool
) -> bool:
    """Run what is left, with a bar, and tell what no design reads; whether it was interrupted."""
    advise(idle_in(study), quiet)
    way, workers = executors(len(study.designs) // shard[1], jobs, dask, study.screened)
    with options.counted("designs", quiet) as progress:
        try:
            run(study, file, way, workers, shard, progress)
        except KeyboardInterrupt:
            if begun(file):
                return True
            raise
    return False
