"""`foretrain ops`: time of every op of a step on one accelerator, and the roofline they lie on."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.terminal import safe, show, show_json
from sim.device.cached import cache_aware
from sim.device.table import op_table
from sim.files import load_scenario
from sim.report.ops import as_table, page, render, to_json
from sim.simulation import choose_plan, model_of, project_target, record_of


@options.command()
@options.scenario_argument
@options.common
@options.output_option
@click.option("--top", type=click.IntRange(min=0), default=25, show_default=True, help="Ops to list; 0: all.")
@options.picture_option("--html", help="Write the table and the roofline.")
@options.force_option
@options.format_option
def command(
    scenario: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    output: Path | None,
    top: int,
    html: Path | None,
    force: bool,
    form: str,
) -> None:
    """Time of every op of a step of SCENARIO on one accelerator, with its limit, and the roofline they lie on."""
    files = Output(force, quiet, (scenario,))
    files.check(html)
    asked = load_scenario(scenario, sets)
    model = model_of(asked, project_target(asked))
    plan, _ = choose_plan(asked, model, must_fit=False)
    executed = tuple(record_of(asked, model, plan).executed())
    rows, chip = op_table(executed, asked.accelerator), asked.accelerator
    blocked = cache_aware(executed, chip) if chip.matrix_unit is None else None
    if output is not None:
        files.folder(output, {"ops.html": page(asked.name, rows, chip)})
    if html is not None:
        files.write(html, page(asked.name, rows, chip))
    form = "json" if as_json else form
    if form in ("csv", "markdown"):
        table = as_table(safe(rows[:top] if top else rows), sum(row.seconds for row in rows))
        show(table.csv() if form == "csv" else table.markdown())
    elif form == "json":
        show_json(to_json(asked.name, rows, chip, blocked))
    else:
        show(render(safe(asked.name), safe(rows), safe(chip), top, blocked))
