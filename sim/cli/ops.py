"""`foretrain ops`: where the device time of one step goes, op by op."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.device.cached import cache_aware
from sim.device.table import op_table
from sim.files import load_scenario
from sim.report.ops import render, to_html, to_json
from sim.report.roofline import roofline_svg
from sim.simulation import choose_plan, model_of, project_target
from sim.study.step_ops import step_ops


@click.command()
@options.scenario_argument
@options.common
@options.output_option
@click.option("--top", type=click.IntRange(min=0), default=25, show_default=True, help="Ops to list; 0: all.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the table and the roofline.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the roofline alone.")
def command(
    scenario: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    output: Path | None,
    top: int,
    html: Path | None,
    svg: Path | None,
) -> None:
    """Time of every op of a step of SCENARIO on one accelerator, with its limit, and the roofline they lie on."""
    asked = load_scenario(scenario, sets)
    model = model_of(asked, project_target(asked))
    plan, _ = choose_plan(asked, model, must_fit=False)
    executed = tuple(step_ops(model, plan, asked.workload.numerics))
    rows, chip = op_table(executed, asked.accelerator), asked.accelerator
    blocked = cache_aware(executed, chip) if chip.matrix_unit is None else None
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        html, svg = html or output / "ops.html", svg or output / "roofline.svg"
    if html is not None:
        html.write_text(to_html(asked.name, rows, chip), encoding="utf-8")
        options.progress(f"wrote {html}", quiet)
    if svg is not None:
        svg.write_text(roofline_svg(rows, chip) + "\n", encoding="utf-8")
        options.progress(f"wrote {svg}", quiet)
    if as_json:
        options.write_json(to_json(asked.name, rows, chip, blocked))
    else:
        click.echo(render(asked.name, rows, chip, top, blocked))
