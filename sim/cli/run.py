"""`foretrain run`: simulate one scenario."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sim.cli import options
from sim.engine.step import Engine
from sim.engine.trace import write_trace
from sim.files import build, load_document, locating
from sim.report.run import render, to_json
from sim.simulation import simulate


@click.command()
@options.scenario_argument
@options.common
@options.output_option
@click.option("--trace", type=click.Path(path_type=Path, dir_okay=False), help="Write the step as a Perfetto trace.")
@click.option("--engine", type=click.Choice(["simpy", "recursion"]), default="simpy", show_default=True)
def command(
    scenario: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    output: Path | None,
    trace: Path | None,
    engine: Engine,
) -> None:
    """How long SCENARIO takes to reach its target, and what limits it."""
    document = load_document(scenario, sets)
    with locating(document):
        result = simulate(build(document), engine=engine, trace=trace is not None, seed=seed or 0)
    body = to_json(result)
    text = render(result)
    if trace is not None:
        write_trace(result.step, trace, result.memory)
        options.progress(f"wrote {trace}", quiet)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "result.json").write_text(json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        (output / "report.txt").write_text(text + "\n", encoding="utf-8")
        options.progress(f"wrote {output}/result.json and report.txt", quiet)
    if as_json:
        options.write_json(body)
    else:
        click.echo(text)
