"""`foretrain explore`: the designs of a space that nothing beats, within constraints."""

from __future__ import annotations

from pathlib import Path

import click

from sim.axes import Combination
from sim.cli import options, sweep
from sim.cli.terminal import show_as
from sim.errors import InputError, Problem
from sim.report.study import as_table, render, to_json
from sim.study.explore import asked, banded, front
from sim.study.start import started
from sim.study.store import facts, failures, finished, outcomes
from sim.study.sweep import Outcomes, study_file, study_of


@options.command()
@options.scenario_argument
@sweep.space_options
@click.option("--objective", "objectives", multiple=True, help="A metric to be best in (repeatable).")
@click.option("--constraint", "constraints", multiple=True, metavar="METRIC<=BOUND", help="Repeatable.")
@click.option(
    "--start", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Study file whose front competes."
)
@options.format_option
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
    objectives: tuple[str, ...],
    constraints: tuple[str, ...],
    start: Path | None,
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Simulate SCENARIO over a space of designs and print the Pareto front of the objectives (time and energy)."""
    wanted, bounds = asked(objectives, constraints)
    space, bands = sweep.space(axes, rows, Combination(combine)), banded(wanted, bounds)
    study = study_of(scenario, sets, *space, samples, seed or 0, bands=bands)
    study = study if start is None else started(study, start, lambda found: front(found, wanted, bounds))
    with study_file(output) as file:
        interrupted = sweep.simulate_all(study, file, sweep.part(shard), jobs, dask, quiet)
        best = front(outcomes(file), wanted, bounds)
        why = "" if best else next(iter(failures(file)), "")
        chosen_by = tuple(metric.name for metric in wanted)
        found = Outcomes(study.designs, facts(file), tuple(best), chosen_by, finished(file))
    if best or as_json:
        show_as(found, as_table, render, to_json, "json" if as_json else form)
    if interrupted:
        raise KeyboardInterrupt
    if not best:
        stated = " and ".join(bound.text for bound in bounds) or "no design has every objective"
        raise InputError(Problem("no design meets the constraints", "--constraint", stated, hint=why))
